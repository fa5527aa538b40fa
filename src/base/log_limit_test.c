/* SPDX-License-Identifier: MIT
 *
 * Tests of the limit of log lines, with a clock of their own.
 */
#include "base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define START_NS 5000000000u
#define SECOND_NS 1000000000u

static struct {
    unsigned lines;
    unsigned counts; /* lines that say how many were left out */
    char count_text[128];
} seen;

static void note(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    assert_string_equal(who, "peer");
    if (strstr(text, "left out") != NULL) {
        seen.counts++;
        (void)snprintf(seen.count_text, sizeof(seen.count_text), "%s", text);
        return;
    }
    seen.lines++;
}

static int begin(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    weir_log_set_sink(note, NULL);
    weir_log_set_level(WEIR_LOG_INFO);
    return 0;
}

static void write_lines(wr_log_limit *limit, uint64_t now_ns, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        wr_log_limited(limit, now_ns, "peer", WEIR_LOG_WARN, "line %u", i);
    }
}

static void a_burst_is_written_and_the_rest_left_out(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    write_lines(&limit, START_NS, WR_LOG_LIMIT_BURST);
    assert_int_equal(seen.lines, WR_LOG_LIMIT_BURST);
    write_lines(&limit, START_NS, 7);
    assert_int_equal(seen.lines, WR_LOG_LIMIT_BURST);
    assert_int_equal(seen.counts, 0);
}

static void what_was_left_out_is_counted_and_said(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    write_lines(&limit, START_NS, WR_LOG_LIMIT_BURST + 7);
    write_lines(&limit, START_NS + SECOND_NS, 1);
    assert_int_equal(seen.lines, WR_LOG_LIMIT_BURST + 1);
    assert_int_equal(seen.counts, 1);
    assert_string_equal(seen.count_text, "7 lines are left out: too many came");
    write_lines(&limit, START_NS + SECOND_NS, 1);
    assert_int_equal(seen.counts, 1);
}

static void what_was_left_out_is_said_without_a_further_line(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    write_lines(&limit, START_NS, WR_LOG_LIMIT_BURST + 7);
    wr_log_limit_tell(&limit, START_NS, "peer");
    assert_string_equal(seen.count_text, "7 lines are left out: too many came");
    write_lines(&limit, START_NS, 1);
    wr_log_limit_tell(&limit, START_NS + SECOND_NS - 1, "peer");
    assert_int_equal(seen.counts, 1);
    wr_log_limit_tell(&limit, START_NS + SECOND_NS, "peer");
    assert_string_equal(seen.count_text, "1 line is left out: too many came");
    wr_log_limit_tell(&limit, START_NS + 2 * SECOND_NS, "peer");
    assert_int_equal(seen.counts, 2);
}

static void a_flood_writes_so_many_lines_in_a_second(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    write_lines(&limit, START_NS, 2 * WR_LOG_LIMIT_BURST);
    for (uint64_t i = 1; i <= 60000; i++) { /* a line each millisecond for a minute */
        write_lines(&limit, START_NS + i * (SECOND_NS / 1000), 1);
    }
    assert_int_equal(seen.lines, WR_LOG_LIMIT_BURST + 60 * WR_LOG_LIMIT_PER_S);
}

static void after_some_silence_a_whole_burst_is_written_again(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    uint64_t silence_ns = (uint64_t)WR_LOG_LIMIT_BURST / WR_LOG_LIMIT_PER_S * SECOND_NS;
    write_lines(&limit, START_NS, WR_LOG_LIMIT_BURST);
    write_lines(&limit, START_NS + silence_ns, WR_LOG_LIMIT_BURST + 1);
    assert_int_equal(seen.lines, 2 * WR_LOG_LIMIT_BURST);
}

static void lines_below_the_level_are_not_counted(void **state)
{
    (void)state;
    wr_log_limit limit = {0};
    for (unsigned i = 0; i < 2 * WR_LOG_LIMIT_BURST; i++) {
        wr_log_limited(&limit, START_NS, "peer", WEIR_LOG_DEBUG, "no");
    }
    write_lines(&limit, START_NS, 1);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.counts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_burst_is_written_and_the_rest_left_out, begin),
        cmocka_unit_test_setup(what_was_left_out_is_counted_and_said, begin),
        cmocka_unit_test_setup(what_was_left_out_is_said_without_a_further_line, begin),
        cmocka_unit_test_setup(a_flood_writes_so_many_lines_in_a_second, begin),
        cmocka_unit_test_setup(after_some_silence_a_whole_burst_is_written_again, begin),
        cmocka_unit_test_setup(lines_below_the_level_are_not_counted, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
