/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: a peer's bytes into an SP stream, and into the message channel above it. The first
 * byte says in pieces of which size they arrive, and who reads them. The pieces must not change
 * what is understood.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "ipc/channel.h"
#include "ipc/sp_stream.h"
#include "repair.h"

#define FRAME_LIMIT (1024u * 1024u)

/* What a reader saw: enough to tell two readings apart. */
typedef struct summary {
    size_t frames;
    uint64_t hash;
    weir_err end;
} summary;

static void add(summary *seen, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    seen->frames++;
    seen->hash = (seen->hash ^ size) * 1099511628211u;
    for (size_t i = 0; i < size; i++) {
        seen->hash = (seen->hash ^ bytes[i]) * 1099511628211u;
    }
}

static void *place(void *user, size_t size)
{
    void **last = user;
    free(*last);
    *last = malloc(size);
    return *last;
}

static void read_frames(wr_sp_stream *sp, summary *seen)
{
    wr_sp_frame frame;
    while ((seen->end = wr_sp_receive(sp, &frame, NULL)) == WEIR_OK) {
        add(seen, frame.data, frame.size);
    }
}

static void read_messages(wr_channel *channel, summary *seen)
{
    weir_message *msg = NULL;
    while ((seen->end = wr_channel_receive(channel, &msg, NULL)) == WEIR_OK) {
        size_t size = 0;
        const void *image = weir_message_image(msg, &size);
        add(seen, image, size);
        weir_message_unref(msg);
    }
}

/* A reader of one of the two kinds, and the peer's end of its connection. */
typedef struct reader {
    wr_stream *peer;
    wr_sp_stream *sp;
    wr_channel *channel;
    void *placed;
} reader;

static void open_reader(reader *r, bool messages)
{
    wr_stream *end = NULL;
    REQUIRE(wr_stream_pair(&end, &r->peer) == WEIR_OK);
    if (messages) {
        REQUIRE(wr_channel_create(end, FRAME_LIMIT, &r->channel) == WEIR_OK);
        return;
    }
    wr_sp_options options = {.frame_limit = FRAME_LIMIT,
                             .rx_buffer_size = 2 * (size_t)WR_SP_COPY_MAX,
                             .place = place,
                             .user = &r->placed};
    REQUIRE(wr_sp_create(end, &options, &r->sp) == WEIR_OK);
}

static void close_reader(reader *r)
{
    wr_channel_destroy(r->channel);
    wr_sp_destroy(r->sp);
    wr_stream_close(r->peer);
    free(r->placed);
}

static void read_ready(reader *r, summary *seen)
{
    if (r->channel != NULL) {
        read_messages(r->channel, seen);
    } else {
        read_frames(r->sp, seen);
    }
}

static summary feed(const uint8_t *data, size_t size, size_t piece, bool messages)
{
    reader r = {0};
    summary seen = {.end = WEIR_ERR_WOULD_BLOCK};
    open_reader(&r, messages);
    for (size_t at = 0; at < size && seen.end == WEIR_ERR_WOULD_BLOCK;) {
        wr_slice slice = {data + at, size - at < piece ? size - at : piece};
        size_t sent = 0;
        REQUIRE(wr_stream_write(r.peer, &slice, 1, &sent) == WEIR_OK);
        at += sent;
        read_ready(&r, &seen);
    }
    close_reader(&r);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    bool messages = (data[0] & 0x80) != 0;
    /* Single bytes and more, but not so many pieces of a long input that it takes long. */
    size_t piece = 1 + (data[0] & 0x7f) + size / 256;
    summary whole = feed(data + 1, size - 1, 65536, messages);
    summary pieces = feed(data + 1, size - 1, piece, messages);
    REQUIRE(whole.frames == pieces.frames);
    REQUIRE(whole.hash == pieces.hash);
    REQUIRE(whole.end == pieces.end);
    return 0;
}

/* Mostly whole streams with other contents, and mostly with one thing wrong. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    fuzz_random random = fuzz_random_from(seed);
    fuzz_fields fields = {0};
    size = LLVMFuzzerMutate(data, size, max_size);
    if (size < 1 || fuzz_one_in(&random, 8)) {
        return size;
    }
    fuzz_repair_stream(data + 1, size - 1, (data[0] & 0x80) != 0, &fields);
    if (fuzz_one_in(&random, 3)) {
        fuzz_break_field(data + 1, size - 1, &fields, &random);
    }
    return size;
}
