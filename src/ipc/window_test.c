/* SPDX-License-Identifier: MIT
 *
 * The window of unacknowledged messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/window.h"

static weir_message *numbered(uint64_t number)
{
    weir_message *msg = NULL;
    assert_int_equal(weir_message_new(NULL, 0, &number, sizeof(number), &msg), WEIR_OK);
    return msg;
}

static void put(wr_window *window, uint64_t number)
{
    weir_message *msg = numbered(number);
    assert_int_equal(wr_window_put(window, msg), WEIR_OK);
    weir_message_unref(msg);
}

static uint64_t number_of(const weir_message *msg)
{
    uint64_t number = 0;
    size_t size = 0;
    assert_non_null(msg);
    memcpy(&number, weir_message_content(msg, &size), sizeof(number));
    assert_int_equal(size, sizeof(number));
    return number;
}

static void send_to(wr_window *window, uint64_t end)
{
    while (window->next < end) {
        assert_int_equal(number_of(wr_window_peek(window)), window->next);
        wr_window_pass(window);
    }
}

static void without_acknowledgement_nothing_is_kept(void **state)
{
    (void)state;
    wr_window window = {.keep = false};
    for (uint64_t n = 0; n < 1000; n++) {
        put(&window, n);
        send_to(&window, n + 1);
        assert_int_equal(window.base, n + 1);
        assert_int_equal(window.bytes + window.bytes_waiting, 0);
    }
    assert_null(wr_window_peek(&window));
    wr_window_deinit(&window);
}

static void what_is_not_acknowledged_is_sent_again_in_order(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < 500; n++) {
        put(&window, n);
    }
    send_to(&window, 300);
    assert_int_equal(wr_window_acknowledge(&window, 120), WEIR_OK);
    wr_window_rewind(&window, true);
    assert_int_equal(wr_window_waiting(&window), 380);
    assert_int_equal(number_of(wr_window_peek(&window)), 120);
    assert_int_equal(window.sent, 300);
    send_to(&window, 500);
    assert_int_equal(wr_window_acknowledge(&window, 500), WEIR_OK);
    wr_window_release(&window);
    assert_int_equal(window.bytes + window.bytes_waiting, 0);
    wr_window_deinit(&window);
}

static void an_acknowledgement_of_what_was_never_sent_is_refused(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    put(&window, 0);
    put(&window, 1);
    send_to(&window, 1);
    assert_int_equal(wr_window_acknowledge(&window, 2), WEIR_ERR_PROTOCOL);
    assert_int_equal(wr_window_acknowledge(&window, 1), WEIR_OK);
    assert_int_equal(wr_window_acknowledge(&window, 0), WEIR_OK); /* old news */
    assert_int_equal(window.acknowledged, 1);
    wr_window_deinit(&window);
}

static void what_an_earlier_connection_sent_can_be_acknowledged_on_the_next(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < 10; n++) {
        put(&window, n);
    }
    send_to(&window, 6);
    wr_window_rewind(&window, true);
    assert_int_equal(wr_window_acknowledge(&window, 7), WEIR_ERR_PROTOCOL);
    assert_int_equal(wr_window_acknowledge(&window, 6), WEIR_OK);
    assert_int_equal(number_of(wr_window_peek(&window)), 6);
    send_to(&window, 10);
    assert_int_equal(wr_window_acknowledge(&window, 10), WEIR_OK);
    wr_window_release(&window);
    assert_int_equal(window.bytes + window.bytes_waiting, 0);
    wr_window_deinit(&window);
}

static void what_is_acknowledged_is_released_while_more_is_put(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < 100; n++) {
        put(&window, n);
    }
    send_to(&window, 100);
    assert_int_equal(wr_window_acknowledge(&window, 100), WEIR_OK);
    assert_int_equal(window.base, 0);
    for (uint64_t n = 100; n < 150; n++) {
        put(&window, n);
    }
    assert_int_equal(window.base, 100);
    wr_window_deinit(&window);
}

static void it_is_full_at_its_limit_of_messages(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < WR_WINDOW_MESSAGES; n++) {
        assert_false(wr_window_full(&window));
        put(&window, n);
        wr_window_pass(&window);
    }
    assert_true(wr_window_full(&window));
    assert_int_equal(wr_window_acknowledge(&window, 1), WEIR_OK);
    assert_false(wr_window_full(&window));
    wr_window_deinit(&window);
}

static void a_dropped_message_leaves_no_gap_in_the_numbers(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < 5; n++) {
        put(&window, n);
    }
    send_to(&window, 2);
    wr_window_drop(&window);
    assert_int_equal(window.end, 4);
    assert_int_equal(number_of(wr_window_peek(&window)), 3);
    wr_window_deinit(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_acknowledgement_nothing_is_kept),
        cmocka_unit_test(what_is_not_acknowledged_is_sent_again_in_order),
        cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_is_refused),
        cmocka_unit_test(what_an_earlier_connection_sent_can_be_acknowledged_on_the_next),
        cmocka_unit_test(what_is_acknowledged_is_released_while_more_is_put),
        cmocka_unit_test(it_is_full_at_its_limit_of_messages),
        cmocka_unit_test(a_dropped_message_leaves_no_gap_in_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
