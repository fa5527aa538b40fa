/* SPDX-License-Identifier: MIT
 *
 * When a mark is settled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remote/marks.h"

static void settle(wr_marks *marks, uint64_t next, uint64_t queued, uint64_t written)
{
    wr_marks_settle(marks, &(wr_sent){.next = next, .queued = queued, .written = written});
}

static void mark_without_messages_is_settled_at_once(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    wr_marks_add(&marks, (wr_progress){3, 300}, 0);
    settle(&marks, 0, 0, 0);
    assert_int_equal(marks.settled.count, 3);
    assert_int_equal(marks.settled.bytes, 300);
    assert_int_equal(marks.count, 0);
}

static void mark_waits_until_its_messages_are_written(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    wr_marks_add(&marks, (wr_progress){1, 10}, 2);
    settle(&marks, 1, 100, 100); /* the second waits in the queue */
    assert_int_equal(marks.settled.count, 0);
    settle(&marks, 2, 200, 150); /* and now in the channel */
    assert_int_equal(marks.settled.count, 0);
    settle(&marks, 5, 500, 199);
    assert_int_equal(marks.settled.count, 0);
    settle(&marks, 5, 500, 200);
    assert_int_equal(marks.settled.count, 1);
}

static void older_marks_are_settled_while_newer_ones_wait(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    wr_marks_add(&marks, (wr_progress){1, 10}, 1);
    wr_marks_add(&marks, (wr_progress){2, 20}, 2);
    settle(&marks, 1, 100, 0);
    settle(&marks, 2, 200, 100);
    assert_int_equal(marks.settled.count, 1);
    assert_int_equal(marks.count, 1);
    settle(&marks, 2, 300, 200);
    assert_int_equal(marks.settled.count, 2);
}

static void marks_beyond_the_most_move_the_newest_on(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    for (uint64_t n = 1; n <= WR_MARKS_MAX + 10; n++) {
        wr_marks_add(&marks, (wr_progress){n, n}, n);
    }
    assert_int_equal(marks.count, WR_MARKS_MAX);
    settle(&marks, WR_MARKS_MAX - 1, 100, 100);
    assert_int_equal(marks.settled.count, WR_MARKS_MAX - 1);
    settle(&marks, WR_MARKS_MAX + 9, 200, 200);
    assert_int_equal(marks.settled.count, WR_MARKS_MAX - 1);
    settle(&marks, WR_MARKS_MAX + 10, 300, 300);
    assert_int_equal(marks.settled.count, WR_MARKS_MAX + 10);
}

static void new_channel_must_be_given_the_messages_again(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    wr_marks_add(&marks, (wr_progress){1, 10}, 1);
    settle(&marks, 1, 100, 50);
    wr_marks_restart(&marks);
    settle(&marks, 0, 0, 0);
    assert_int_equal(marks.settled.count, 0);
    settle(&marks, 1, 60, 60);
    assert_int_equal(marks.settled.count, 1);
}

static void reset_forgets_the_marks(void **state)
{
    (void)state;
    wr_marks marks = {.count = 0};
    wr_marks_add(&marks, (wr_progress){9, 90}, 0);
    wr_marks_reset(&marks, (wr_progress){4, 40});
    settle(&marks, 5, 100, 100);
    assert_int_equal(marks.settled.count, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mark_without_messages_is_settled_at_once),
        cmocka_unit_test(mark_waits_until_its_messages_are_written),
        cmocka_unit_test(older_marks_are_settled_while_newer_ones_wait),
        cmocka_unit_test(marks_beyond_the_most_move_the_newest_on),
        cmocka_unit_test(new_channel_must_be_given_the_messages_again),
        cmocka_unit_test(reset_forgets_the_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
