/* SPDX-License-Identifier: MIT
 *
 * The window of unacknowledged messages.
 */
#include "ipc/window.h"

#include "ipc/channel_test.h"

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
    assert_true(size >= sizeof(number));
    return number;
}

static uint64_t next_number(const wr_window *window)
{
    size_t size = 0;
    weir_message *msg = NULL;
    const void *image = wr_window_peek(window, &size);
    assert_non_null(image);
    assert_int_equal(weir_message_decode(image, size, &msg), WEIR_OK);
    uint64_t number = number_of(msg);
    weir_message_unref(msg);
    return number;
}

static void send_to(wr_window *window, uint64_t end)
{
    while (window->next < end) {
        assert_int_equal(next_number(window), window->next);
        wr_window_pass(window);
    }
}

/* All `count` were sent. */
static void end_acknowledged(wr_window *window, uint64_t count)
{
    assert_int_equal(wr_window_acknowledge(window, count), WEIR_OK);
    wr_window_release(window);
    assert_int_equal(window->bytes + window->bytes_waiting, 0);
    wr_window_deinit(window);
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
    size_t size = 0;
    assert_null(wr_window_peek(&window, &size));
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
    assert_int_equal(next_number(&window), 120);
    assert_int_equal(window.sent, 300);
    send_to(&window, 500);
    end_acknowledged(&window, 500);
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

/* Ten, of which six were sent on a connection that is over. */
static void begin_again(wr_window *window)
{
    for (uint64_t n = 0; n < 10; n++) {
        put(window, n);
    }
    send_to(window, 6);
    wr_window_rewind(window, true);
    assert_int_equal(wr_window_acknowledge(window, 7), WEIR_ERR_PROTOCOL);
}

static void what_the_peer_acknowledges_before_it_is_sent_again_is_sent_nevertheless(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    begin_again(&window);
    send_to(&window, 2);
    assert_int_equal(wr_window_acknowledge(&window, 5), WEIR_OK);
    assert_int_equal(window.acknowledged, 2);
    assert_int_equal(next_number(&window), 2);
    send_to(&window, 4);
    assert_int_equal(window.acknowledged, 4);
    send_to(&window, 10);
    assert_int_equal(window.acknowledged, 5);
    end_acknowledged(&window, 10);
}

static void what_was_acknowledged_too_early_is_forgotten_with_the_connection(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    begin_again(&window);
    assert_int_equal(wr_window_acknowledge(&window, 5), WEIR_OK);
    wr_window_rewind(&window, true);
    send_to(&window, 10);
    assert_int_equal(window.acknowledged, 0);
    wr_window_deinit(&window);
}

static void what_the_peer_does_not_expect_is_skipped(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    begin_again(&window);
    assert_int_equal(wr_window_skip(&window, 7), WEIR_ERR_PROTOCOL);
    assert_int_equal(wr_window_skip(&window, 6), WEIR_OK);
    wr_window_rewind(&window, true);
    assert_int_equal(next_number(&window), 6);
    send_to(&window, 10);
    end_acknowledged(&window, 10);
}

static void a_dropped_message_takes_its_acknowledgement_along(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    begin_again(&window);
    assert_int_equal(wr_window_acknowledge(&window, 6), WEIR_OK);
    wr_window_drop(&window);
    assert_int_equal(window.told, 5);
    assert_int_equal(window.sent, 5);
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
    assert_int_equal(next_number(&window), 3);
    wr_window_deinit(&window);
}

static void put_of_size(wr_window *window, uint64_t number, size_t size)
{
    void *content = NULL;
    weir_message *msg = NULL;
    assert_int_equal(weir_message_reserve(NULL, 0, size, &content, &msg), WEIR_OK);
    memset(content, 0, size);
    memcpy(content, &number, sizeof(number));
    assert_int_equal(wr_window_put(window, msg), WEIR_OK);
    weir_message_unref(msg);
}

static void those_over_a_limit_are_dropped_and_the_others_stay_in_order(void **state)
{
    (void)state;
    enum { MOST = 100 };
    static const size_t sizes[] = {MOST, 8, MOST, 8, MOST, MOST, 8};
    wr_window window = {.keep = true};
    for (uint64_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        put_of_size(&window, n, sizes[n]);
    }
    send_to(&window, 4);
    wr_window_rewind(&window, true);
    assert_int_equal(wr_window_drop_over(&window, MOST), 4);
    assert_int_equal(window.end, 3);
    assert_int_equal(window.sent, 2);
    for (uint64_t n = 1; n < 7; n += n == 3 ? 3 : 2) {
        assert_int_equal(next_number(&window), n);
        wr_window_pass(&window);
    }
    assert_int_equal(window.bytes_waiting, 0);
    assert_int_equal(wr_window_drop_over(&window, 0), 0);
    wr_window_deinit(&window);
}

static void assert_given(const wr_window *window, uint64_t first, uint64_t acknowledged,
                         uint64_t end)
{
    size_t count = wr_window_given_count(window);
    assert_int_equal(count, end - first);
    wr_window_given *given = calloc(count + 1, sizeof(*given));
    assert_non_null(given);
    assert_int_equal(wr_window_get_given(window, given), WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(given[i].number, first + i);
        assert_int_equal(number_of(given[i].msg), first + i);
        assert_int_equal(given[i].acknowledged, first + i < acknowledged);
        weir_message_unref(given[i].msg);
    }
    free(given);
}

static void the_last_acknowledged_are_remembered(void **state)
{
    (void)state;
    wr_window window = {.keep = true, .keep_last = 16};
    assert_given(&window, 0, 0, 0);
    for (uint64_t n = 0; n < 200; n++) {
        put(&window, n);
    }
    send_to(&window, 150);
    assert_given(&window, 0, 0, 150);
    assert_int_equal(wr_window_acknowledge(&window, 100), WEIR_OK);
    wr_window_release(&window);
    assert_given(&window, 84, 100, 150);
    wr_window_rewind(&window, true);
    assert_given(&window, 84, 100, 100);
    send_to(&window, 200);
    assert_given(&window, 84, 100, 200);
    assert_int_equal(wr_window_acknowledge(&window, 200), WEIR_OK);
    for (uint64_t n = 200; n < 1000; n++) { /* the ring grows, and goes round */
        put(&window, n);
        send_to(&window, n + 1);
        assert_int_equal(wr_window_acknowledge(&window, n), WEIR_OK);
    }
    wr_window_release(&window);
    assert_given(&window, 983, 999, 1000);
    wr_window_deinit(&window);
}

static void a_peer_that_does_not_acknowledge_was_given_what_was_sent(void **state)
{
    (void)state;
    wr_window window = {.keep = false, .keep_last = 4};
    for (uint64_t n = 0; n < 100; n++) {
        put(&window, n);
    }
    send_to(&window, 90);
    assert_given(&window, 86, 90, 90);
    wr_window_deinit(&window);
}

static void put_large(wr_window *window, size_t size)
{
    void *content;
    weir_message *msg;
    assert_int_equal(weir_message_reserve(NULL, 0, size, &content, &msg), WEIR_OK);
    memset(content, 0, size);
    assert_int_equal(wr_window_put(window, msg), WEIR_OK);
    weir_message_unref(msg);
    wr_window_pass(window);
}

static void what_is_remembered_does_not_fill_the_window(void **state)
{
    (void)state;
    wr_window window = {.keep = true, .keep_last = 16};
    for (unsigned n = 0; n < 8; n++) {
        put_large(&window, WR_WINDOW_BYTES / 8);
    }
    assert_true(wr_window_full(&window));
    assert_int_equal(wr_window_acknowledge(&window, 8), WEIR_OK);
    wr_window_release(&window);
    assert_false(wr_window_full(&window));
    assert_int_equal(window.bytes, 0);
    for (unsigned n = 0; n < 7; n++) {
        put_large(&window, WR_WINDOW_BYTES / 8);
        assert_false(wr_window_full(&window));
    }
    wr_window_deinit(&window);
}

static void a_message_over_the_limit_finds_the_room_that_was_acknowledged(void **state)
{
    (void)state;
    wr_window window = {.keep = true};
    for (unsigned n = 0; n < 8; n++) {
        put_large(&window, WR_WINDOW_BYTES / 8);
    }
    assert_int_equal(wr_window_acknowledge(&window, 8), WEIR_OK);
    weir_message *msg = numbered(8);
    weir_err err;
    assert_int_equal(wr_window_send(&window, NULL, &msg, 1, 1, &err), 0);
    assert_int_equal(err, WEIR_OK);
    assert_false(wr_window_full(&window)); /* no acknowledgement will come that could say so */
    weir_message_unref(msg);
    wr_window_deinit(&window);
}

static void large_messages_are_remembered_up_to_a_limit_of_bytes(void **state)
{
    (void)state;
    wr_window window = {.keep = true, .keep_last = 16};
    for (uint64_t n = 0; n < 32; n++) {
        put_large(&window, 64 * 1024);
        assert_int_equal(wr_window_acknowledge(&window, n + 1), WEIR_OK);
        wr_window_release(&window);
        assert_true(window.bytes_kept <= WR_WINDOW_KEPT_BYTES);
    }
    assert_int_equal(wr_window_given_count(&window), 3); /* of 64 KiB and a header */
    put_large(&window, WR_WINDOW_KEPT_BYTES);
    assert_int_equal(wr_window_acknowledge(&window, 33), WEIR_OK);
    wr_window_release(&window);
    assert_int_equal(wr_window_given_count(&window), 0);
    assert_int_equal(window.bytes_kept, 0);
    wr_window_deinit(&window);
}

static void small_and_large_ones_are_sent_again_in_order(void **state)
{
    (void)state;
    unsigned char large[2 * WR_WINDOW_COPY_MAX] = {0};
    wr_window window = {.keep = true, .keep_last = 16};
    for (uint64_t n = 0; n < 300; n++) {
        weir_message *msg = NULL;
        memcpy(large, &n, sizeof(n));
        size_t size = n % 3 == 0 ? sizeof(large) : sizeof(n);
        assert_int_equal(weir_message_new(NULL, 0, large, size, &msg), WEIR_OK);
        assert_int_equal(wr_window_put(&window, msg), WEIR_OK);
        weir_message_unref(msg);
        wr_window_pass(&window);
        if (n == 199) {
            assert_int_equal(wr_window_acknowledge(&window, 100), WEIR_OK);
        }
    }
    wr_window_rewind(&window, true);
    for (uint64_t n = 100; n < 300; n++) {
        size_t size = 0;
        weir_message *msg = NULL;
        const void *image = wr_window_peek(&window, &size);
        assert_non_null(image);
        assert_int_equal(weir_message_decode(image, size, &msg), WEIR_OK);
        assert_memory_equal(weir_message_content(msg, &size), &n, sizeof(n));
        assert_int_equal(size, n % 3 == 0 ? sizeof(large) : sizeof(n));
        weir_message_unref(msg);
        wr_window_pass(&window);
    }
    wr_window_deinit(&window);
}

/* Two ends of a message channel, and what has come to the second. */
typedef struct ends {
    wr_channel *a;
    wr_channel *b;
    uint64_t arrived;
} ends;

static void take_arrived(ends *e)
{
    weir_message *msg;
    while ((msg = receive(e->b)) != NULL) {
        assert_int_equal(number_of(msg), e->arrived);
        e->arrived++;
        weir_message_unref(msg);
    }
}

/* The first message to come has this number. */
static void begin_at(ends *e, uint64_t first)
{
    *e = (ends){.arrived = first};
    open_ends(&e->a, &e->b, false);
}

static void close_ends(ends *e)
{
    wr_channel_destroy(e->a);
    wr_channel_destroy(e->b);
}

/* Send numbers below `end`, those that wait first, and see them arrive. */
static void send_through(wr_window *window, ends *e, uint64_t end)
{
    while (wr_window_waiting(window) > 0) {
        assert_int_equal(wr_window_send_next(window, e->a), WEIR_OK);
        assert_int_equal(wr_channel_flush(e->a), WEIR_OK);
        take_arrived(e);
    }
    for (uint64_t n = window->next; n < end; n++) {
        unsigned char content[900] = {0};
        weir_message *msg = NULL;
        memcpy(content, &n, sizeof(n));
        assert_int_equal(weir_message_new(NULL, 0, content, sizeof(content), &msg), WEIR_OK);
        assert_int_equal(wr_window_give(window, e->a, msg), WEIR_OK);
        weir_message_unref(msg);
        take_arrived(e);
    }
    assert_int_equal(wr_channel_flush(e->a), WEIR_OK);
    take_arrived(e);
    assert_int_equal(e->arrived, end);
}

/* While frames wait to be written the ring of copies cannot move: then messages are held by
 * reference, in between. */
static void copies_and_references_are_sent_again_in_order(void **state)
{
    (void)state;
    static const struct {
        uint64_t acknowledged;
        uint64_t end;
    } turns[] = {{0, 200}, {18, 300}, {60, 500}, {250, 501}};
    wr_window window = {.keep = true, .keep_last = 16};
    bool copies = false;
    bool references = false;
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        ends e;
        assert_int_equal(wr_window_acknowledge(&window, turns[i].acknowledged), WEIR_OK);
        wr_window_rewind(&window, true);
        begin_at(&e, turns[i].acknowledged);
        send_through(&window, &e, turns[i].end);
        for (uint64_t n = window.base; n < window.end; n++) {
            bool copied = window.ring[n & (window.capacity - 1)].copied;
            copies = copies || copied;
            references = references || !copied;
        }
        close_ends(&e);
    }
    assert_true(copies && references);
    wr_window_deinit(&window);
}

