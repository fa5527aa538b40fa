/* SPDX-License-Identifier: MIT
 *
 * Giving the core away before a lone answer is written. Who wrote the message may wait for this
 * core, with a few microseconds to go before it sleeps; while it waits, the system wakes the reader
 * of our answer on another core, and to wake one that sleeps can take longer than all the rest.
 * When nobody waits this costs one system call.
 *
 * Who computes on instead keeps the core for milliseconds: each time that the core comes back late,
 * this is left alone for longer.
 */
#ifndef WR_GIVE_WAY_H
#define WR_GIVE_WAY_H

#include <stdbool.h>
#include <stdint.h>

/* Who was about to sleep takes a few microseconds, who was not takes a time slice. */
#define WR_GIVE_WAY_LATE_NS 200000u
/* For so many messages it is left alone the first time; the most. */
#define WR_GIVE_WAY_SHY_MIN 64u
#define WR_GIVE_WAY_SHY_MAX (1u << 20)

/* All zero at first. */
typedef struct wr_give_way {
    uint32_t shy_for;  /* so many messages more */
    uint32_t shy_next; /* how many it was the last time, less those that were in time since */
} wr_give_way;

/* Shall it be done for this message? */
bool wr_give_way_begin(wr_give_way *way);
/* It was done, and took so long. */
void wr_give_way_end(wr_give_way *way, uint64_t took_ns);

#endif
