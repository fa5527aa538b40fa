/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's end of a connection, see peer.h.
 */
#include "peer.h"

#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_stream.h"
#include "message/message.h"
#include "platform/file.h"

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
    fuzz_lender_close(&peer->lender);
    *peer = (fuzz_peer){.stream = NULL};
}

void fuzz_peer_share(fuzz_peer *peer)
{
    if (peer->stream != NULL) {
        wr_stream_accept_memory(peer->stream);
        peer->shares = true;
    }
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

void fuzz_peer_raw(fuzz_peer *peer, size_t which, size_t size)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x09\xa1\x6c\x01\x02\x00\x00\x00\x09\x00", 18},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x09\xa1\x6c\x01\x02\x00\x00\x00\x0a\x00", 18},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x08\xa1\x6c\x01\x63\x00\x00\x00\x08", 17},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x0e\xa1\x60\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x00\x00",
         23},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x0e\xa1\x60\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00",
         23},
        {"\x01\x00\x00\x00\x00\x00\x10\x00\x00", 9},
        {"\x01\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\x02\x00\x00\x00\x00\x00\x00\x00\x00", 9},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x08\xa1\x6c\x01\x04\x00\x00\x00\x08", 17},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x08\xa1\x6c\x02\x01\x00\x00\x00\x08", 17},
    };
    which %= sizeof(cases) / sizeof(cases[0]);
    fuzz_peer_write(peer, cases[which].bytes, 1 + size % cases[which].size);
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
    bool by_reference = peer->shares && wr_message_is_bulk(msg);
    if (!by_reference || !fuzz_lender_send(&peer->lender, peer, msg)) {
        fuzz_peer_frame(peer, image, size);
    }
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

/* NULL: the frame stands for none. */
static weir_message *message_of(fuzz_peer *peer, const uint8_t *frame, size_t size)
{
    weir_message *msg = NULL;
    if (peer->shares && wr_shared_frame_is(frame, size)) {
        return fuzz_lender_take(&peer->lender, peer, frame, size);
    }
    REQUIRE(weir_message_decode(frame, size, &msg) == WEIR_OK);
    return msg;
}

bool fuzz_peer_take_numbers(fuzz_peer *peer, uint64_t *first, uint64_t *second)
{
    const uint8_t *frame;
    size_t size;
    bool found = false;
    while (!found && fuzz_peer_take(peer, &frame, &size)) {
        weir_message *msg = message_of(peer, frame, size);
        found = msg != NULL && fuzz_numbers_of(msg, first, second);
        weir_message_unref(msg);
    }
    return found;
}

/* Sockets */

static char folder[64];

static void remove_folder(void)
{
    wr_file_remove(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0] == '\0') {
        char *made = NULL;
        REQUIRE(wr_folder_create_private("weir-fuzz", &made, NULL) == WEIR_OK);
        (void)snprintf(folder, sizeof(folder), "%s", made);
        free(made);
        (void)atexit(remove_folder);
    }
    return folder;
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
