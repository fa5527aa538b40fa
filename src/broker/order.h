/* SPDX-License-Identifier: MIT
 *
 * The order in which to stop nodes, so that as little as possible is left in mailboxes.
 */
#ifndef WR_BROKER_ORDER_H
#define WR_BROKER_ORDER_H

#include "broker/node.h"

/*
 * Reorder `nodes` in waves: the first are those that nobody feeds, each next one those that only
 * earlier waves feed; of a cycle that nothing else feeds, the first node is a wave by itself.
 * Within a wave, as given. `waves`: the number of each one's wave, from 0 on. Links from and to
 * other nodes do not count. Under the broker's lock. Errors: MEMORY (the order is left as it is).
 */
WEIR_MUST_CHECK weir_err wr_order_nodes(wr_link *const *links, size_t link_count, wr_node **nodes,
                                        size_t count, size_t *waves);

#endif
