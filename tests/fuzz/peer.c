/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's end of a connection, see peer.h.
 */
#include "peer.h"

#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_stream.h"

#define GREETING "\x00SP\x00\x00\x10\x00\x00"
#define READ_SIZE 65536u
#define FRAME_MAX (64u * 1024u * 1024u)
#define MARK "numbers"

void fuzz_peer_open(fuzz_peer *peer, wr_stream *stream)
{
    fuzz_peer_close(peer);
    peer->stream = stream;
}

void fuzz_peer_close(fuzz_peer *peer)
{
    wr_stream_close(peer->stream);
    wr_buffer_deinit(&peer->in);
    *peer = (fuzz_peer){.stream = NULL};
}

/* Writing */

void fuzz_peer_write(fuzz_peer *peer, const void *data, size_t size)
{
    while (peer->stream != NULL && !peer->jammed && size > 0) {
        const wr_slice slice = {data, size};
        size_t sent = 0;
        if (wr_stream_write(peer->stream, &slice, 1, &sent) != WEIR_OK) {
            peer->jammed = true;
            return;
        }
        data = (const char *)data + sent;
        size -= sent;
    }
}

void fuzz_peer_greet(fuzz_peer *peer)
{
    fuzz_peer_write(peer, GREETING, WR_SP_GREETING_SIZE);
}

void fuzz_peer_frame(fuzz_peer *peer, const void *data, size_t size)
{
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, size);
    const wr_slice slices[] = {{header, sizeof(header)}, {data, size}};
    size_t sent = 0;
    if (peer->stream == NULL || peer->jammed) {
        return;
    }
    if (wr_stream_write(peer->stream, slices, 2, &sent) != WEIR_OK || sent < sizeof(header)) {
        peer->jammed = true;
        return;
    }
    sent -= sizeof(header);
    fuzz_peer_write(peer, (const char *)data + sent, size - sent);
}

void fuzz_peer_control(fuzz_peer *peer, const wr_control_message *message)
{
    wr_buffer image = WR_BUFFER_INIT;
    if (wr_control_encode(message, &image) == WEIR_OK) {
        fuzz_peer_frame(peer, image.data, image.size);
    }
    wr_buffer_deinit(&image);
}

void fuzz_peer_numbers(fuzz_peer *peer, uint64_t first, uint64_t second, size_t extra)
{
    weir_message *msg = fuzz_numbers_new(first, second, extra);
    size_t size = 0;
    const void *image = weir_message_image(msg, &size);
    fuzz_peer_frame(peer, image, size);
    weir_message_unref(msg);
}

/* Reading */

void fuzz_peer_read(fuzz_peer *peer)
{
    static _Thread_local uint8_t bytes[READ_SIZE];
    if (peer->taken == peer->in.size) {
        wr_buffer_clear(&peer->in);
        peer->taken = 0;
    }
    size_t got = 0;
    weir_err err = peer->stream == NULL ? WEIR_ERR_WOULD_BLOCK : WEIR_OK;
    while (err == WEIR_OK) {
        err = wr_stream_read(peer->stream, bytes, sizeof(bytes), &got);
        if (err == WEIR_OK) {
            wr_buffer_append(&peer->in, bytes, got);
        }
    }
    REQUIRE(!peer->in.failed);
    peer->ended = peer->ended || err != WEIR_ERR_WOULD_BLOCK;
}

static size_t left(const fuzz_peer *peer)
{
    return peer->in.size - peer->taken;
}

static const uint8_t *next_byte(const fuzz_peer *peer)
{
    return (const uint8_t *)peer->in.data + peer->taken;
}

static bool take_greeting(fuzz_peer *peer)
{
    if (!peer->greeted && left(peer) >= WR_SP_GREETING_SIZE) {
        REQUIRE(memcmp(next_byte(peer), GREETING, WR_SP_GREETING_SIZE) == 0);
        peer->taken += WR_SP_GREETING_SIZE;
        peer->greeted = true;
    }
    return peer->greeted;
}

bool fuzz_peer_take(fuzz_peer *peer, const uint8_t **frame, size_t *size)
{
    if (!take_greeting(peer) || left(peer) < WR_SP_HEADER_SIZE) {
        return false;
    }
    const uint8_t *header = next_byte(peer);
    uint64_t length = wr_get_u64(header + 1);
    REQUIRE(header[0] == 1);
    REQUIRE(length <= FRAME_MAX);
    if (left(peer) - WR_SP_HEADER_SIZE < length) {
        return false;
    }
    *frame = header + WR_SP_HEADER_SIZE;
    *size = (size_t)length;
    peer->taken += WR_SP_HEADER_SIZE + *size;
    return true;
}

bool fuzz_peer_take_control(fuzz_peer *peer, wr_control_message *message)
{
    const uint8_t *frame;
    size_t size;
    if (!fuzz_peer_take(peer, &frame, &size)) {
        return false;
    }
    REQUIRE(wr_control_decode(frame, size, message, NULL) == WEIR_OK);
    return true;
}

bool fuzz_peer_take_numbers(fuzz_peer *peer, uint64_t *first, uint64_t *second)
{
    const uint8_t *frame;
    size_t size;
    weir_message *msg = NULL;
    bool found = false;
    while (!found && fuzz_peer_take(peer, &frame, &size)) {
        REQUIRE(weir_message_decode(frame, size, &msg) == WEIR_OK);
        found = fuzz_numbers_of(msg, first, second);
        weir_message_unref(msg);
    }
    return found;
}

/* Numbers */

weir_message *fuzz_numbers_new(uint64_t first, uint64_t second, size_t extra)
{
    const weir_property mark = {MARK, ""};
    void *content = NULL;
    weir_message *msg = NULL;
    REQUIRE(weir_message_reserve(&mark, 1, 16 + extra, &content, &msg) == WEIR_OK);
    wr_put_u64(content, first);
    wr_put_u64((uint8_t *)content + 8, second);
    memset((uint8_t *)content + 16, 'x', extra);
    return msg;
}

bool fuzz_numbers_of(const weir_message *msg, uint64_t *first, uint64_t *second)
{
    size_t size = 0;
    const uint8_t *content = weir_message_content(msg, &size);
    if (weir_message_property(msg, MARK) == NULL || size < 16) {
        return false;
    }
    *first = wr_get_u64(content);
    *second = wr_get_u64(content + 8);
    return true;
}
