/* SPDX-License-Identifier: MIT
 *
 * Tests of shared memory on a message channel: two ends, or one end and a bare stream with a pool,
 * which plays a hostile peer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/channel.h"
#include "ipc/shared_frame.h"
#include "ipc/shared_pool.h"
#include "ipc/sharing.h"
#include "message/message.h"
#include "message/place.h"
#include "platform/random.h"

#define LIMIT (8u * 1024u * 1024u)
#define LARGE 100000u

static weir_message *make(size_t size, unsigned seed)
{
    const weir_property prop = {"kind", "test"};
    weir_message *msg = NULL;
    void *content = NULL;
    assert_int_equal(WEIR_OK, weir_message_reserve(&prop, 1, size, &content, &msg));
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)content)[i] = (uint8_t)(i * 31 + i / 251 + seed);
    }
    return msg;
}

static void assert_same(const weir_message *a, const weir_message *b)
{
    size_t a_size = 0;
    size_t b_size = 0;
    const void *a_image = weir_message_image(a, &a_size);
    const void *b_image = weir_message_image(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_image, b_image, a_size);
    assert_string_equal("test", weir_message_property(b, "kind"));
}

/* ---- two ends ---- */

typedef struct ends {
    wr_channel *a;
    wr_channel *b;
} ends;

static void greet(wr_channel *channel)
{
    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_channel_receive(channel, &none, NULL));
    assert_true(wr_channel_greeted(channel));
}

static int set_up(void **state)
{
    ends *e = calloc(1, sizeof(*e));
    wr_stream *streams[2] = {NULL, NULL};
    assert_non_null(e);
    assert_int_equal(WEIR_OK, wr_stream_pair(&streams[0], &streams[1]));
    assert_int_equal(WEIR_OK, wr_channel_create(streams[0], LIMIT, &e->a));
    assert_int_equal(WEIR_OK, wr_channel_create(streams[1], LIMIT, &e->b));
    assert_int_equal(WEIR_OK, wr_channel_share(e->a));
    assert_int_equal(WEIR_OK, wr_channel_share(e->b));
    greet(e->a);
    greet(e->b);
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

static weir_message *receive(wr_channel *to)
{
    weir_message *got = NULL;
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_channel_receive(to, &got, &error);
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        print_error("%s\n", wr_error_text(&error));
    }
    assert_true(err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK);
    return got;
}

/* Whatever the sockets hold: one message from one end to the other. */
static weir_message *move(wr_channel *from, wr_channel *to)
{
    weir_message *got = NULL;
    while (got == NULL) {
        weir_err flushed = wr_channel_flush(from);
        assert_true(flushed == WEIR_OK || flushed == WEIR_ERR_WOULD_BLOCK);
        got = receive(to);
    }
    return got;
}

static void send(wr_channel *to, weir_message *msg)
{
    assert_int_equal(WEIR_OK, wr_channel_send(to, msg));
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

static bool is_view(const weir_message *msg)
{
    return wr_message_get_origin(msg) != NULL;
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

/* ---- a hostile peer ---- */

typedef struct hostile {
    wr_channel *channel;
    wr_stream *peer;
    wr_shared_pool *pool;
} hostile;

static void put(hostile *h, const void *data, size_t size)
{
    wr_slice slice = {data, size};
    size_t sent = 0;
    assert_int_equal(WEIR_OK, wr_stream_write(h->peer, &slice, 1, &sent));
    assert_int_equal(size, sent);
}

static void put_frame(hostile *h, const void *data, size_t size)
{
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, size);
    put(h, header, sizeof(header));
    put(h, data, size);
}

static void put_shared(hostile *h, const wr_shared_frame *frame)
{
    uint8_t bytes[WR_SHARED_FRAME_MAX];
    put_frame(h, bytes, wr_shared_frame_encode(frame, bytes));
}

static void put_pool(hostile *h)
{
    wr_stream_attach_memory(h->peer, wr_shared_pool_memory(h->pool));
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = WR_SHARED_POOL_SIZE});
}

