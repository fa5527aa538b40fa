/* SPDX-License-Identifier: MIT
 *
 * From which link each message of a window came: runs of messages with the same link, so that a
 * module with one source costs nothing. One thread at a time.
 */
#ifndef WR_PROXY_ORIGINS_H
#define WR_PROXY_ORIGINS_H

#include <stddef.h>
#include <stdint.h>

typedef struct wr_origin {
    uint64_t link; /* wr_link.number */
    uint64_t end;  /* messages below this number, down to the end of the run before */
} wr_origin;

typedef struct wr_origins {
    wr_origin *ring; /* the oldest at `first` */
    size_t capacity;
    size_t first;
    size_t count;
    uint64_t known_from; /* what is below has been forgotten, or there was no memory for it */
} wr_origins;

/* The window's messages up to below `end`, from where the last call ended, came from this link.
 * Those below `done` need not be known any more. Without memory for it the origin of all so far is
 * forgotten. */
void wr_origins_add(wr_origins *origins, uint64_t link, uint64_t end, uint64_t done);
/* The link's number; 0: not known. */
uint64_t wr_origins_find(const wr_origins *origins, uint64_t number);
/* A message is given up, those after it move up (as wr_window_drop). */
void wr_origins_drop(wr_origins *origins, uint64_t number);
void wr_origins_deinit(wr_origins *origins);

#endif
