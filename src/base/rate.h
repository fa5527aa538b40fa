/* SPDX-License-Identifier: MIT
 *
 * Rate: lets so many events pass in each second, and counts those that are over. For log lines
 * whose number somebody else decides.
 */
#ifndef WR_BASE_RATE_H
#define WR_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"

/* All zero: nothing has come yet. */
typedef struct wr_rate {
    uint64_t begin_ns; /* of the second that is counted */
    uint32_t passed;   /* in it */
    uint64_t held;     /* ever since it was last asked */
} wr_rate;

/* Does an event pass, at this time (wr_clock_ns) and with so many in a second? */
WR_SHARED bool wr_rate_pass(wr_rate *rate, uint32_t limit, uint64_t now_ns);
/* How many did not pass since this was last called. */
WR_SHARED uint64_t wr_rate_take_held(wr_rate *rate);

#endif
