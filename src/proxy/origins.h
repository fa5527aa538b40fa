/* SPDX-License-Identifier: MIT
 *
 * From which link each message of a window came: runs of messages with the same link. What a run
 * costs is paid at its begin, and so messages of one source cost a comparison each. One thread at a
 * time.
 */
#ifndef WR_PROXY_ORIGINS_H
#define WR_PROXY_ORIGINS_H

#include <stddef.h>
#include <stdint.h>

typedef struct wr_origin {
    uint64_t link;  /* wr_link.number */
    uint64_t begin; /* messages from this number on, up to the begin of the next run */
} wr_origin;

typedef struct wr_origins {
    uint64_t last;   /* the newest run's link; 0: there is none, or no memory for it */
    wr_origin *ring; /* the oldest at `first` */
    size_t capacity;
    size_t first;
    size_t count;
} wr_origins;

/* A run begins. Without memory for it the origin of all so far is forgotten. */
void wr_origins_begin(wr_origins *origins, uint64_t link, uint64_t begin, uint64_t done);

/* The window's messages from `begin` on come from this link, until it is said otherwise. Those
 * below `done` need not be known any more. */
static inline void wr_origins_note(wr_origins *origins, uint64_t link, uint64_t begin,
                                   uint64_t done)
{
    if (origins->last != link) {
        wr_origins_begin(origins, link, begin, done);
    }
}

/* The link's number; 0: not known. */
uint64_t wr_origins_find(const wr_origins *origins, uint64_t number);
/* A message is given up, those after it move up (as wr_window_drop). */
void wr_origins_drop(wr_origins *origins, uint64_t number);
/* Give back memory that the runs do not need; those of messages below `done` are forgotten. */
void wr_origins_shrink(wr_origins *origins, uint64_t done);
void wr_origins_deinit(wr_origins *origins);

#endif
