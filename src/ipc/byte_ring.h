/* SPDX-License-Identifier: MIT
 *
 * Pieces of bytes in the order in which they were put, each in one part, in a ring that grows with
 * what it holds. A piece is known by its place, a number that only grows, and stays the same when
 * the ring is made larger. One thread at a time.
 */
#ifndef WR_IPC_BYTE_RING_H
#define WR_IPC_BYTE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* In bytes; powers of two. */
#define WR_BYTE_RING_START (16u * 1024u)
#define WR_BYTE_RING_MAX (4u * 1024u * 1024u)

/* All zero: an empty one, like one after deinit. */
typedef struct wr_byte_ring {
    uint8_t *bytes; /* the byte at place p is at p & (capacity - 1) */
    uint64_t capacity;
    uint64_t first; /* what is before it was released */
    uint64_t end;   /* the place behind the newest piece */
} wr_byte_ring;

/* An empty one with room for pieces of so many bytes together, put one after the other. False:
 * there is no memory for it. */
bool wr_byte_ring_init(wr_byte_ring *ring, uint64_t size);
void wr_byte_ring_deinit(wr_byte_ring *ring);
/* Append a piece to be written by the caller. NULL: there is no room, or no memory for more.
 * `may_move`: pieces may move to a larger ring; else there is no room when this one is full. */
void *wr_byte_ring_put(wr_byte_ring *ring, size_t size, bool may_move, uint64_t *place);
/* Take the newest piece back. */
void wr_byte_ring_undo(wr_byte_ring *ring, uint64_t place);
const void *wr_byte_ring_get(const wr_byte_ring *ring, uint64_t place);
/* Everything before `place`, which is a piece's end, is no longer needed. */
void wr_byte_ring_release(wr_byte_ring *ring, uint64_t place);

#endif