static int set_up_hostile(void **state)
{
    static const uint8_t greeting[WR_SP_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};
    hostile *h = calloc(1, sizeof(*h));
    wr_stream *end = NULL;
    assert_non_null(h);
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &h->peer));
    assert_int_equal(WEIR_OK, wr_channel_create(end, LIMIT, &h->channel));
    assert_int_equal(WEIR_OK, wr_channel_share(h->channel));
    assert_int_equal(WEIR_OK, wr_shared_pool_create(WR_SHARED_POOL_SIZE, &h->pool, NULL));
    put(h, greeting, sizeof(greeting));
    greet(h->channel);
    *state = h;
    return 0;
}

static int tear_down_hostile(void **state)
{
    hostile *h = *state;
    wr_channel_destroy(h->channel);
    wr_stream_close(h->peer);
    wr_shared_pool_unref(h->pool);
    free(h);
    return 0;
}

static void expect(hostile *h, weir_err wanted, const char *words)
{
    wr_error error = {.code = WEIR_OK};
    weir_message *none = NULL;
    assert_int_equal(wanted, wr_channel_receive(h->channel, &none, &error));
    assert_null(none);
    assert_string_equal(words, wr_error_text(&error));
}

/* An image in the peer's pool, and the frame that stands for it. */
static wr_shared_frame lay(hostile *h, const weir_message *msg)
{
    wr_shared_frame frame = {.kind = WR_SHARED_REFERENCE, .lent = {0, 1}};
    size_t size = 0;
    size_t head = 0;
    const void *image = weir_message_image(msg, &size);
    void *block = wr_shared_pool_get(h->pool, size);
    assert_non_null(block);
    memcpy(block, image, size);
    (void)wr_message_head(msg, &head);
    assert_true(wr_shared_pool_offset(h->pool, block, size, &frame.offset));
    frame.size = (uint32_t)size;
    frame.head_size = (uint32_t)head;
    return frame;
}

static void well_behaved_peer_is_served(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_same(msg, got);
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void small_message_in_shared_memory_is_copied(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(10, 1);
    wr_shared_frame frame = lay(h, msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_same(msg, got);
    assert_false(is_view(got));
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void frames_of_wrong_size_are_refused(void **state)
{
    hostile *h = *state;
    const uint8_t pool[] = {0xa1, 0x61, 0, 0, 0};
    put_frame(h, pool, sizeof(pool));
    expect(h, WEIR_ERR_PROTOCOL, "a pool frame has 5 bytes, expected 6");
    const uint8_t reference[] = {0xa1, 0x62};
    put_frame(h, reference, sizeof(reference));
    expect(h, WEIR_ERR_PROTOCOL, "a reference frame has 2 bytes, expected 26");
    const uint8_t back[20] = {0xa1, 0x63};
    put_frame(h, back, sizeof(back));
    expect(h, WEIR_ERR_PROTOCOL, "a given-back frame has 20 bytes, expected 18");
}

/* It is read into a place of its own, which must not be lost. */
static void large_frame_that_is_none_is_refused(void **state)
{
    hostile *h = *state;
    uint8_t *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    bytes[0] = 0xa1;
    bytes[1] = 0x62;
    put_frame(h, bytes, LARGE);
    free(bytes);
    expect(h, WEIR_ERR_PROTOCOL, "a reference frame has 100000 bytes, expected 26");
}

static void pool_without_its_memory_is_refused(void **state)
{
    hostile *h = *state;
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = WR_SHARED_POOL_SIZE});
    expect(h, WEIR_ERR_UNSUPPORTED,
           "a pool frame came without its memory; the next connection does without shared memory");
}

static void pool_of_another_size_is_refused(void **state)
{
    hostile *h = *state;
    wr_stream_attach_memory(h->peer, wr_shared_pool_memory(h->pool));
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = 1234567});
    expect(h, WEIR_ERR_PROTOCOL,
           "a pool frame speaks of 1234567 bytes, and its memory has 33554432");
}

