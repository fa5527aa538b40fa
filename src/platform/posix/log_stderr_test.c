/* SPDX-License-Identifier: MIT
 *
 * Tests of the log's default sink: a line is one write, and who does not read holds nobody up. They
 * stand here because they need pipes.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static void default_sink_writes_a_line_in_one_write(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    wr_log("logger", WEIR_LOG_INFO, "text %d", 1);
    wr_log("logger", WEIR_LOG_WARN, "text %d", 2);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);

    char line[256] = "";
    ssize_t got = read(ends[0], line, sizeof(line) - 1);
    assert_true(got > (ssize_t)WEIR_TIME_SIZE);
    assert_string_equal(line + WEIR_TIME_SIZE - 1, " info  [logger] text 1\n");
    memset(line, 0, sizeof(line));
    got = read(ends[0], line, sizeof(line) - 1);
    assert_true(got > (ssize_t)WEIR_TIME_SIZE);
    assert_string_equal(line + WEIR_TIME_SIZE - 1, " warn  [logger] text 2\n");
    assert_int_equal(read(ends[0], line, sizeof(line)), -1);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static size_t read_all(int from, char *text, size_t size)
{
    size_t end = 0;
    ssize_t got = 0;
    while (end < size && (got = read(from, text + end, size - end)) > 0) {
        end += (size_t)got;
    }
    return end;
}

static void a_reader_that_does_not_read_is_told_how_much_is_missing(void **state)
{
    (void)state;
    static char text[1 << 20];
    const int lines = 1000; /* more than there is room for */
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    for (int i = 0; i < lines; i++) {
        wr_log("logger", WEIR_LOG_INFO, "text %0200d", i);
    }
    size_t size = read_all(ends[0], text, sizeof(text));
    wr_log("logger", WEIR_LOG_INFO, "read again");
    size += read_all(ends[0], text + size, sizeof(text) - 1 - size);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);

    int seen = 0;
    for (const char *at = text; (at = strstr(at, " text 0")) != NULL; at++) {
        seen++;
    }
    char wanted[128];
    (void)snprintf(wanted, sizeof(wanted),
                   "[log] lines missing here, which nobody read in time: %d\n", lines - seen);
    assert_in_range(seen, 1, lines - 2);
    const char *told = strstr(text, wanted);
    assert_non_null(told);
    assert_non_null(strstr(told, "[logger] read again\n"));
    assert_null(strstr(told, " text 0"));
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_sink_writes_a_line_in_one_write),
        cmocka_unit_test(a_reader_that_does_not_read_is_told_how_much_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
