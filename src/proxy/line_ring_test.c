/* SPDX-License-Identifier: MIT
 *
 * The ring of a process's last lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/line_ring.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(wr_line_ring));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void an_empty_ring_has_no_lines(void **state)
{
    wr_line_ring *ring = *state;
    assert_null(wr_line_ring_next(ring, NULL));
}

static void lines_come_oldest_first(void **state)
{
    wr_line_ring *ring = *state;
    wr_line_ring_add(ring, "one");
    wr_line_ring_add(ring, "");
    wr_line_ring_add(ring, "three");
    const char *line = wr_line_ring_next(ring, NULL);
    assert_string_equal(line, "one");
    line = wr_line_ring_next(ring, line);
    assert_string_equal(line, "");
    line = wr_line_ring_next(ring, line);
    assert_string_equal(line, "three");
    assert_null(wr_line_ring_next(ring, line));
}

static void the_oldest_lines_make_room(void **state)
{
    wr_line_ring *ring = *state;
    char text[32];
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(text, sizeof(text), "line %d", i);
        wr_line_ring_add(ring, text);
        assert_true(ring->size <= WR_LINE_RING_BYTES);
    }
    int count = 0;
    const char *last = NULL;
    for (const char *line = NULL; (line = wr_line_ring_next(ring, line)) != NULL; last = line) {
        count++;
    }
    assert_string_equal(last, "line 9999");
    assert_int_equal(count, WR_LINE_RING_BYTES / sizeof("line 9999"));
    (void)snprintf(text, sizeof(text), "line %d", 10000 - count);
    assert_string_equal(wr_line_ring_next(ring, NULL), text);
}

static void a_line_as_long_as_the_ring_is_cut_and_alone(void **state)
{
    wr_line_ring *ring = *state;
    static char text[WR_LINE_RING_BYTES + 100];
    memset(text, 'x', sizeof(text) - 1);
    wr_line_ring_add(ring, "before");
    wr_line_ring_add(ring, text);
    const char *line = wr_line_ring_next(ring, NULL);
    assert_int_equal(strlen(line), WR_LINE_RING_BYTES - 1);
    assert_null(wr_line_ring_next(ring, line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_ring_has_no_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_come_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_lines_make_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_as_long_as_the_ring_is_cut_and_alone, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
