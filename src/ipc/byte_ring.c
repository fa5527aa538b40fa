/* SPDX-License-Identifier: MIT
 *
 * The ring of pieces (contract in byte_ring.h). A piece that would wrap around begins at the ring's
 * start instead; as capacities are powers of two, it stays in one part in a larger ring, too.
 */
#include "ipc/byte_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool wr_byte_ring_init(wr_byte_ring *ring, uint64_t size)
{
    uint64_t capacity = WR_BYTE_RING_START;
    while (capacity < size && capacity < WR_BYTE_RING_MAX) {
        capacity *= 2;
    }
    uint8_t *bytes = capacity < size ? NULL : malloc(capacity);
    if (bytes == NULL) {
        return false;
    }
    *ring = (wr_byte_ring){.bytes = bytes, .capacity = capacity};
    return true;
}

void wr_byte_ring_deinit(wr_byte_ring *ring)
{
    free(ring->bytes);
    *ring = (wr_byte_ring){.bytes = NULL};
}

static uint8_t *at(const wr_byte_ring *ring, uint64_t place)
{
    return ring->bytes + (place & (ring->capacity - 1));
}

/* Bytes from `place` to where the ring goes round. */
static uint64_t room_behind(const wr_byte_ring *ring, uint64_t place)
{
    return ring->capacity - (place & (ring->capacity - 1));
}

/* What is used may go round in the old ring, and so in the new one. */
static void copy_all(const wr_byte_ring *from, const wr_byte_ring *to)
{
    for (uint64_t place = from->first; place < from->end;) {
        uint64_t part = from->end - place;
        uint64_t whole = room_behind(from, place); /* less than the same of the larger ring */
        part = part < whole ? part : whole;
        memcpy(at(to, place), at(from, place), part);
        place += part;
    }
}

static bool grow(wr_byte_ring *ring)
{
    wr_byte_ring grown = *ring;
    grown.capacity = ring->capacity == 0 ? WR_BYTE_RING_START : 2 * ring->capacity;
    grown.bytes = grown.capacity > WR_BYTE_RING_MAX ? NULL : malloc(grown.capacity);
    if (grown.bytes == NULL) {
        return false;
    }
    copy_all(ring, &grown);
    free(ring->bytes);
    *ring = grown;
    return true;
}

/* Where a piece of this size would begin. */
static uint64_t next_place(const wr_byte_ring *ring, size_t size)
{
    uint64_t behind = room_behind(ring, ring->end);
    return size <= behind ? ring->end : ring->end + behind;
}

static bool fits(const wr_byte_ring *ring, size_t size)
{
    return ring->capacity > 0 && next_place(ring, size) + size - ring->first <= ring->capacity;
}

void *wr_byte_ring_put(wr_byte_ring *ring, size_t size, bool may_move, uint64_t *place)
{
    if (size > WR_BYTE_RING_MAX / 2) {
        return NULL;
    }
    while (!fits(ring, size)) {
        if (!may_move || !grow(ring)) {
            return NULL;
        }
    }
    *place = next_place(ring, size);
    ring->end = *place + size;
    return at(ring, *place);
}

void wr_byte_ring_undo(wr_byte_ring *ring, uint64_t place)
{
    assert(place >= ring->first && place <= ring->end);
    ring->end = place;
}

const void *wr_byte_ring_get(const wr_byte_ring *ring, uint64_t place)
{
    return at(ring, place);
}

void wr_byte_ring_release(wr_byte_ring *ring, uint64_t place)
{
    assert(place >= ring->first && place <= ring->end);
    ring->first = place;
}
