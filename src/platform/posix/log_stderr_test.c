/* SPDX-License-Identifier: MIT
 *
 * Test of the log's default sink: a line is one write. It stands here because it needs a pipe that
 * keeps writes apart.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_sink_writes_a_line_in_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
