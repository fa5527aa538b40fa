/* SPDX-License-Identifier: MIT
 *
 * The end of a burst (contract in lull.h).
 */
#include "ipc/lull.h"

bool wr_lull_begin(wr_lull *lull, uint64_t sent, uint64_t acknowledged)
{
    if (lull->runs || acknowledged < sent || sent - lull->small <= WR_LULL_MESSAGES) {
        return false;
    }
    lull->runs = true;
    lull->from = sent;
    return true;
}

bool wr_lull_end(wr_lull *lull, uint64_t sent)
{
    lull->runs = false;
    return sent - lull->from <= WR_LULL_MESSAGES;
}

void wr_lull_note_small(wr_lull *lull, uint64_t sent)
{
    lull->small = sent;
}
