/* SPDX-License-Identifier: MIT
 *
 * The broker: which node feeds which, the pool that runs them, and the counters of all links.
 *
 * Threads: any; changes wait for each other. None of these from a module's callback.
 */
#ifndef WR_BROKER_BROKER_H
#define WR_BROKER_BROKER_H

#include "broker/node.h"

typedef struct wr_broker wr_broker;

/* `threads`: of the pool; 0: one per core. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_broker_create(unsigned threads, wr_broker **out);
/* All nodes are closed. `stuck`: threads of the pool are stuck in a module: leave them. */
void wr_broker_destroy(wr_broker *broker, bool stuck);
wr_executor *wr_broker_pool(wr_broker *broker);
/* One thread for nodes whose consumers are quick and never wait: modules that stay in receive can
 * take every thread of the pool, and are not to hold up those. Made when first asked for.
 * Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_broker_quick(wr_broker *broker, wr_executor **out);

/* Errors: EXISTS (there is such a link), MEMORY. */
WEIR_MUST_CHECK weir_err wr_broker_link(wr_broker *broker, wr_node *source, wr_node *sink,
                                        wr_queue_config config);
/* What it still queues is dropped and counted, by the sink's thread. Errors: NOT_FOUND. */
WEIR_MUST_CHECK weir_err wr_broker_unlink(wr_broker *broker, wr_node *source, wr_node *sink);

/* The same for one of the links that a link from "*" to `sink` stands for; and remove all these. */
WEIR_MUST_CHECK weir_err wr_broker_link_star(wr_broker *broker, wr_node *source, wr_node *sink,
                                             wr_queue_config config);
void wr_broker_unlink_star(wr_broker *broker, const wr_node *sink);

/* Wait until everything queued for `node` is consumed, or it is absent, or the deadline. */
bool wr_broker_drain(wr_broker *broker, wr_node *node, uint64_t deadline_ns);
/* Close a node; its links stay, for their counters. What it queues is dropped and counted in
 * `*dropped`. Errors: TIMEOUT (see wr_node_close), MEMORY (only where two nodes are closed at
 * once). */
WEIR_MUST_CHECK weir_err wr_broker_close(wr_broker *broker, wr_node *node, uint64_t deadline_ns,
                                         uint64_t *dropped);
/* Remove the links of a closed node. */
void wr_broker_remove(wr_broker *broker, wr_node *node);

/* All nodes are closed: drop and count what publishers put after their sinks had closed. */
void wr_broker_purge(wr_broker *broker);

/* The nodes in the order in which to stop them: sources before what they feed (order.h). `nodes` is
 * reordered; nodes of the same wave, whose number is in `waves`, do not feed each other. Errors:
 * MEMORY (the order is left as it is). */
WEIR_MUST_CHECK weir_err wr_broker_order(wr_broker *broker, wr_node **nodes, size_t count,
                                         size_t *waves);

typedef struct wr_broker_totals {
    size_t links;             /* that there are now */
    wr_mailbox_counts counts; /* of these and of all that were removed */
} wr_broker_totals;

/* All counters added up; exact, whatever is added or removed meanwhile. */
wr_broker_totals wr_broker_add_up(wr_broker *broker);

/* A message that the consumer took from the link with this number (wr_node_consuming) is dropped
 * after all. The link may be removed by now. Not under a lock for which publishers wait. */
void wr_broker_count_late(wr_broker *broker, uint64_t link_number, wr_late_drop why);

/* Call `visit` for each link in the order of adding. It must not call the broker. */
void wr_broker_each_link(wr_broker *broker, void (*visit)(void *user, const wr_link *link),
                         void *user);

#endif
