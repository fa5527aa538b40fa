/* SPDX-License-Identifier: MIT
 *
 * Tests of the SP stream over a pair of connected streams: one end is the SP stream, the other is
 * either the bare stream, to see and write single bytes, or a second SP stream.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_stream.h"

#define LIMIT (1024u * 1024u)
#define LARGE (WR_SP_COPY_MAX + 1u)

static const uint8_t greeting[WR_SP_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};

/* Memory that `place` gave out; the test frees it. */
typedef struct placer {
    void *last;
    size_t size;
    size_t calls;
    bool out_of_memory;
} placer;

static void *place(void *user, size_t size)
{
    placer *p = user;
    p->calls++;
    if (p->out_of_memory) {
        return NULL;
    }
    free(p->last);
    p->last = malloc(size);
    p->size = size;
    return p->last;
}

/* An SP stream and the bare other end. */
typedef struct bench {
    wr_sp_stream *sp;
    wr_stream *peer;
    placer placer;
} bench;

static int set_up(void **state)
{
    bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    wr_stream *end = NULL;
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &b->peer));
    wr_sp_options options = {.frame_limit = LIMIT,
                             .rx_buffer_size = 2 * (size_t)WR_SP_COPY_MAX,
                             .place = place,
                             .user = &b->placer};
    assert_int_equal(WEIR_OK, wr_sp_create(end, &options, &b->sp));
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    wr_sp_destroy(b->sp);
    wr_stream_close(b->peer);
    free(b->placer.last);
    free(b);
    return 0;
}

static void put(bench *b, const void *data, size_t size)
{
    wr_slice slice = {data, size};
    size_t sent = 0;
    assert_int_equal(WEIR_OK, wr_stream_write(b->peer, &slice, 1, &sent));
    assert_int_equal(size, sent);
}

/* Read exactly `size` bytes that must be there. */
static void get(bench *b, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t got = 0;
        assert_int_equal(WEIR_OK, wr_stream_read(b->peer, (uint8_t *)data + at, size - at, &got));
        at += got;
    }
}

static weir_err receive(bench *b, wr_sp_frame *frame)
{
    return wr_sp_receive(b->sp, frame, NULL);
}

static void greet(bench *b)
{
    uint8_t got[WR_SP_GREETING_SIZE];
    wr_sp_frame frame;
    get(b, got, sizeof(got));
    put(b, greeting, sizeof(greeting));
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive(b, &frame));
    assert_true(wr_sp_greeted(b->sp));
}

static size_t frame_of(uint8_t *out, const void *data, size_t size)
{
    out[0] = 1;
    wr_put_u64(out + 1, size);
    memcpy(out + WR_SP_HEADER_SIZE, data, size);
    return WR_SP_HEADER_SIZE + size;
}

static uint8_t pattern_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = pattern_at(i);
    }
    return data;
}

static void count_release(void *owner)
{
    *(size_t *)owner += 1;
}

/* ---- greeting ---- */

static void greeting_is_sent_at_once(void **state)
{
    bench *b = *state;
    uint8_t got[WR_SP_GREETING_SIZE];
    get(b, got, sizeof(got));
    assert_memory_equal(greeting, got, sizeof(got));
    assert_false(wr_sp_greeted(b->sp));
}

static void no_frame_is_sent_before_the_greeting_arrived(void **state)
{
    bench *b = *state;
    uint8_t got[32];
    size_t size = 0;
    get(b, got, WR_SP_GREETING_SIZE);
    assert_int_equal(WEIR_OK, wr_sp_flush(b->sp));
    assert_int_equal(WEIR_OK, wr_sp_send(b->sp, "hello", 5, NULL, NULL));
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_sp_flush(b->sp));
    assert_int_equal(14, wr_sp_unsent(b->sp));
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_stream_read(b->peer, got, sizeof(got), &size));

    put(b, greeting, sizeof(greeting));
    wr_sp_frame frame;
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive(b, &frame));
    assert_int_equal(WEIR_OK, wr_sp_flush(b->sp));
    assert_int_equal(0, wr_sp_unsent(b->sp));
    get(b, got, 14);
    assert_memory_equal("\1\0\0\0\0\0\0\0\5hello", got, 14);
}

