/* SPDX-License-Identifier: MIT
 *
 * Tests of shared memory on a message channel: two ends.
 */
#include "ipc/sharing_test.h"

/* ---- two ends ---- */

typedef struct ends {
    wr_channel *a;
    wr_channel *b;
} ends;

static int set_up(void **state)
{
    ends *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    open_ends(&e->a, &e->b, true);
    *state = e;
    return 0;
}

static int tear_down(void **state)
{
    ends *e = *state;
    wr_message_place_set(NULL);
    wr_channel_destroy(e->a);
    wr_channel_destroy(e->b);
    free(e);
    return 0;
}

/* The other end answers with its own pool. */
static void settle(ends *e)
{
    assert_int_equal(WEIR_OK, wr_channel_flush(e->b));
    assert_null(receive(e->a));
    assert_int_equal(WEIR_OK, wr_channel_flush(e->a));
    assert_null(receive(e->b));
    assert_false(wr_channel_owes(e->a));
    assert_false(wr_channel_owes(e->b));
}

static void large_message_is_not_copied_to_its_reader(void **state)
{
    ends *e = *state;
    weir_message *msg = make(LARGE, 0);
    send(e->a, msg);
    assert_true(wr_channel_unsent(e->a) < 100);
    weir_message *got = move(e->a, e->b);
    assert_same(msg, got);
    assert_true(wr_sharing_is_borrowed(got));
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void small_message_travels_as_ever(void **state)
{
    ends *e = *state;
    weir_message *msg = make(100, 0);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    assert_same(msg, got);
    assert_false(is_view(got));
    assert_false(wr_channel_owes(e->b));
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void pool_is_answered_by_a_pool(void **state)
{
    ends *e = *state;
    weir_message *msg = make(LARGE, 0);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    assert_true(wr_channel_owes(e->b));
    settle(e);
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void message_made_in_its_place_is_lent_where_it_is(void **state)
{
    ends *e = *state;
    wr_channel_set_place(e->a);
    weir_message *msg = make(LARGE, 3);
    assert_true(is_view(msg));
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    assert_same(msg, got);
    /* Both see one memory. */
    size_t size = 0;
    ((uint8_t *)(uintptr_t)weir_message_content(msg, &size))[77] = 0xee;
    assert_int_equal(0xee, ((const uint8_t *)weir_message_content(got, &size))[77]);
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void what_comes_back_is_what_was_lent(void **state)
{
    ends *e = *state;
    wr_channel_set_place(e->a);
    weir_message *msg = make(LARGE, 3);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    send(e->b, got);
    weir_message_unref(got);
    weir_message *back = move(e->b, e->a);
    assert_same(msg, back);
    size_t size = 0;
    assert_ptr_equal(weir_message_image(msg, &size), weir_message_image(back, &size));
    weir_message_unref(msg);
    /* It may go there and back again. */
    send(e->a, back);
    weir_message *again = move(e->a, e->b);
    assert_same(back, again);
    weir_message_unref(again);
    weir_message_unref(back);
}

/* So often that the pool must have been given back many times. */
static void memory_is_used_again(void **state)
{
    ends *e = *state;
    uint64_t highest = 0;
    wr_channel_set_place(e->a);
    const wr_message_origin *first = NULL;
    for (unsigned i = 0; i < 5000; i++) {
        weir_message *msg = make(LARGE, i);
        const wr_message_origin *origin = wr_message_get_origin(msg);
        assert_non_null(origin);
        first = first == NULL ? origin : first;
        send(e->a, msg);
        weir_message *got = move(e->a, e->b);
        assert_true(wr_sharing_is_borrowed(got));
        if (i == 0) {
            settle(e);
        }
        if (i == 1) {
            highest = (uint64_t)(uintptr_t)origin->image;
        }
        if (i > 1) {
            assert_true((uint64_t)(uintptr_t)origin->image < highest + 64 * LARGE);
        }
        weir_message_unref(got);
        weir_message_unref(msg);
    }
}

static void sizes_of_all_kinds_arrive_in_order(void **state)
{
    enum { COUNT = 4000, AHEAD = 50 };
    ends *e = *state;
    weir_message *sent[COUNT];
    uint32_t seed = 0;
    wr_random_fill(&seed, sizeof(seed));
    print_message("seed %u\n", seed);
    wr_channel_set_place(e->a);
    size_t next = 0;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = (seed >> 8) % 4 == 0 ? (seed >> 12) % 300000 : (seed >> 12) % 6000;
        sent[i] = make(size, seed);
        weir_err err = wr_channel_send(e->a, sent[i]);
        while (err == WEIR_ERR_WOULD_BLOCK || i - next > AHEAD) {
            weir_message *got = move(e->a, e->b);
            assert_same(sent[next], got);
            weir_message_unref(got);
            weir_message_unref(sent[next++]);
            assert_int_equal(WEIR_OK, wr_channel_flush(e->b));
            assert_null(receive(e->a));
            err = err == WEIR_OK ? err : wr_channel_send(e->a, sent[i]);
        }
        assert_int_equal(WEIR_OK, err);
    }
    while (next < COUNT) {
        weir_message *got = move(e->a, e->b);
        assert_same(sent[next], got);
        weir_message_unref(got);
        weir_message_unref(sent[next++]);
    }
}

/* A peer that never returns anything: the pool runs out, and the rest goes by value, in order. */
static void with_the_pool_full_messages_go_by_value(void **state)
{
    enum { COUNT = 600 };
    ends *e = *state;
    weir_message *kept[COUNT];
    unsigned borrowed = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        weir_message *msg = make(LARGE, i);
        send(e->a, msg);
        kept[i] = move(e->a, e->b);
        assert_same(msg, kept[i]);
        borrowed += wr_sharing_is_borrowed(kept[i]);
        weir_message_unref(msg);
    }
    settle(e);
    assert_true(borrowed > 100);
    assert_true(borrowed < COUNT);
    assert_false(wr_sharing_is_borrowed(kept[COUNT - 1]));
    for (unsigned i = 0; i < COUNT; i++) {
        weir_message_unref(kept[i]);
    }
    weir_message *msg = make(LARGE, 0);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    assert_true(wr_sharing_is_borrowed(got));
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void slots_run_out_and_messages_go_by_value(void **state)
{
    ends *e = *state;
    static weir_message *kept[WR_LENDING_SLOTS + 10];
    weir_message *msg = make(WR_MESSAGE_BULK_MIN, 9);
    for (unsigned i = 0; i < WR_LENDING_SLOTS + 10; i++) {
        send(e->a, msg);
        kept[i] = move(e->a, e->b);
        assert_same(msg, kept[i]);
        assert_int_equal(i < WR_LENDING_SLOTS, wr_sharing_is_borrowed(kept[i]));
    }
    for (unsigned i = 0; i < WR_LENDING_SLOTS + 10; i++) {
        weir_message_unref(kept[i]);
    }
    weir_message_unref(msg);
}

static void what_is_borrowed_outlives_the_connection(void **state)
{
    ends *e = *state;
    wr_channel_set_place(e->a);
    weir_message *msg = make(LARGE, 5);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    send(e->b, got);
    weir_message *back = move(e->b, e->a);
    wr_channel_destroy(e->a);
    wr_channel_destroy(e->b);
    e->a = NULL;
    e->b = NULL;
    assert_same(msg, got);
    assert_same(msg, back);
    /* The thread that has the place of a channel that is gone is not hindered. */
    weir_message *other = make(LARGE, 6);
    assert_false(is_view(other));
    weir_message_unref(other);
    weir_message_unref(back);
    weir_message_unref(got);
    weir_message_unref(msg);
}

/* As after a reconnect, and as from one remote module to another. */
static void what_lies_in_another_channels_memory_is_copied(void **state)
{
    ends *e = *state;
    ends *other = NULL;
    assert_int_equal(0, set_up((void **)&other));
    wr_channel_set_place(e->a);
    weir_message *msg = make(LARGE, 5);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    send(other->a, got);
    send(other->a, msg);
    weir_message *first = move(other->a, other->b);
    weir_message *second = move(other->a, other->b);
    assert_same(msg, first);
    assert_same(msg, second);
    assert_true(wr_sharing_is_borrowed(first));
    wr_message_place_set(NULL);
    assert_int_equal(0, tear_down((void **)&other));
    weir_message_unref(first);
    weir_message_unref(second);
    weir_message_unref(got);
    weir_message_unref(msg);
}

/* The peer spoils the head of an image that it has lent; who gets it from us must not refuse it. */
static void spoiled_head_is_not_passed_on(void **state)
{
    ends *e = *state;
    wr_stream *streams[2] = {NULL, NULL};
    wr_channel *plain[2] = {NULL, NULL};
    assert_int_equal(WEIR_OK, wr_stream_pair(&streams[0], &streams[1]));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(WEIR_OK, wr_channel_create(streams[i], LIMIT, &plain[i]));
    }
    greet(plain[0]);
    greet(plain[1]);
    wr_channel_set_place(e->a);
    weir_message *msg = make(WR_MESSAGE_BULK_MIN, 5);
    wr_message_place_set(NULL);
    weir_message *unspoiled = make(WR_MESSAGE_BULK_MIN, 5);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    size_t size = 0;
    memset((void *)(uintptr_t)weir_message_image(msg, &size), 0xff, 12);
    send(plain[0], got);
    weir_message *passed = move(plain[0], plain[1]);
    assert_same(unspoiled, passed);
    assert_string_equal("test", weir_message_property(got, "kind"));
    weir_message_unref(passed);
    weir_message_unref(got);
    weir_message_unref(unspoiled);
    weir_message_unref(msg);
    wr_channel_destroy(plain[0]);
    wr_channel_destroy(plain[1]);
}

static void what_is_not_sent_is_not_lent(void **state)
{
    ends *e = *state;
    wr_channel_set_place(e->a);
    weir_message *msg = make(WR_MESSAGE_BULK_MIN, 1);
    size_t sent = 0;
    while (wr_channel_send(e->a, msg) == WEIR_OK) {
        sent++;
    }
    for (size_t i = 0; i < sent; i++) {
        weir_message *got = move(e->a, e->b);
        assert_same(msg, got);
        weir_message_unref(got);
    }
    assert_int_equal(WEIR_OK, wr_channel_flush(e->a));
    assert_null(receive(e->b));
    weir_message_unref(msg);
}

static void each_side_sees_how_far_the_other_is(void **state)
{
    ends *e = *state;
    assert_int_equal(0, wr_channel_peer_processed(e->a));
    assert_true(wr_channel_peer_waits(e->b)); /* as far as it can see */
    wr_channel_set_waits(e->a, true);         /* before there is a pool to say it in */
    weir_message *msg = make(LARGE, 1);
    send(e->a, msg);
    weir_message *got = move(e->a, e->b);
    assert_true(wr_channel_peer_waits(e->b));
    wr_channel_set_waits(e->a, false);
    assert_false(wr_channel_peer_waits(e->b));
    settle(e);
    assert_int_equal(0, wr_channel_peer_processed(e->a));
    wr_channel_set_processed(e->b, UINT64_C(0x123456789a));
    assert_int_equal(UINT64_C(0x123456789a), wr_channel_peer_processed(e->a));
    assert_int_equal(0, wr_channel_peer_processed(e->b));
    weir_message_unref(got);
    weir_message_unref(msg);
}

/* Who waits can be seen to, and goes on when the peer can be seen to be further. */
static void window_looks_how_far_the_peer_is(void **state)
{
    enum { ENOUGH = 200 };
    ends *e = *state;
    wr_window window = {.keep = true, .shared = true};
    weir_err err = WEIR_OK;
    size_t sent = 0;
    while (err == WEIR_OK && !wr_window_full(&window) && sent < ENOUGH) {
        weir_message *msg = make(LARGE, 1);
        sent += wr_window_send(&window, e->a, &msg, 1, LIMIT, &err);
        weir_message *got = move(e->a, e->b);
        weir_message_unref(got);
    }
    assert_int_equal(WEIR_OK, err);
    assert_int_equal(sent, window.next);
    settle(e);
    assert_false(wr_channel_peer_waits(e->b));
    assert_true(wr_window_blocked(&window, e->a));
    assert_true(wr_channel_peer_waits(e->b));
    wr_channel_set_processed(e->b, sent + 1); /* it was not sent so many */
    assert_true(wr_window_blocked(&window, e->a));
    wr_channel_set_processed(e->b, UINT64_MAX);
    assert_true(wr_window_blocked(&window, e->a));
    wr_channel_set_processed(e->b, sent / 2);
    assert_false(wr_window_blocked(&window, e->a));
    assert_int_equal(sent / 2, window.acknowledged);
    assert_false(wr_channel_peer_waits(e->b));
    wr_channel_set_processed(e->b, 1);
    assert_false(wr_window_blocked(&window, e->a));
    assert_int_equal(sent / 2, window.acknowledged);
    wr_window_deinit(&window);
}

static void echo(ends *e, weir_message *msg, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        send(e->a, msg);
        weir_message *got = move(e->a, e->b);
        send(e->b, got);
        weir_message_unref(got);
    }
    assert_int_equal(WEIR_OK, wr_channel_flush(e->b));
}

/* What it gave back before is in the stream, and is lent as it was. */
static void who_leaves_loses_nothing_that_it_gave_back(void **state)
{
    enum { COUNT = 10, MORE = 20 };
    ends *e = *state;
    weir_message *msg = make(LARGE, 1);
    echo(e, msg, 1);
    weir_message_unref(move(e->b, e->a));
    settle(e);
    echo(e, msg, COUNT);
    wr_channel_destroy(e->b);
    e->b = NULL;
    for (size_t i = 0; i < MORE; i++) { /* it looks for marks meanwhile */
        weir_err err = wr_channel_send(e->a, msg);
        assert_true(err == WEIR_OK || err == WEIR_ERR_CLOSED);
    }
    for (size_t i = 0; i < COUNT; i++) {
        weir_message *back = receive(e->a);
        assert_non_null(back);
        assert_same(msg, back);
        weir_message_unref(back);
    }
    weir_message_unref(msg);
}

static void message_that_circulates_takes_few_slots(void **state)
{
    enum { LAPS = 2 * WR_SHARED_POOL_MARKS };
    ends *e = *state;
    weir_message *msg = make(LARGE, 1);
    weir_message *at_a = weir_message_ref(msg);
    for (size_t i = 0; i < LAPS; i++) {
        send(e->a, at_a);
        weir_message_unref(at_a);
        weir_message *at_b = move(e->a, e->b);
        assert_true(wr_sharing_is_borrowed(at_b));
        send(e->b, at_b);
        weir_message_unref(at_b);
        at_a = move(e->b, e->a);
    }
    assert_same(msg, at_a);
    weir_message_unref(at_a);
    weir_message_unref(msg);
}

#define WITH_ENDS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ENDS(large_message_is_not_copied_to_its_reader),
        WITH_ENDS(small_message_travels_as_ever),
        WITH_ENDS(pool_is_answered_by_a_pool),
        WITH_ENDS(message_made_in_its_place_is_lent_where_it_is),
        WITH_ENDS(what_comes_back_is_what_was_lent),
        WITH_ENDS(memory_is_used_again),
        WITH_ENDS(sizes_of_all_kinds_arrive_in_order),
        WITH_ENDS(with_the_pool_full_messages_go_by_value),
        WITH_ENDS(slots_run_out_and_messages_go_by_value),
        WITH_ENDS(what_is_borrowed_outlives_the_connection),
        WITH_ENDS(what_lies_in_another_channels_memory_is_copied),
        WITH_ENDS(spoiled_head_is_not_passed_on),
        WITH_ENDS(what_is_not_sent_is_not_lent),
        WITH_ENDS(each_side_sees_how_far_the_other_is),
        WITH_ENDS(who_leaves_loses_nothing_that_it_gave_back),
        WITH_ENDS(message_that_circulates_takes_few_slots),
        WITH_ENDS(window_looks_how_far_the_peer_is),
    };
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
