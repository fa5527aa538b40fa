# SPDX-License-Identifier: MIT
# The three things that the folders below declare.

# A module: weir_add_module(logger logger.c [LIBS ...]) makes build/modules/logger/liblogger.so.
function(weir_add_module name source)
    cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
    add_library(${name} MODULE ${source})
    target_link_libraries(${name} PRIVATE libweir ${ARG_LIBS})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name})
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/weir/modules)
endfunction()

# The sources of a layer: all .c files of the named folders of src but the unit tests.
function(weir_layer_sources out)
    set(sources "")
    foreach(folder ${ARGN})
        file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.c)
        list(FILTER files EXCLUDE REGEX "_test\\.c$")
        list(APPEND sources ${files})
    endforeach()
    set(${out} ${sources} PARENT_SCOPE)
endfunction()

# The unit tests of a layer: one program for each *_test.c beside the code.
function(weir_layer_tests library)
    foreach(folder ${ARGN})
        file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*_test.c)
        foreach(file ${files})
            get_filename_component(name ${file} NAME_WE)
            string(REPLACE "/" "_" prefix ${folder})
            set(target ${prefix}_${name})
            add_executable(${target} ${file})
            target_link_libraries(${target} PRIVATE ${library} cmocka)
            add_test(NAME unit.${folder}.${name} COMMAND ${target})
            set_tests_properties(unit.${folder}.${name} PROPERTIES TIMEOUT 300)
        endforeach()
    endforeach()
endfunction()
