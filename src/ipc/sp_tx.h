/* SPDX-License-Identifier: MIT
 *
 * The sending half of an SP stream: frames in order, small ones gathered in a ring of bytes, large
 * ones referred to where they are. One thread at a time.
 *
 * Invariant: the segments, in order, are exactly the bytes that are queued and not yet written;
 * those that point into the ring cover its used part.
 */
#ifndef WR_IPC_SP_TX_H
#define WR_IPC_SP_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/stream.h"

/* As many as one write takes; a power of two. */
#define WR_SP_TX_SEGMENTS WR_SLICES_MAX

typedef struct wr_sp_segment {
    const uint8_t *data;
    size_t size;
    bool in_ring; /* else borrowed, until release(owner) */
    void (*release)(void *owner);
    void *owner;
} wr_sp_segment;

typedef struct wr_sp_tx {
    uint8_t *ring;    /* WR_SP_TX_BUFFER_SIZE bytes */
    size_t ring_tail; /* where the next byte goes */
    size_t ring_used; /* bytes, ending at the tail */
    size_t first;     /* of the segments in use */
    size_t count;     /* of the segments in use */
    size_t unsent;    /* bytes in all segments */
    uint64_t written; /* bytes, from the start */
    weir_err failed;  /* what ended the connection; WEIR_OK: nothing */
    bool blocked;     /* the last write took less than was offered */
    wr_sp_segment segments[WR_SP_TX_SEGMENTS];
} wr_sp_tx;

/* The rest of the struct is zero. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_sp_tx_init(wr_sp_tx *tx);
/* Releases what was not sent. A zeroed struct is allowed. */
void wr_sp_tx_deinit(wr_sp_tx *tx);
/* Is there room for one more frame with `size` bytes of data? */
bool wr_sp_tx_fits(const wr_sp_tx *tx, size_t size);
/* Queue a frame, for which there must be room. */
void wr_sp_tx_put(wr_sp_tx *tx, const void *data, size_t size, void (*release)(void *owner),
                  void *owner);
/* Queue a whole frame, with its header, that is sent from where it lies; it is readable until it is
 * written. There must be a free segment. */
void wr_sp_tx_put_frame(wr_sp_tx *tx, const void *frame, size_t size);
/* Write until nothing is left. Errors: WOULD_BLOCK, CLOSED, IO; the latter two for good. */
WEIR_MUST_CHECK weir_err wr_sp_tx_write(wr_sp_tx *tx, wr_stream *stream);

#endif