static void every_wrong_greeting_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(greeting); bit++) {
        void *fresh = NULL;
        set_up(&fresh);
        bench *b = fresh;
        uint8_t wrong[WR_SP_GREETING_SIZE];
        memcpy(wrong, greeting, sizeof(wrong));
        wrong[bit / 8] = (uint8_t)(wrong[bit / 8] ^ (1u << (bit % 8)));
        put(b, wrong, sizeof(wrong));
        wr_sp_frame frame;
        assert_int_equal(WEIR_ERR_PROTOCOL, receive(b, &frame));
        assert_false(wr_sp_greeted(b->sp));
        tear_down(&fresh);
    }
}

static void peer_that_is_gone_fails_the_creation(void **state)
{
    (void)state;
    wr_stream *end = NULL;
    wr_stream *peer = NULL;
    wr_sp_stream *sp = NULL;
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &peer));
    wr_stream_close(peer);
    assert_int_equal(WEIR_ERR_CLOSED, wr_sp_create(end, &(wr_sp_options){.frame_limit = 1}, &sp));
    assert_null(sp);
}

static void buffer_that_is_too_small_is_refused(void **state)
{
    (void)state;
    wr_stream *end = NULL;
    wr_stream *peer = NULL;
    wr_sp_stream *sp = NULL;
    wr_sp_options options = {.frame_limit = 1, .rx_buffer_size = 2 * (size_t)WR_SP_COPY_MAX - 1};
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &peer));
    assert_int_equal(WEIR_ERR_INVALID, wr_sp_create(end, &options, &sp));
    wr_stream_close(peer);
}

/* ---- receiving ---- */

static void frames_arrive_however_they_are_cut(void **state)
{
    (void)state;
    uint8_t bytes[64];
    memcpy(bytes, greeting, sizeof(greeting));
    size_t size = sizeof(greeting);
    size += frame_of(bytes + size, "hello", 5);
    size += frame_of(bytes + size, "", 0);
    size += frame_of(bytes + size, "world!", 6);
    const char *texts[] = {"hello", "", "world!"};
    for (size_t cut = 1; cut < size; cut++) {
        void *fresh = NULL;
        set_up(&fresh);
        bench *b = fresh;
        wr_sp_frame frame;
        size_t seen = 0;
        size_t from[] = {0, cut, size};
        for (size_t part = 0; part < 2; part++) {
            put(b, bytes + from[part], from[part + 1] - from[part]);
            while (receive(b, &frame) == WEIR_OK) {
                assert_true(seen < 3);
                assert_int_equal(strlen(texts[seen]), frame.size);
                assert_memory_equal(texts[seen], frame.data, frame.size);
                assert_false(frame.placed);
                seen++;
            }
        }
        assert_int_equal(3, seen);
        tear_down(&fresh);
    }
}

static void frames_arrive_byte_by_byte(void **state)
{
    bench *b = *state;
    uint8_t bytes[32];
    size_t size = frame_of(bytes, "drip", 4);
    wr_sp_frame frame;
    greet(b);
    for (size_t i = 0; i + 1 < size; i++) {
        put(b, bytes + i, 1);
        assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive(b, &frame));
    }
    put(b, bytes + size - 1, 1);
    assert_int_equal(WEIR_OK, receive(b, &frame));
    assert_int_equal(4, frame.size);
    assert_memory_equal("drip", frame.data, 4);
}

