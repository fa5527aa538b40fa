/* SPDX-License-Identifier: MIT
 *
 * The sending half of an SP stream. The common case, a small frame behind another one, is a copy
 * into the ring and an addition to the last segment.
 */
#include "ipc/sp_tx.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_stream.h"

/* Segments that one frame can need: its bytes in the ring in two parts, where they wrap around,
 * and the borrowed data. */
#define SEGMENTS_SMALL 2u
#define SEGMENTS_LARGE 3u

_Static_assert((WR_SP_TX_SEGMENTS & (WR_SP_TX_SEGMENTS - 1)) == 0, "segments wrap by a mask");
_Static_assert(WR_SP_TX_BUFFER_SIZE >= WR_SP_HEADER_SIZE + WR_SP_COPY_MAX, "a frame must fit");

weir_err wr_sp_tx_init(wr_sp_tx *tx)
{
    tx->ring = malloc(WR_SP_TX_BUFFER_SIZE);
    return tx->ring == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static wr_sp_segment *segment_at(wr_sp_tx *tx, size_t index)
{
    return &tx->segments[(tx->first + index) & (WR_SP_TX_SEGMENTS - 1)];
}

static void pop_segment(wr_sp_tx *tx)
{
    wr_sp_segment *segment = segment_at(tx, 0);
    if (segment->release != NULL) {
        segment->release(segment->owner);
    }
    tx->first++;
    tx->count--;
}

void wr_sp_tx_deinit(wr_sp_tx *tx)
{
    while (tx->count > 0) {
        pop_segment(tx);
    }
    free(tx->ring);
    tx->ring = NULL;
}

bool wr_sp_tx_fits(const wr_sp_tx *tx, size_t size)
{
    bool small = size <= WR_SP_COPY_MAX;
    size_t bytes = WR_SP_HEADER_SIZE + (small ? size : 0);
    size_t segments = small ? SEGMENTS_SMALL : SEGMENTS_LARGE;
    return bytes <= WR_SP_TX_BUFFER_SIZE - tx->ring_used &&
           segments <= WR_SP_TX_SEGMENTS - tx->count;
}

static void push_segment(wr_sp_tx *tx, const wr_sp_segment *segment)
{
    *segment_at(tx, tx->count) = *segment;
    tx->count++;
    tx->unsent += segment->size;
}

/* The next `size` bytes of the ring, which are in one piece and written, are queued. */
static void advance_ring(wr_sp_tx *tx, size_t size)
{
    const uint8_t *start = tx->ring + tx->ring_tail;
    tx->ring_tail = (tx->ring_tail + size) % WR_SP_TX_BUFFER_SIZE;
    tx->ring_used += size;
    if (tx->count > 0) {
        wr_sp_segment *last = segment_at(tx, tx->count - 1);
        if (last->in_ring && last->data + last->size == start) {
            last->size += size;
            tx->unsent += size;
            return;
        }
    }
    push_segment(tx, &(wr_sp_segment){start, size, true, NULL, NULL});
}

static void append_ring(wr_sp_tx *tx, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        size_t room = WR_SP_TX_BUFFER_SIZE - tx->ring_tail;
        size_t part = size < room ? size : room;
        memcpy(tx->ring + tx->ring_tail, from, part);
        advance_ring(tx, part);
        from += part;
        size -= part;
    }
}

static void put_small(wr_sp_tx *tx, const void *data, size_t size)
{
    if (WR_SP_HEADER_SIZE + size > WR_SP_TX_BUFFER_SIZE - tx->ring_tail) {
        uint8_t header[WR_SP_HEADER_SIZE];
        wr_sp_write_header(header, size);
        append_ring(tx, header, sizeof(header));
        append_ring(tx, data, size);
        return;
    }
    uint8_t *at = tx->ring + tx->ring_tail;
    wr_sp_write_header(at, size);
    if (size > 0) {
        memcpy(at + WR_SP_HEADER_SIZE, data, size);
    }
    advance_ring(tx, WR_SP_HEADER_SIZE + size);
}

void wr_sp_tx_put(wr_sp_tx *tx, const void *data, size_t size, void (*release)(void *owner),
                  void *owner)
{
    if (size <= WR_SP_COPY_MAX) {
        put_small(tx, data, size);
        if (release != NULL) {
            release(owner);
        }
        return;
    }
    uint8_t header[WR_SP_HEADER_SIZE];
    wr_sp_write_header(header, size);
    append_ring(tx, header, sizeof(header));
    push_segment(tx, &(wr_sp_segment){data, size, false, release, owner});
}

void wr_sp_tx_put_frame(wr_sp_tx *tx, const void *frame, size_t size)
{
    if (tx->count > 0) {
        wr_sp_segment *last = segment_at(tx, tx->count - 1);
        if (!last->in_ring && last->release == NULL && last->data + last->size == frame) {
            last->size += size;
            tx->unsent += size;
            return;
        }
    }
    push_segment(tx, &(wr_sp_segment){frame, size, false, NULL, NULL});
}

static void consume(wr_sp_tx *tx, size_t sent)
{
    tx->unsent -= sent;
    tx->written += sent;
    while (sent > 0) {
        wr_sp_segment *segment = segment_at(tx, 0);
        size_t part = sent < segment->size ? sent : segment->size;
        segment->data += part;
        segment->size -= part;
        sent -= part;
        if (segment->in_ring) {
            tx->ring_used -= part;
        }
        if (segment->size == 0) {
            pop_segment(tx);
        }
    }
    if (tx->ring_used == 0) {
        /* From the start again: fewer frames wrap around. */
        tx->ring_tail = 0;
    }
}

static weir_err write_once(wr_sp_tx *tx, wr_stream *stream)
{
    wr_slice slices[WR_SP_TX_SEGMENTS];
    for (size_t i = 0; i < tx->count; i++) {
        const wr_sp_segment *segment = segment_at(tx, i);
        slices[i] = (wr_slice){segment->data, segment->size};
    }
    size_t sent = 0;
    weir_err err = wr_stream_write(stream, slices, tx->count, &sent);
    if (err == WEIR_OK) {
        consume(tx, sent);
    }
    return err;
}

weir_err wr_sp_tx_write(wr_sp_tx *tx, wr_stream *stream)
{
    weir_err err = tx->failed;
    while (err == WEIR_OK && tx->count > 0) {
        err = write_once(tx, stream);
    }
    tx->blocked = err == WEIR_ERR_WOULD_BLOCK;
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        tx->failed = err;
    }
    return err;
}
