/* SPDX-License-Identifier: MIT
 *
 * The last lines that a process wrote, for its crash report: as many as fit in a fixed space.
 * One thread at a time. All zero is an empty ring.
 */
#ifndef WR_PROXY_LINE_RING_H
#define WR_PROXY_LINE_RING_H

#include <stddef.h>

/* Bytes of all lines together, each with its NUL. */
#define WR_LINE_RING_BYTES 16384u

typedef struct wr_line_ring {
    size_t size;                   /* of the text in use */
    char text[WR_LINE_RING_BYTES]; /* the lines, oldest first, each with its NUL */
} wr_line_ring;

/* Add a line, which is copied; the oldest make room for it. What is longer than the ring is cut. */
void wr_line_ring_add(wr_line_ring *ring, const char *line);
/* The line after `line`, oldest first; NULL: the first one. Returns NULL after the last. Borrowed
 * until the next is added. */
const char *wr_line_ring_next(const wr_line_ring *ring, const char *line);

#endif
