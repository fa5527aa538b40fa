/* SPDX-License-Identifier: MIT
 *
 * Tests of the error list and of errors with reasons.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void every_error_has_its_name_and_text(void **state)
{
    (void)state;
#define CHECK_ENTRY(constant, number, text)                                                        \
    assert_int_equal(constant, number);                                                            \
    assert_string_equal(weir_err_name(constant), #constant);                                       \
    assert_string_equal(weir_err_text(constant), text);
    WEIR_ERRORS(CHECK_ENTRY)
#undef CHECK_ENTRY
}

static void unknown_numbers_have_a_name_too(void **state)
{
    (void)state;
    assert_string_equal(weir_err_name(WEIR_ERR_END_), "WEIR_ERR_?");
    assert_string_equal(weir_err_name((weir_err)100000), "WEIR_ERR_?");
    assert_string_equal(weir_err_text((weir_err)-1), "unknown error");
}

static void the_version_is_the_builds(void **state)
{
    (void)state;
    assert_string_equal(weir_version(), WEIR_VERSION_TEXT);
}

static void set_fills_the_error_and_returns_the_code(void **state)
{
    (void)state;
    wr_error error = {WEIR_OK, ""};
    assert_int_equal(wr_error_set(&error, WEIR_ERR_IO, "disk %d", 7), WEIR_ERR_IO);
    assert_int_equal(error.code, WEIR_ERR_IO);
    assert_string_equal(wr_error_text(&error), "disk 7");
}

static void set_without_an_error_still_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(wr_error_set(NULL, WEIR_ERR_FULL, "%s", "x"), WEIR_ERR_FULL);
}

static void error_without_a_text_shows_that_of_its_code(void **state)
{
    (void)state;
    wr_error error = {WEIR_ERR_TIMEOUT, ""};
    assert_string_equal(wr_error_text(&error), weir_err_text(WEIR_ERR_TIMEOUT));
}

static void text_over_the_limit_ends_in_dots(void **state)
{
    (void)state;
    char longer[WR_ERROR_TEXT_MAX + 1];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    wr_error error;
    (void)wr_error_set(&error, WEIR_ERR_IO, "%s", longer);
    assert_int_equal(strlen(error.text), WR_ERROR_TEXT_MAX - 1);
    assert_string_equal(error.text + WR_ERROR_TEXT_MAX - 5, "a...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_name_and_text),
        cmocka_unit_test(unknown_numbers_have_a_name_too),
        cmocka_unit_test(the_version_is_the_builds),
        cmocka_unit_test(set_fills_the_error_and_returns_the_code),
        cmocka_unit_test(set_without_an_error_still_returns_the_code),
        cmocka_unit_test(error_without_a_text_shows_that_of_its_code),
        cmocka_unit_test(text_over_the_limit_ends_in_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
