/* SPDX-License-Identifier: MIT
 *
 * A channel with shared memory, and at its other end a bare stream with a pool, which plays a
 * hostile peer.
 */
#ifndef WR_IPC_SHARING_HOSTILE_TEST_H
#define WR_IPC_SHARING_HOSTILE_TEST_H

#include "ipc/sharing_test.h"

typedef struct hostile {
    wr_channel *channel;
    wr_stream *peer;
    wr_shared_pool *pool;
    void *block; /* what was laid; NULL: nothing */
    size_t size;
} hostile;

static inline void put(hostile *h, const void *data, size_t size)
{
    wr_slice slice = {data, size};
    size_t sent = 0;
    assert_int_equal(WEIR_OK, wr_stream_write(h->peer, &slice, 1, &sent));
    assert_int_equal(size, sent);
}

static inline void put_frame(hostile *h, const void *data, size_t size)
{
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, size);
    put(h, header, sizeof(header));
    put(h, data, size);
}

static inline void put_shared(hostile *h, const wr_shared_frame *frame)
{
    uint8_t bytes[WR_SHARED_FRAME_MAX];
    put_frame(h, bytes, wr_shared_frame_encode(frame, bytes));
}

static inline void put_pool(hostile *h)
{
    wr_stream_attach_memory(h->peer, wr_shared_pool_memory(h->pool));
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = WR_SHARED_POOL_SIZE});
}

static inline int set_up_hostile(void **state)
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

static inline int tear_down_hostile(void **state)
{
    hostile *h = *state;
    wr_channel_destroy(h->channel);
    wr_stream_close(h->peer);
    if (h->block != NULL) {
        wr_shared_pool_put(h->pool, h->block, h->size);
    }
    wr_shared_pool_destroy(h->pool);
    free(h);
    return 0;
}

static inline void expect(hostile *h, weir_err wanted, const char *words)
{
    wr_error error = {.code = WEIR_OK};
    weir_message *none = NULL;
    assert_int_equal(wanted, wr_channel_receive(h->channel, &none, &error));
    assert_null(none);
    assert_string_equal(words, wr_error_text(&error));
}

/* An image in the peer's pool, and the frame that stands for it. */
static inline wr_shared_frame lay(hostile *h, const weir_message *msg)
{
    wr_shared_frame frame = {.kind = WR_SHARED_REFERENCE, .lent = {0, 1}};
    size_t size = 0;
    size_t head = 0;
    const void *image = weir_message_image(msg, &size);
    h->block = wr_shared_pool_get(h->pool, size);
    h->size = size;
    assert_non_null(h->block);
    memcpy(h->block, image, size);
    (void)wr_message_head(msg, &head);
    assert_true(wr_shared_pool_offset(h->pool, h->block, size, &frame.offset));
    frame.size = (uint32_t)size;
    frame.head_size = (uint32_t)head;
    return frame;
}

#define WITH_HOSTILE(test) cmocka_unit_test_setup_teardown(test, set_up_hostile, tear_down_hostile)

#endif
