/* SPDX-License-Identifier: MIT
 *
 * Tests of the log: what reaches the sink. (The default sink: platform/posix/log_stderr_test.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"

typedef struct captured {
    unsigned count;
    weir_log_level level;
    char who[256];
    char text[WEIR_LOG_TEXT_MAX + 1];
} captured;

static void capture(void *user, weir_log_level level, const char *who, const char *text)
{
    captured *line = user;
    line->count++;
    line->level = level;
    (void)snprintf(line->who, sizeof(line->who), "%s", who);
    (void)snprintf(line->text, sizeof(line->text), "%s", text);
}

static captured last;

static int begin(void **state)
{
    (void)state;
    last = (captured){0};
    weir_log_set_sink(capture, &last);
    weir_log_set_level(WEIR_LOG_INFO);
    return 0;
}

static void line_reaches_the_sink(void **state)
{
    (void)state;
    wr_log("logger", WEIR_LOG_WARN, "%d of %s", 3, "four");
    assert_int_equal(last.count, 1);
    assert_int_equal(last.level, WEIR_LOG_WARN);
    assert_string_equal(last.who, "logger");
    assert_string_equal(last.text, "3 of four");
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    wr_log("x", WEIR_LOG_DEBUG, "no");
    assert_int_equal(last.count, 0);
    assert_false(wr_log_wants(WEIR_LOG_DEBUG));
    weir_log_set_level(WEIR_LOG_DEBUG);
    wr_log("x", WEIR_LOG_DEBUG, "yes");
    assert_int_equal(last.count, 1);
    weir_log_set_level(WEIR_LOG_ERROR);
    wr_log("x", WEIR_LOG_WARN, "no");
    assert_int_equal(last.count, 1);
}

static void one_event_is_one_line(void **state)
{
    (void)state;
    wr_log("two\nlines", WEIR_LOG_INFO, "first\nsecond");
    assert_string_equal(last.who, "two\\x0Alines");
    assert_string_equal(last.text, "first\\x0Asecond");
}

static void long_text_is_cut(void **state)
{
    (void)state;
    char text[WEIR_LOG_TEXT_MAX + 2];
    memset(text, 'b', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    wr_log("x", WEIR_LOG_INFO, "%s", text);
    assert_int_equal(strlen(last.text), WEIR_LOG_TEXT_MAX);
    assert_string_equal(last.text + WEIR_LOG_TEXT_MAX - 4, "b...");
    text[WEIR_LOG_TEXT_MAX] = '\0';
    wr_log("x", WEIR_LOG_INFO, "%s", text);
    assert_string_equal(last.text, text);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(weir_log_level_name(WEIR_LOG_ERROR), "error");
    assert_string_equal(weir_log_level_name(WEIR_LOG_WARN), "warn");
    assert_string_equal(weir_log_level_name(WEIR_LOG_INFO), "info");
    assert_string_equal(weir_log_level_name(WEIR_LOG_DEBUG), "debug");
    assert_string_equal(weir_log_level_name((weir_log_level)9), "?");
}

static void time_has_its_form(void **state)
{
    (void)state;
    char now[WEIR_TIME_SIZE];
    weir_time_now(now);
    assert_int_equal(strlen(now), WEIR_TIME_SIZE - 1);
    for (size_t i = 0; i < sizeof("dddd-dd-ddTdd:dd:dd.dddZ") - 1; i++) {
        char wanted = "dddd-dd-ddTdd:dd:dd.dddZ"[i];
        bool digit = now[i] >= '0' && now[i] <= '9';
        assert_true(wanted == 'd' ? digit : now[i] == wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(line_reaches_the_sink, begin),
        cmocka_unit_test_setup(lines_below_the_level_are_dropped, begin),
        cmocka_unit_test_setup(one_event_is_one_line, begin),
        cmocka_unit_test_setup(long_text_is_cut, begin),
        cmocka_unit_test_setup(levels_have_names, begin),
        cmocka_unit_test_setup(time_has_its_form, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