/* Frames of all sizes around the limits, so that each meets the buffer's end somewhere. */
static void frames_of_all_sizes_pass_the_end_of_the_buffer(void **state)
{
    bench *b = *state;
    uint8_t *data = pattern(3 * (size_t)WR_SP_COPY_MAX);
    uint8_t *bytes = malloc(WR_SP_HEADER_SIZE + 3 * (size_t)WR_SP_COPY_MAX);
    assert_non_null(bytes);
    greet(b);
    const size_t sizes[] = {1,   100, WR_SP_COPY_MAX - 1, WR_SP_COPY_MAX, LARGE, 2 * LARGE,
                            777, 0,   3 * WR_SP_COPY_MAX};
    const size_t kinds = sizeof(sizes) / sizeof(sizes[0]);
    for (size_t i = 0; i < 40 * kinds; i++) {
        size_t size = sizes[(i * 7 + i / kinds) % kinds];
        put(b, bytes, frame_of(bytes, data, size));
        wr_sp_frame frame;
        assert_int_equal(WEIR_OK, receive(b, &frame));
        assert_int_equal(size, frame.size);
        assert_memory_equal(data, frame.data, size);
        assert_true(!frame.placed || size > WR_SP_COPY_MAX);
        assert_true(!frame.placed || frame.data == b->placer.last);
    }
    assert_true(b->placer.calls > 0);
    free(bytes);
    free(data);
}

/* Write all the bytes in pieces of `piece`, receiving in between; returns how many frames came. */
static size_t pump_pieces(bench *b, const uint8_t *bytes, size_t size, size_t piece,
                          const uint8_t *expected, const size_t *sizes)
{
    size_t seen = 0;
    for (size_t at = 0; at < size; at += piece) {
        put(b, bytes + at, size - at < piece ? size - at : piece);
        wr_sp_frame frame;
        weir_err err;
        while ((err = receive(b, &frame)) == WEIR_OK) {
            assert_int_equal(sizes[seen], frame.size);
            assert_memory_equal(expected, frame.data, frame.size);
            seen++;
        }
        assert_int_equal(WEIR_ERR_WOULD_BLOCK, err);
    }
    return seen;
}

static void large_frames_with_small_neighbours_arrive_in_pieces_of_any_size(void **state)
{
    bench *b = *state;
    const size_t sizes[] = {5, LARGE, 3, 3 * (size_t)WR_SP_COPY_MAX, LARGE, WR_SP_COPY_MAX, 1};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    const size_t pieces[] = {1000, 4096, 7919, 16393, 40000, 65536};
    uint8_t *data = pattern(3 * (size_t)WR_SP_COPY_MAX);
    uint8_t *bytes = malloc(8 * (size_t)LARGE);
    assert_non_null(bytes);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += frame_of(bytes + size, data, sizes[i]);
    }
    greet(b);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(count, pump_pieces(b, bytes, size, pieces[i], data, sizes));
    }
    free(bytes);
    free(data);
}

static void without_place_the_stream_keeps_a_large_frame_itself(void **state)
{
    bench *b = *state;
    uint8_t *data = pattern(LIMIT);
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_stream *end = NULL;
    wr_sp_destroy(b->sp);
    wr_stream_close(b->peer);
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &b->peer));
    assert_int_equal(WEIR_OK, wr_sp_create(end, &(wr_sp_options){.frame_limit = LIMIT}, &b->sp));
    greet(b);
    wr_put_u64(header + 1, 3 * (size_t)WR_SP_COPY_MAX);
    wr_sp_frame frame;
    for (int round = 0; round < 2; round++) {
        put(b, header, sizeof(header));
        assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive(b, &frame));
        put(b, data, 3 * (size_t)WR_SP_COPY_MAX);
        assert_int_equal(WEIR_OK, receive(b, &frame));
        assert_false(frame.placed);
        assert_int_equal(3 * (size_t)WR_SP_COPY_MAX, frame.size);
        assert_memory_equal(data, frame.data, frame.size);
    }
    /* Half a frame is freed with the stream. */
    put(b, header, sizeof(header));
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive(b, &frame));
    free(data);
}

static void frame_over_the_limit_is_refused_before_memory_is_asked_for(void **state)
{
    const uint64_t sizes[] = {LIMIT + 1, (uint64_t)1 << 32, UINT64_MAX - 9, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *fresh = NULL;
        set_up(&fresh);
        bench *b = fresh;
        uint8_t header[WR_SP_HEADER_SIZE] = {1};
        wr_put_u64(header + 1, sizes[i]);
        greet(b);
        put(b, header, sizeof(header));
        wr_sp_frame frame;
        assert_int_equal(WEIR_ERR_TOO_LARGE, receive(b, &frame));
        assert_int_equal(0, b->placer.calls);
        tear_down(&fresh);
    }
}

