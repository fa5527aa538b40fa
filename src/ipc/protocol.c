/* SPDX-License-Identifier: MIT
 *
 * Agreeing on a protocol version (contract in protocol.h).
 */
#include "ipc/protocol.h"

bool wr_protocol_agree(const wr_extension *peer, wr_error *error)
{
    const wr_protocol_range *range = &peer->protocol;
    if (!peer->present || range->last == 0) {
        return true;
    }
    if (range->first <= WR_PROTOCOL_LAST && range->last >= WR_PROTOCOL_FIRST) {
        return true;
    }
    wr_error_set(error, WEIR_ERR_UNSUPPORTED,
                 "no protocol version in common: %u to %u are spoken here, %u to %u by the other "
                 "side; update the older one",
                 WR_PROTOCOL_FIRST, WR_PROTOCOL_LAST, range->first, range->last);
    return false;
}