static void what_a_burst_needed_is_given_back(void **state)
{
    (void)state;
    ends e;
    wr_window window = {.keep = true, .keep_last = 16};
    begin_at(&e, 0);
    send_through(&window, &e, 2000);
    size_t capacity = window.capacity;
    uint64_t bytes = window.copies.capacity;
    assert_true(wr_window_shrink(&window, e.a)); /* all of it is in use */
    assert_int_equal(window.capacity, capacity);
    assert_int_equal(window.copies.capacity, bytes);
    assert_int_equal(wr_window_acknowledge(&window, 1990), WEIR_OK);
    assert_true(wr_window_shrink(&window, e.a));
    assert_in_range(window.capacity, 26, 128);
    assert_in_range(window.copies.capacity, 1, 64 * 1024);
    assert_given(&window, 1974, 1990, 2000);
    send_through(&window, &e, 2300);
    close_ends(&e);
    wr_window_rewind(&window, true);
    begin_at(&e, 1990);
    send_through(&window, &e, 2300);
    assert_given(&window, 1974, 1990, 2300);
    close_ends(&e);
    wr_window_deinit(&window);
}

static void frames_that_wait_to_be_written_stay_where_they_are(void **state)
{
    (void)state;
    ends e;
    wr_window window = {.keep = true};
    begin_at(&e, 0);
    send_through(&window, &e, 1000);
    assert_int_equal(wr_window_acknowledge(&window, 1000), WEIR_OK);
    weir_message *msg = numbered(1000);
    assert_int_equal(wr_window_give(&window, e.a, msg), WEIR_OK);
    weir_message_unref(msg);
    size_t capacity = window.capacity;
    assert_false(wr_window_shrink(&window, e.a));
    assert_int_equal(window.capacity, capacity);
    assert_int_equal(wr_channel_flush(e.a), WEIR_OK);
    assert_true(wr_window_shrink(&window, e.a));
    assert_true(window.capacity < capacity);
    take_arrived(&e);
    assert_int_equal(e.arrived, 1001);
    close_ends(&e);
    wr_window_deinit(&window);
}