static void wrong_frame_header_is_refused(void **state)
{
    bench *b = *state;
    wr_sp_frame frame;
    wr_error error = {0};
    greet(b);
    put(b, "\2\0\0\0\0\0\0\0\1x", 10);
    assert_int_equal(WEIR_ERR_PROTOCOL, wr_sp_receive(b->sp, &frame, &error));
    assert_string_equal("a frame begins with 02, expected 01", wr_error_text(&error));
}

static void want_of_memory_for_a_large_frame_is_told(void **state)
{
    bench *b = *state;
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, LIMIT);
    wr_sp_frame frame;
    b->placer.out_of_memory = true;
    greet(b);
    put(b, header, sizeof(header));
    assert_int_equal(WEIR_ERR_MEMORY, receive(b, &frame));
}

static void frames_before_the_end_are_shown_before_closed(void **state)
{
    bench *b = *state;
    uint8_t bytes[32];
    size_t size = frame_of(bytes, "last", 4);
    wr_sp_frame frame;
    wr_error error = {0};
    greet(b);
    put(b, bytes, size);
    put(b, bytes, size - 1);
    wr_stream_close(b->peer);
    b->peer = NULL;
    assert_int_equal(WEIR_OK, receive(b, &frame));
    assert_memory_equal("last", frame.data, 4);
    assert_int_equal(WEIR_ERR_CLOSED, wr_sp_receive(b->sp, &frame, &error));
    assert_string_equal("the peer closed the connection in the middle of a frame",
                        wr_error_text(&error));
}

/* ---- sending ---- */

static void copied_frame_is_released_before_send_returns(void **state)
{
    bench *b = *state;
    size_t released = 0;
    assert_int_equal(WEIR_OK, wr_sp_send(b->sp, "x", 1, count_release, &released));
    assert_int_equal(1, released);
    uint8_t *data = pattern(WR_SP_COPY_MAX);
    assert_int_equal(WEIR_OK, wr_sp_send(b->sp, data, WR_SP_COPY_MAX, count_release, &released));
    assert_int_equal(2, released);
    free(data);
}

static void borrowed_frame_is_released_once_when_written(void **state)
{
    bench *b = *state;
    size_t released = 0;
    uint8_t *data = pattern(LARGE);
    greet(b);
    assert_int_equal(WEIR_OK, wr_sp_send(b->sp, data, LARGE, count_release, &released));
    assert_int_equal(0, released);
    assert_int_equal(WEIR_OK, wr_sp_flush(b->sp));
    assert_int_equal(1, released);
    uint8_t *got = malloc(WR_SP_HEADER_SIZE + LARGE);
    assert_non_null(got);
    get(b, got, WR_SP_HEADER_SIZE + LARGE);
    assert_int_equal(LARGE, wr_get_u64(got + 1));
    assert_memory_equal(data, got + WR_SP_HEADER_SIZE, LARGE);
    assert_int_equal(WEIR_OK, wr_sp_flush(b->sp));
    assert_int_equal(1, released);
    free(got);
    free(data);
}

static void destroy_releases_what_was_not_written(void **state)
{
    bench *b = *state;
    size_t released = 0;
    uint8_t *data = pattern(LARGE);
    size_t queued = 0;
    while (wr_sp_send(b->sp, data, LARGE, count_release, &released) == WEIR_OK) {
        queued++;
    }
    assert_true(queued > 1);
    assert_int_equal(0, released);
    wr_sp_destroy(b->sp);
    b->sp = NULL;
    assert_int_equal(queued, released);
    free(data);
}

/* Read what is there into `got`, up to `size` bytes; returns how many. */
static size_t get_some(bench *b, uint8_t *got, size_t size)
{
    size_t at = 0;
    size_t part = 0;
    while (at < size && wr_stream_read(b->peer, got + at, size - at, &part) == WEIR_OK) {
        at += part;
    }
    return at;
}

