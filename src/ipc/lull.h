/* SPDX-License-Identifier: MIT
 *
 * When is a burst of messages over, so that a window may give back the memory for it
 * (wr_window_shrink)? When all of them are acknowledged, and only a few more come for a while.
 *
 * It knows no clock: whoever has a timer begins a lull, and asks at its end. One thread at a time.
 */
#ifndef WR_IPC_LULL_H
#define WR_IPC_LULL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"

/* The while, and the few. A new window holds so many. */
#define WR_LULL_MS 1000u
#define WR_LULL_MESSAGES 64u

/* All zero at first. */
typedef struct wr_lull {
    bool runs;
    uint64_t from;  /* so many messages had been sent when it began */
    uint64_t small; /* and when the window was last made small */
} wr_lull;

/* So many messages were sent, and acknowledged. True: a lull begins, ask in WR_LULL_MS. */
WR_SHARED bool wr_lull_begin(wr_lull *lull, uint64_t sent, uint64_t acknowledged);
/* That time is over. True: it is worth making the window small. */
WR_SHARED bool wr_lull_end(wr_lull *lull, uint64_t sent);
/* It was made small. */
WR_SHARED void wr_lull_note_small(wr_lull *lull, uint64_t sent);

#endif
