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
#include <stdlib.h>
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

/* How many lines this text has, or says that it lacks. */
static long count_lines(const char *text)
{
    static const char missing[] = "[log] lines missing here, which nobody read in time: ";
    long count = 0;
    for (const char *at = text; (at = strstr(at, "[logger] ")) != NULL; at++) {
        count++;
    }
    for (const char *at = text; (at = strstr(at, missing)) != NULL; at++) {
        count += strtol(at + strlen(missing), NULL, 10);
    }
    return count;
}

/* Log to `to`, of which nobody reads at first, and find all lines at `from`, there or missing. */
static void check_told(int to, int from)
{
    static char text[1 << 20];
    long lines = 1000; /* more than there is room for */
    size_t size = 0;
    int saved = dup(STDERR_FILENO);
    assert_int_equal(fcntl(from, F_SETFL, O_NONBLOCK), 0);
    assert_true(dup2(to, STDERR_FILENO) >= 0);
    for (long i = 0; i < lines; i++) {
        wr_log("logger", WEIR_LOG_INFO, "text %0200ld", i);
    }
    memset(text, 0, sizeof(text));
    while (count_lines(text) < lines) {
        size += read_all(from, text + size, sizeof(text) - 1 - size);
        if (strstr(text, "read again") == NULL) {
            wr_log("logger", WEIR_LOG_INFO, "read again");
            lines++;
        }
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_int_equal(count_lines(text), lines);
    assert_non_null(strstr(text, "lines missing"));
}

static void a_reader_that_does_not_read_is_told_how_much_is_missing(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_told(ends[1], ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* Which may have room for a part of a line. */
static void so_is_a_terminal(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    check_told(terminal, master);
    close(terminal);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_sink_writes_a_line_in_one_write),
        cmocka_unit_test(a_reader_that_does_not_read_is_told_how_much_is_missing),
        cmocka_unit_test(so_is_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