/* The socket full, a frame written in part, and behind it as many frames as fit. */
static void full_queue_of_borrowed_frames_arrives_whole(void **state)
{
    bench *b = *state;
    const size_t frame_size = WR_SP_HEADER_SIZE + LARGE;
    size_t released = 0;
    size_t queued = 0;
    uint8_t *data = pattern(LARGE);
    greet(b);
    while (wr_sp_send(b->sp, data, LARGE, count_release, &released) == WEIR_OK) {
        queued++;
    }
    uint8_t *got = malloc(queued * frame_size);
    assert_non_null(got);
    size_t at = 0;
    while (wr_sp_flush(b->sp) == WEIR_ERR_WOULD_BLOCK) {
        at += get_some(b, got + at, queued * frame_size - at);
    }
    at += get_some(b, got + at, queued * frame_size - at);
    assert_int_equal(queued * frame_size, at);
    assert_int_equal(queued, released);
    for (size_t i = 0; i < queued; i++) {
        assert_int_equal(LARGE, wr_get_u64(got + i * frame_size + 1));
        assert_memory_equal(data, got + i * frame_size + WR_SP_HEADER_SIZE, LARGE);
    }
    free(got);
    free(data);
}

static void refused_frame_is_not_released(void **state)
{
    bench *b = *state;
    size_t released = 0;
    while (wr_sp_send(b->sp, "x", 1, NULL, NULL) == WEIR_OK) {
    }
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_sp_send(b->sp, "x", 1, count_release, &released));
    assert_int_equal(0, released);
    assert_int_equal(WR_SP_TX_BUFFER_SIZE / 10, wr_sp_unsent(b->sp) / 10);
}

static void send_after_the_peer_left_is_closed_and_releases_all(void **state)
{
    bench *b = *state;
    size_t released = 0;
    uint8_t *data = pattern(LARGE);
    greet(b);
    assert_int_equal(WEIR_OK, wr_sp_send(b->sp, data, LARGE, count_release, &released));
    wr_stream_close(b->peer);
    b->peer = NULL;
    assert_int_equal(WEIR_ERR_CLOSED, wr_sp_flush(b->sp));
    assert_int_equal(WEIR_ERR_CLOSED, wr_sp_send(b->sp, "x", 1, count_release, &released));
    assert_int_equal(WEIR_ERR_CLOSED, wr_sp_flush(b->sp));
    assert_int_equal(0, released);
    wr_sp_destroy(b->sp);
    b->sp = NULL;
    assert_int_equal(1, released);
    free(data);
}

#define on_bench(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_bench(greeting_is_sent_at_once),
        on_bench(no_frame_is_sent_before_the_greeting_arrived),
        cmocka_unit_test(every_wrong_greeting_is_refused),
        cmocka_unit_test(peer_that_is_gone_fails_the_creation),
        cmocka_unit_test(buffer_that_is_too_small_is_refused),
        cmocka_unit_test(frames_arrive_however_they_are_cut),
        on_bench(frames_arrive_byte_by_byte),
        on_bench(frames_of_all_sizes_pass_the_end_of_the_buffer),
        on_bench(large_frames_with_small_neighbours_arrive_in_pieces_of_any_size),
        on_bench(without_place_the_stream_keeps_a_large_frame_itself),
        cmocka_unit_test(frame_over_the_limit_is_refused_before_memory_is_asked_for),
        on_bench(wrong_frame_header_is_refused),
        on_bench(want_of_memory_for_a_large_frame_is_told),
        on_bench(frames_before_the_end_are_shown_before_closed),
        on_bench(copied_frame_is_released_before_send_returns),
        on_bench(borrowed_frame_is_released_once_when_written),
        on_bench(destroy_releases_what_was_not_written),
        on_bench(full_queue_of_borrowed_frames_arrives_whole),
        on_bench(refused_frame_is_not_released),
        on_bench(send_after_the_peer_left_is_closed_and_releases_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
