/* SPDX-License-Identifier: MIT
 *
 * When to give the core away (contract in give_way.h).
 */
#include "remote/give_way.h"

bool wr_give_way_begin(wr_give_way *way)
{
    if (way->shy_for == 0) {
        return true;
    }
    way->shy_for--;
    return false;
}

static uint32_t longer(uint32_t before)
{
    if (before >= WR_GIVE_WAY_SHY_MAX / 4) {
        return WR_GIVE_WAY_SHY_MAX;
    }
    return before < WR_GIVE_WAY_SHY_MIN / 4 ? WR_GIVE_WAY_SHY_MIN : 4 * before;
}

void wr_give_way_end(wr_give_way *way, uint64_t took_ns)
{
    if (took_ns >= WR_GIVE_WAY_LATE_NS) {
        way->shy_next = longer(way->shy_next);
        way->shy_for = way->shy_next;
    } else if (way->shy_next > 0) {
        way->shy_next--;
    }
}
