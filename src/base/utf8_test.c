/* SPDX-License-Identifier: MIT
 *
 * Tests of the UTF-8 check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/utf8.h"

static bool valid(const char *text)
{
    return wr_utf8_valid(text, strlen(text));
}

static void the_ends_of_every_range_are_valid(void **state)
{
    (void)state;
    assert_true(valid(""));
    assert_true(wr_utf8_valid("\0", 1));
    assert_true(valid("\x7F"));
    assert_true(valid("\xC2\x80\xDF\xBF"));
    assert_true(valid("\xE0\xA0\x80\xEC\xBF\xBF\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"));
    assert_true(valid("\xF0\x90\x80\x80\xF3\xBF\xBF\xBF\xF4\x8F\xBF\xBF"));
}

static void overlong_forms_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\xC0\x80"));
    assert_false(valid("\xC1\xBF"));
    assert_false(valid("\xE0\x9F\xBF"));
    assert_false(valid("\xF0\x8F\xBF\xBF"));
}

static void surrogates_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\xED\xA0\x80"));
    assert_false(valid("\xED\xBF\xBF"));
}

static void code_points_over_the_last_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\xF4\x90\x80\x80"));
    assert_false(valid("\xF5\x80\x80\x80"));
    assert_false(valid("\xFF"));
}

static void broken_sequences_are_refused(void **state)
{
    (void)state;
    assert_false(valid("\x80"));
    assert_false(valid("a\xC3"));
    assert_false(valid("\xC3z"));
    assert_false(valid("\xE1\x80"));
    assert_false(valid("\xE1\x80z"));
    assert_false(valid("\xF1\x80\x80"));
    assert_false(valid("\xF1\x80z\x80"));
}

static void no_byte_past_the_size_counts(void **state)
{
    (void)state;
    assert_false(wr_utf8_valid("\xC3\xA4", 1));
    assert_true(wr_utf8_valid("a\xFF", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_of_every_range_are_valid),
        cmocka_unit_test(overlong_forms_are_refused),
        cmocka_unit_test(surrogates_are_refused),
        cmocka_unit_test(code_points_over_the_last_are_refused),
        cmocka_unit_test(broken_sequences_are_refused),
        cmocka_unit_test(no_byte_past_the_size_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