static void second_pool_is_refused(void **state)
{
    hostile *h = *state;
    put_pool(h);
    put_pool(h);
    expect(h, WEIR_ERR_PROTOCOL, "a second pool on one channel");
}

static void reference_before_the_pool_is_refused(void **state)
{
    hostile *h = *state;
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_REFERENCE, .lent = {0, 1}});
    expect(h, WEIR_ERR_PROTOCOL, "a reference to a pool that never came");
}

static void wrong_reference(void **state, wr_shared_frame frame, weir_err wanted, const char *words)
{
    hostile *h = *state;
    put_pool(h);
    put_shared(h, &frame);
    expect(h, wanted, words);
}

static void slot_that_is_none_is_refused(void **state)
{
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(*state, msg);
    weir_message_unref(msg);
    frame.lent.slot = 4096;
    wrong_reference(state, frame, WEIR_ERR_PROTOCOL,
                    "a message lent by slot 4096 with generation 1, of 4096 slots and without "
                    "generation 0");
}

static void generation_zero_is_refused(void **state)
{
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(*state, msg);
    weir_message_unref(msg);
    frame.lent.generation = 0;
    wrong_reference(state, frame, WEIR_ERR_PROTOCOL,
                    "a message lent by slot 0 with generation 0, of 4096 slots and without "
                    "generation 0");
}

static void reference_into_the_marks_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_DATA_AT - 1,
                                      .head_size = 14,
                                      .size = 14},
                    WEIR_ERR_PROTOCOL,
                    "a reference to 14 bytes at 20479, not all of them in the pool");
}

static void reference_past_the_end_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_SIZE - 13,
                                      .head_size = 14,
                                      .size = 14},
                    WEIR_ERR_PROTOCOL,
                    "a reference to 14 bytes at 33554419, not all of them in the pool");
}

static void offset_that_wraps_around_is_refused(void **state)
{
    wrong_reference(
        state,
        (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                          .lent = {0, 1},
                          .offset = UINT64_MAX - 5,
                          .head_size = 14,
                          .size = 100},
        WEIR_ERR_PROTOCOL,
        "a reference to 100 bytes at 18446744073709551610, not all of them in the pool");
}

static void reference_over_the_limit_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_DATA_AT,
                                      .head_size = 14,
                                      .size = LIMIT + 1},
                    WEIR_ERR_TOO_LARGE, "a reference to 8388609 bytes, over the limit of 8388608");
}

static void head_of_another_size_is_refused(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    weir_message_unref(msg);
    frame.head_size++;
    put_pool(h);
    put_shared(h, &frame);
    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_PROTOCOL, wr_channel_receive(h->channel, &none, NULL));
}

static void what_is_not_lent_cannot_be_given_back(void **state)
{
    hostile *h = *state;
    put_shared(
        h, &(wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {0, 1}, .returned = {7, 1}});
    expect(h, WEIR_ERR_PROTOCOL,
           "slot 7 with generation 1 is given back, by which nothing was lent by reference");
}