static void few_messages_may_be_more_bytes_where_memory_is_shared(void **state)
{
    (void)state;
    const uint64_t small = WR_WINDOW_BYTES;
    const uint64_t large = WR_WINDOW_BYTES_SHARED;
    assert_true(wr_window_is_part(1, small, 1, false));
    assert_false(wr_window_is_part(1, small - 1, 1, false));
    assert_false(wr_window_is_part(WR_WINDOW_FEW - 1, large - 1, 1, true));
    assert_true(wr_window_is_part(WR_WINDOW_FEW - 1, large, 1, true));
    assert_true(wr_window_is_part(WR_WINDOW_FEW, small, 1, true));
    assert_false(wr_window_is_part(WR_WINDOW_FEW, small - 1, 1, true));
    assert_true(wr_window_is_part(WR_WINDOW_MESSAGES, 0, 1, true));
    assert_true(wr_window_is_part(WR_WINDOW_MESSAGES / 4, 0, 4, false));
    assert_false(wr_window_is_part(WR_WINDOW_FEW / 4 - 1, large / 4 - 1, 4, true));
    assert_true(wr_window_is_part(WR_WINDOW_FEW / 4, small / 4, 4, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_acknowledgement_nothing_is_kept),
        cmocka_unit_test(what_is_not_acknowledged_is_sent_again_in_order),
        cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_is_refused),
        cmocka_unit_test(what_the_peer_acknowledges_before_it_is_sent_again_is_sent_nevertheless),
        cmocka_unit_test(what_was_acknowledged_too_early_is_forgotten_with_the_connection),
        cmocka_unit_test(what_the_peer_does_not_expect_is_skipped),
        cmocka_unit_test(a_dropped_message_takes_its_acknowledgement_along),
        cmocka_unit_test(what_is_acknowledged_is_released_while_more_is_put),
        cmocka_unit_test(it_is_full_at_its_limit_of_messages),
        cmocka_unit_test(a_dropped_message_leaves_no_gap_in_the_numbers),
        cmocka_unit_test(those_over_a_limit_are_dropped_and_the_others_stay_in_order),
        cmocka_unit_test(the_last_acknowledged_are_remembered),
        cmocka_unit_test(a_peer_that_does_not_acknowledge_was_given_what_was_sent),
        cmocka_unit_test(what_is_remembered_does_not_fill_the_window),
        cmocka_unit_test(small_and_large_ones_are_sent_again_in_order),
        cmocka_unit_test(copies_and_references_are_sent_again_in_order),
        cmocka_unit_test(a_message_over_the_limit_finds_the_room_that_was_acknowledged),
        cmocka_unit_test(large_messages_are_remembered_up_to_a_limit_of_bytes),
        cmocka_unit_test(what_a_burst_needed_is_given_back),
        cmocka_unit_test(frames_that_wait_to_be_written_stay_where_they_are),
        cmocka_unit_test(few_messages_may_be_more_bytes_where_memory_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
