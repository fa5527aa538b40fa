/* SPDX-License-Identifier: MIT
 *
 * Counting by the second (contract in rate.h).
 */
#include "base/rate.h"

#define SECOND_NS UINT64_C(1000000000)

bool wr_rate_pass(wr_rate *rate, uint32_t limit, uint64_t now_ns)
{
    if (now_ns - rate->begin_ns >= SECOND_NS) {
        rate->begin_ns = now_ns;
        rate->passed = 0;
    }
    if (rate->passed >= limit) {
        rate->held++;
        return false;
    }
    rate->passed++;
    return true;
}

uint64_t wr_rate_take_held(wr_rate *rate)
{
    uint64_t held = rate->held;
    rate->held = 0;
    return held;
}
