/* SPDX-License-Identifier: MIT
 *
 * What the tests of message channels have in common: messages that can be told apart, and two ends
 * that have greeted each other.
 */
#ifndef WR_IPC_CHANNEL_TEST_H
#define WR_IPC_CHANNEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "message/message.h"

#define LIMIT (8u * 1024u * 1024u)

static inline weir_message *make(size_t size, unsigned seed)
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

static inline void assert_same(const weir_message *a, const weir_message *b)
{
    size_t a_size = 0;
    size_t b_size = 0;
    const void *a_image = weir_message_image(a, &a_size);
    const void *b_image = weir_message_image(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_image, b_image, a_size);
    assert_string_equal("test", weir_message_property(b, "kind"));
}

static inline void greet(wr_channel *channel)
{
    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_channel_receive(channel, &none, NULL));
    assert_true(wr_channel_greeted(channel));
}

static inline weir_message *receive(wr_channel *to)
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

static inline void send(wr_channel *to, weir_message *msg)
{
    assert_int_equal(WEIR_OK, wr_channel_send(to, msg));
}

/* Two ends that have greeted each other, with shared memory or without. */
static inline void open_ends(wr_channel **a, wr_channel **b, bool shared)
{
    wr_stream *streams[2] = {NULL, NULL};
    assert_int_equal(WEIR_OK, wr_stream_pair(&streams[0], &streams[1]));
    assert_int_equal(WEIR_OK, wr_channel_create(streams[0], LIMIT, a));
    assert_int_equal(WEIR_OK, wr_channel_create(streams[1], LIMIT, b));
    if (shared) {
        assert_int_equal(WEIR_OK, wr_channel_share(*a));
        assert_int_equal(WEIR_OK, wr_channel_share(*b));
    }
    greet(*a);
    greet(*b);
}

/* Move one message from one end to the other, whatever the sockets hold. */
static inline weir_message *move(wr_channel *from, wr_channel *to)
{
    weir_message *got = NULL;
    while (got == NULL) {
        weir_err flushed = wr_channel_flush(from);
        assert_true(flushed == WEIR_OK || flushed == WEIR_ERR_WOULD_BLOCK);
        got = receive(to);
    }
    return got;
}

#endif
