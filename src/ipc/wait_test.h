/* SPDX-License-Identifier: MIT
 *
 * What tests that play one end of a connection have in common: waiting for the other end, with a
 * deadline that only a broken program reaches.
 */
#ifndef WR_IPC_WAIT_TEST_H
#define WR_IPC_WAIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/sp_stream.h"
#include "platform/poller.h"

#define DEADLINE_MS 60000
#define ASSERT_OK(call) assert_int_equal((call), WEIR_OK)

/* Waiting for one waitable. */
static inline void wait_ready(wr_waitable what, unsigned events)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    ASSERT_OK(wr_poller_create(&poller));
    ASSERT_OK(wr_poller_set(poller, what, events, &event));
    assert_int_equal(wr_poller_wait(poller, &event, 1, DEADLINE_MS), 1);
    wr_poller_destroy(poller);
}

/* The next frame, or why there is none. */
static inline weir_err control_receive(wr_sp_stream *control, wr_sp_frame *frame)
{
    weir_err err = wr_sp_receive(control, frame, NULL);
    while (err == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_stream_waitable(wr_sp_inner(control)), WR_POLL_READ);
        err = wr_sp_receive(control, frame, NULL);
    }
    return err;
}

/* Nothing is sent before the greeting came, so wait for that. */
static inline void control_flush(wr_sp_stream *control)
{
    weir_err err = wr_sp_flush(control);
    while (err == WEIR_ERR_WOULD_BLOCK) {
        wr_sp_frame frame;
        wait_ready(wr_stream_waitable(wr_sp_inner(control)), WR_POLL_READ);
        assert_int_equal(wr_sp_receive(control, &frame, NULL), WEIR_ERR_WOULD_BLOCK);
        err = wr_sp_flush(control);
    }
    ASSERT_OK(err);
}

/* Say it, and see it leave. */
static inline void control_say(wr_sp_stream *control, const wr_control_message *message)
{
    wr_buffer image = WR_BUFFER_INIT;
    ASSERT_OK(wr_control_encode(message, &image));
    ASSERT_OK(wr_sp_send(control, image.data, image.size, NULL, NULL));
    wr_buffer_deinit(&image);
    control_flush(control);
}

/* The next message, or why there is none. */
static inline weir_err channel_receive(wr_channel *channel, weir_message **msg)
{
    weir_err err = wr_channel_receive(channel, msg, NULL);
    while (err == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_channel_waitable(channel), WR_POLL_READ);
        err = wr_channel_receive(channel, msg, NULL);
    }
    return err;
}

static inline void wait_greeting(wr_channel *channel)
{
    while (!wr_channel_greeted(channel)) {
        weir_message *msg = NULL;
        wait_ready(wr_channel_waitable(channel), WR_POLL_READ);
        assert_int_equal(wr_channel_receive(channel, &msg, NULL), WEIR_ERR_WOULD_BLOCK);
    }
}

#endif
