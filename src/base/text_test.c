/* SPDX-License-Identifier: MIT
 *
 * Tests of text that must fit a fixed space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

WEIR_PRINTF(3, 4) static void format(char *out, size_t size, const char *text, ...)
{
    va_list args;
    va_start(args, text);
    wr_text_formatv(out, size, text, args);
    va_end(args);
}

static void text_that_just_fits_is_whole(void **state)
{
    (void)state;
    char out[6];
    format(out, sizeof(out), "%d", 12345);
    assert_string_equal(out, "12345");
}

static void only_one_is_singular(void **state)
{
    (void)state;
    assert_string_equal(wr_text_plural(0, "message is", "messages are"), "messages are");
    assert_string_equal(wr_text_plural(1, "message is", "messages are"), "message is");
    assert_string_equal(wr_text_plural(2, "message is", "messages are"), "messages are");
    assert_string_equal(wr_text_plural(UINT64_C(0x100000001), "is", "are"), "are");
}

static void longer_text_is_cut_and_ends_in_dots(void **state)
{
    (void)state;
    char out[6];
    format(out, sizeof(out), "%d", 123456);
    assert_string_equal(out, "12...");
}

static void the_cut_splits_no_character(void **state)
{
    (void)state;
    char out[6];
    format(out, sizeof(out), "%s", "a\xC3\xA4\xC3\xA4\xC3\xA4");
    assert_string_equal(out, "a...");
}

static void control_characters_are_shown(void **state)
{
    (void)state;
    char out[64];
    wr_text_escape(out, sizeof(out), "a\n\x1B[1m\x7F\xC2\x9B\xC3\xA4");
    assert_string_equal(out, "a\\x0A\\x1B[1m\\x7F\\xC2\\x9B\xC3\xA4");
}

static void bytes_that_are_no_utf8_are_shown(void **state)
{
    (void)state;
    char out[64];
    wr_text_escape(out, sizeof(out), "\x9B\xC3\xA4\xC3z\xE2\x82\xACz\xE2\x82");
    assert_string_equal(out, "\\x9B\xC3\xA4\\xC3z\xE2\x82\xACz\\xE2\\x82");
}

static void escaped_text_that_just_fits_is_whole(void **state)
{
    (void)state;
    char out[6];
    wr_text_escape(out, sizeof(out), "a\t");
    assert_string_equal(out, "a\\x09");
    wr_text_escape(out, sizeof(out), "abcde");
    assert_string_equal(out, "abcde");
}

static void escaped_text_over_the_limit_ends_in_dots(void **state)
{
    (void)state;
    char out[6];
    wr_text_escape(out, sizeof(out), "ab\t");
    assert_string_equal(out, "ab...");
    wr_text_escape(out, sizeof(out), "abcdef");
    assert_string_equal(out, "ab...");
    wr_text_escape(out, sizeof(out), "\n\n");
    assert_string_equal(out, "\\x...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_just_fits_is_whole),
        cmocka_unit_test(only_one_is_singular),
        cmocka_unit_test(longer_text_is_cut_and_ends_in_dots),
        cmocka_unit_test(the_cut_splits_no_character),
        cmocka_unit_test(control_characters_are_shown),
        cmocka_unit_test(bytes_that_are_no_utf8_are_shown),
        cmocka_unit_test(escaped_text_that_just_fits_is_whole),
        cmocka_unit_test(escaped_text_over_the_limit_ends_in_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
