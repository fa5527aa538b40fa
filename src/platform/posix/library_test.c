/* SPDX-License-Identifier: MIT
 *
 * Tests of loading shared libraries, with the one that every program here has: the C library.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "platform/library.h"

/* The file that holds getenv. */
static const char *c_library_path(void)
{
    void *symbol = dlsym(RTLD_DEFAULT, "getenv");
    Dl_info info;
    assert_true(dladdr(symbol, &info) != 0);
    return info.dli_fname;
}

static void function_of_a_library_is_found_and_works(void **state)
{
    (void)state;
    wr_library *library = NULL;
    assert_int_equal(wr_library_open(c_library_path(), &library, NULL), WEIR_OK);
    wr_function found = wr_library_function(library, "labs");
    assert_non_null(found);
    long (*absolute)(long) = (long (*)(long))found;
    assert_int_equal(absolute(-3), 3);
    assert_null(wr_library_function(library, "weir_no_such_function"));
    wr_library_close(library);
}

static void missing_library_is_not_found(void **state)
{
    (void)state;
    wr_library *library = NULL;
    wr_error error;
    assert_int_equal(wr_library_open("./no/such.so", &library, &error), WEIR_ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "'./no/such.so'"));
    assert_null(library);
}

static void file_that_is_no_library_says_why(void **state)
{
    (void)state;
    wr_library *library = NULL;
    wr_error error;
    assert_int_equal(wr_library_open("/proc/self/status", &library, &error), WEIR_ERR_LOAD);
    assert_non_null(strstr(error.text, "/proc/self/status"));
    assert_null(library);
}

static void name_without_a_slash_is_refused(void **state)
{
    (void)state;
    wr_library *library = NULL;
    wr_error error;
    assert_int_equal(wr_library_open("libc.so.6", &library, &error), WEIR_ERR_INVALID);
    assert_null(library);
}

static void close_takes_null(void **state)
{
    (void)state;
    wr_library_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(function_of_a_library_is_found_and_works),
        cmocka_unit_test(missing_library_is_not_found),
        cmocka_unit_test(file_that_is_no_library_says_why),
        cmocka_unit_test(name_without_a_slash_is_refused),
        cmocka_unit_test(close_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
