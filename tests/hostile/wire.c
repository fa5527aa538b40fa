/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's two connections, see wire.h.
 */
#include "wire.h"

#include <string.h>

#include "platform/poller.h"

void wire_open_control(wire *w, wr_stream *stream)
{
    wire_close(w);
    fuzz_peer_open(&w->control, stream);
    w->creates = 0;
    w->starts = 0;
    w->told = 0;
    w->good = 0;
    w->echoed = 0;
    fuzz_peer_greet(&w->control);
}

void wire_open_messages(wire *w, wr_stream *stream)
{
    fuzz_peer_open(&w->messages, stream);
    fuzz_peer_greet(&w->messages);
}

void wire_close(wire *w)
{
    fuzz_peer_close(&w->control);
    fuzz_peer_close(&w->messages);
}

static void take_control(wire *w)
{
    wr_control_message message;
    fuzz_peer_read(&w->control);
    while (fuzz_peer_take_control(&w->control, &message)) {
        if (message.type == WR_CONTROL_CREATE) {
            (void)snprintf(w->uri, sizeof(w->uri), "%s", message.uri);
        }
        if (message.type == WR_CONTROL_CREATE || message.type == WR_CONTROL_REPLY) {
            w->last = message;
            w->creates++;
        }
        w->starts += message.type == WR_CONTROL_START;
        w->told = message.type == WR_CONTROL_ACKNOWLEDGE ? message.count : w->told;
    }
}

static void take_messages(wire *w)
{
    uint64_t session;
    uint64_t number;
    fuzz_peer_read(&w->messages);
    while (fuzz_peer_take_numbers(&w->messages, &session, &number)) {
        if (w->good != 0 && session == w->good) { /* else of an earlier session */
            REQUIRE(number == w->echoed);
            w->echoed++;
        }
    }
}

static void watch(wr_poller *poller, fuzz_peer *peer, unsigned events)
{
    if (peer->stream != NULL && !peer->ended) {
        weir_err err = wr_poller_set(poller, wr_stream_waitable(peer->stream), events, peer);
        REQUIRE(err == WEIR_OK);
    }
}

static void wait_for(wire *w, const fuzz_peer *writing, int timeout_ms)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    REQUIRE(wr_poller_create(&poller) == WEIR_OK);
    watch(poller, &w->control, WR_POLL_READ | (writing == &w->control ? WR_POLL_WRITE : 0));
    watch(poller, &w->messages, WR_POLL_READ | (writing == &w->messages ? WR_POLL_WRITE : 0));
    size_t count = wr_poller_wait(poller, &event, 1, timeout_ms);
    wr_poller_destroy(poller);
    REQUIRE(count > 0 || timeout_ms < WIRE_PATIENCE_MS);
    take_control(w);
    take_messages(w);
}

void wire_wait(wire *w, int timeout_ms)
{
    wait_for(w, NULL, timeout_ms);
}

bool wire_send(wire *w, fuzz_peer *to, const void *data, size_t size)
{
    while (size > 0 && to->stream != NULL && !to->ended) {
        const wr_slice slice = {data, size};
        size_t sent = 0;
        weir_err err = wr_stream_write(to->stream, &slice, 1, &sent);
        if (err == WEIR_ERR_WOULD_BLOCK) {
            wait_for(w, to, WIRE_PATIENCE_MS);
            continue;
        }
        if (err != WEIR_OK) {
            return false;
        }
        data = (const char *)data + sent;
        size -= sent;
    }
    return size == 0;
}

bool wire_send_control(wire *w, const wr_control_message *message)
{
    wr_buffer image = WR_BUFFER_INIT;
    wr_buffer frame = WR_BUFFER_INIT;
    REQUIRE(wr_control_encode(message, &image) == WEIR_OK);
    wr_buffer_append_u8(&frame, 1);
    wr_buffer_append_u32(&frame, 0);
    wr_buffer_append_u32(&frame, (uint32_t)image.size);
    wr_buffer_append(&frame, image.data, image.size);
    REQUIRE(!frame.failed);
    bool sent = wire_send(w, &w->control, frame.data, frame.size);
    wr_buffer_deinit(&frame);
    wr_buffer_deinit(&image);
    return sent;
}

void wire_wait_end(wire *w, fuzz_peer *peer)
{
    while (peer->stream != NULL && !peer->ended) {
        wait_for(w, NULL, WIRE_PATIENCE_MS);
    }
    take_control(w);
    take_messages(w);
}

bool wire_wait_count(wire *w, const uint64_t *count, uint64_t least)
{
    while (*count < least && !w->control.ended) {
        wait_for(w, NULL, WIRE_PATIENCE_MS);
    }
    return *count >= least;
}