/* What was given back to it, it cannot give back: that lies in its own memory. */
static void what_it_lent_itself_cannot_be_given_back(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    weir_message_unref(msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_non_null(got);
    send(h->channel, got);
    weir_message_unref(got);
    put_shared(
        h, &(wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {1, 1}, .returned = {0, 1}});
    expect(h, WEIR_ERR_PROTOCOL,
           "slot 0 with generation 1 is given back, by which nothing was lent by reference");
}

/* ---- frames ---- */

/* The examples of docs/wire-protocol.md. */
static void frames_are_as_documented(void **state)
{
    (void)state;
    static const uint8_t pool[] = {0xa1, 0x61, 0x00, 0x10, 0x00, 0x00};
    static const uint8_t reference[] = {0xa1, 0x62, 0, 0,    0,    0, 0, 0, 0,  1, 0, 0,    0,
                                        0,    0,    0, 0x50, 0x00, 0, 0, 0, 14, 0, 0, 0x20, 0x0e};
    static const uint8_t back[] = {0xa1, 0x63, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t out[WR_SHARED_FRAME_MAX];
    wr_shared_frame frame = {.kind = WR_SHARED_POOL, .pool_size = 1024 * 1024};
    assert_int_equal(sizeof(pool), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(pool, out, sizeof(pool));
    frame = (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                              .lent = {0, 1},
                              .offset = 20480,
                              .head_size = 14,
                              .size = 8192 + 14};
    assert_int_equal(sizeof(reference), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(reference, out, sizeof(reference));
    frame = (wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {0, 1}, .returned = {0, 1}};
    assert_int_equal(sizeof(back), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(back, out, sizeof(back));
}

static void frames_are_read_as_they_were_written(void **state)
{
    (void)state;
    const wr_shared_frame frames[] = {
        {.kind = WR_SHARED_POOL, .pool_size = 0xfedcba98},
        {.kind = WR_SHARED_REFERENCE,
         .lent = {0x01020304, 0xfffefdfc},
         .offset = 0x1122334455667788,
         .head_size = 0xa0b0c0d0,
         .size = 0x0a0b0c0d},
        {.kind = WR_SHARED_GIVEN_BACK, .lent = {1, 2}, .returned = {0xffffffff, 4}},
    };
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        uint8_t bytes[WR_SHARED_FRAME_MAX];
        wr_shared_frame got = {.kind = WR_SHARED_POOL};
        size_t size = wr_shared_frame_encode(&frames[i], bytes);
        assert_true(wr_shared_frame_is(bytes, size));
        assert_int_equal(WEIR_OK, wr_shared_frame_decode(bytes, size, &got, NULL));
        assert_int_equal(frames[i].kind, got.kind);
        assert_int_equal(frames[i].pool_size, got.pool_size);
        assert_int_equal(frames[i].lent.slot, got.lent.slot);
        assert_int_equal(frames[i].lent.generation, got.lent.generation);
        assert_int_equal(frames[i].offset, got.offset);
        assert_int_equal(frames[i].head_size, got.head_size);
        assert_int_equal(frames[i].size, got.size);
        assert_int_equal(frames[i].returned.slot, got.returned.slot);
        assert_int_equal(frames[i].returned.generation, got.returned.generation);
    }
}

#define WITH_ENDS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_HOSTILE(test) cmocka_unit_test_setup_teardown(test, set_up_hostile, tear_down_hostile)

int main(void)
{
    const struct CMUnitTest frames[] = {
        cmocka_unit_test(frames_are_as_documented),
        cmocka_unit_test(frames_are_read_as_they_were_written),
    };
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
        WITH_HOSTILE(well_behaved_peer_is_served),
        WITH_HOSTILE(small_message_in_shared_memory_is_copied),
        WITH_HOSTILE(frames_of_wrong_size_are_refused),
        WITH_HOSTILE(large_frame_that_is_none_is_refused),
        WITH_HOSTILE(pool_without_its_memory_is_refused),
        WITH_HOSTILE(pool_of_another_size_is_refused),
        WITH_HOSTILE(second_pool_is_refused),
        WITH_HOSTILE(reference_before_the_pool_is_refused),
        WITH_HOSTILE(slot_that_is_none_is_refused),
        WITH_HOSTILE(generation_zero_is_refused),
        WITH_HOSTILE(reference_into_the_marks_is_refused),
        WITH_HOSTILE(reference_past_the_end_is_refused),
        WITH_HOSTILE(offset_that_wraps_around_is_refused),
        WITH_HOSTILE(reference_over_the_limit_is_refused),
        WITH_HOSTILE(head_of_another_size_is_refused),
        WITH_HOSTILE(what_is_not_lent_cannot_be_given_back),
        WITH_HOSTILE(what_it_lent_itself_cannot_be_given_back),
    };
    int failed = cmocka_run_group_tests(frames, NULL, NULL);
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return failed;
    }
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
