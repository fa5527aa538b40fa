/* SPDX-License-Identifier: MIT
 *
 * The order in which to stop nodes, so that as little as possible is left in mailboxes.
 */
#ifndef WR_BROKER_ORDER_H
#define WR_BROKER_ORDER_H

#include "broker/node.h"

/*
 * Reorder `nodes` in waves: the first are those that nobody feeds, each next one those that only
 * earlier waves feed. What is in a cycle comes after all that feeds the cycle, and what that feeds
 * after what feeds it. The cycle itself is cut at one node, which one of those that nobody feeds
 * leads to, or else the first of it: links of the cycle to that one do not count. Nor do links from
 * and to other nodes. Within a wave, as given; no two nodes of a wave feed each
 * other. `waves`: the number of each one's wave, from 0 on. Under the broker's lock.
 * Errors: MEMORY (the order is left as it is).
 */
WEIR_MUST_CHECK weir_err wr_order_nodes(wr_node **nodes, size_t count, size_t *waves);

#endif
