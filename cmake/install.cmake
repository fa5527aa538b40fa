# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: headers, libraries, pkg-config files and the CMake package
# "weir". (The modules and the command say it beside their own targets.) Nothing installed names the
# prefix, so the whole may be moved.
include(CMakePackageConfigHelpers)

set(WEIR_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set(WEIR_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set_target_properties(libweir PROPERTIES EXPORT_NAME weir)
set_target_properties(libweir-gateway PROPERTIES EXPORT_NAME gateway INSTALL_RPATH "$ORIGIN")

install(TARGETS libweir libweir-gateway EXPORT weir-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

install(EXPORT weir-targets NAMESPACE weir:: DESTINATION ${WEIR_PACKAGE_DIR})
configure_package_config_file(cmake/weir-config.cmake.in ${CMAKE_BINARY_DIR}/weir-config.cmake
                              INSTALL_DESTINATION ${WEIR_PACKAGE_DIR}
                              PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/weir-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/weir-config.cmake ${CMAKE_BINARY_DIR}/weir-config-version.cmake
        DESTINATION ${WEIR_PACKAGE_DIR})

# pkg-config finds the prefix from where its file lies.
file(RELATIVE_PATH WEIR_PREFIX_FROM_PC "/prefix/${WEIR_PKGCONFIG_DIR}" "/prefix")
string(REGEX REPLACE "/$" "" WEIR_PREFIX_FROM_PC "${WEIR_PREFIX_FROM_PC}")
foreach(name weir weir-gateway)
    configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${WEIR_PKGCONFIG_DIR})
endforeach()
