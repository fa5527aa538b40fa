/* SPDX-License-Identifier: MIT
 *
 * The lines lie one behind the other (contract in line_ring.h). Moving them up costs no more than
 * writing the line to a log does.
 */
#include "proxy/line_ring.h"

#include <string.h>

/* Give up the oldest lines until `size` bytes more fit. */
static void make_room(wr_line_ring *ring, size_t size)
{
    size_t from = 0;
    while (ring->size - from + size > WR_LINE_RING_BYTES) {
        from += strlen(ring->text + from) + 1;
    }
    ring->size -= from;
    memmove(ring->text, ring->text + from, ring->size);
}

void wr_line_ring_add(wr_line_ring *ring, const char *line)
{
    size_t length = strlen(line);
    if (length >= WR_LINE_RING_BYTES) {
        length = WR_LINE_RING_BYTES - 1;
    }
    make_room(ring, length + 1);
    memcpy(ring->text + ring->size, line, length);
    ring->text[ring->size + length] = '\0';
    ring->size += length + 1;
}

const char *wr_line_ring_next(const wr_line_ring *ring, const char *line)
{
    const char *next = line == NULL ? ring->text : line + strlen(line) + 1;
    return next < ring->text + ring->size ? next : NULL;
}
