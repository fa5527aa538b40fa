/* SPDX-License-Identifier: MIT
 *
 * The order in which to stop nodes, so that as little as possible is left in mailboxes.
 */
#ifndef WR_BROKER_ORDER_H
#define WR_BROKER_ORDER_H

#include "broker/node.h"

/*
 * Reorder `nodes`: sources before what they feed; of a cycle that nothing else feeds, the first one
 * first; else as given. Links from and to other nodes do not count. Under the broker's lock.
 * Errors: MEMORY (the order is left as it is).
 */
WEIR_MUST_CHECK weir_err wr_order_nodes(wr_link *const *links, size_t link_count, wr_node **nodes,
                                        size_t count);

#endif
