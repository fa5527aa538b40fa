# SPDX-License-Identifier: MIT
# How everything here is compiled.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -Wformat=2)
if(WEIR_WERROR)
    add_compile_options(-Werror)
endif()
if(WEIR_SANITIZE)
    add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${WEIR_SANITIZE})
    if(WEIR_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
    # A library under test must not be unloaded before its reports are printed.
    add_compile_definitions(WEIR_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    # Some systems' compilers define _FORTIFY_SOURCE themselves, and warn when it changes.
    add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    # A message costs some twenty calls between files and a few looks at thread-local memory: make them
    # direct, or none. What is exported is not meant to be replaced by another library's.
    include(CheckCCompilerFlag)
    foreach(flag -fno-semantic-interposition -fno-plt -mtls-dialect=gnu2)
        string(MAKE_C_IDENTIFIER "WEIR_HAVE${flag}" have)
        check_c_compiler_flag(${flag} ${have})
        if(${have})
            add_compile_options(${flag})
        endif()
    endforeach()
    include(CheckIPOSupported)
    check_ipo_supported(RESULT ipo OUTPUT ignored LANGUAGES C)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${ipo})
endif()
add_compile_definitions(WEIR_VERSION_TEXT="${PROJECT_VERSION}")
