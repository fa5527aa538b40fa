/* SPDX-License-Identifier: MIT
 *
 * A link: the mailbox from one source node to one sink node, and the two signals that belong to it.
 *
 *   pending: the mailbox has something for the sink; the link is in the sink's list of pending
 *   links, once. Set by a publisher, cleared by the sink when it found the mailbox empty.
 *
 *   congested: a "block" mailbox is at its limit; the source has one more reason not to run. Set by
 *   a publisher, cleared by the sink when the mailbox is half empty.
 *
 * Each flag is set after a change of the mailbox and tested again after it, on both sides and all
 * seq_cst, so that neither a message nor a wake-up is overlooked (tests/model proves the protocol).
 */
#ifndef WR_BROKER_LINK_H
#define WR_BROKER_LINK_H

#include "broker/mailbox.h"

struct wr_node;
struct wr_totals;

typedef struct wr_link {
    wr_mailbox box;

    uint64_t number; /* set once; no other link ever has it, and it is never 0 */

    /* Set once; one reference to each node. */
    struct wr_node *source;
    struct wr_node *sink;

    _Atomic uint32_t refs;
    atomic_bool pending;
    atomic_bool congested;
    atomic_bool closed; /* set once, by the thread that removes the link or closes the sink */

    struct wr_link *next; /* in the sink's stack or list of pending links: whoever set `pending`,
                             then the sink's running thread */

    bool star; /* set once: it is one of those that a link from "*" stands for */

    /* Of a removed link, for totals.h; NULL while it is in use. */
    struct wr_totals *totals; /* set before the broker gives up its reference */
    struct wr_link *leaving_before;
    struct wr_link *leaving_after;
} wr_link;

/* A link in no node's lists yet. The caller owns one reference. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_link_create(struct wr_node *source, struct wr_node *sink,
                                        wr_queue_config config, wr_link **out);
wr_link *wr_link_ref(wr_link *link);
void wr_link_unref(wr_link *link); /* NULL is allowed */

/* Put a message into the mailbox and wake the sink; takes the reference. Any thread, never waits.
 * Errors: as wr_mailbox_put. */
WEIR_MUST_CHECK weir_err wr_link_put(wr_link *link, weir_message *msg);

/* Give a message to the sink's consumer without the mailbox, where that is empty and the consumer
 * takes it so (wr_consumer.direct). The caller keeps its reference. The one thread that owns the
 * source (node.c): what it has put into the mailbox before must have been taken. */
bool wr_link_pass(wr_link *link, weir_message *msg);
/* Messages left the mailbox: let the source run again if there is room now. Any thread. */
void wr_link_relieve(wr_link *link);
/* The sink found the mailbox empty: no longer pending. False: a message came meanwhile, and the
 * link stays with the caller. The sink's thread. */
bool wr_link_settle(wr_link *link);
/* From now on every message is refused. What is queued stays for wr_mailbox_purge by the sink. */
void wr_link_close(wr_link *link);

#endif
