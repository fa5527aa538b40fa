/* SPDX-License-Identifier: MIT
 *
 * Links: mailbox, pending, congested (contract in link.h).
 */
#include "broker/link.h"

#include <stdlib.h>

#include "broker/node.h"
#include "broker/totals.h"

static _Atomic uint64_t links_made; /* orders nothing */

weir_err wr_link_create(wr_node *source, wr_node *sink, wr_queue_config config, wr_link **out)
{
    wr_link *link = aligned_alloc(WR_CACHE_LINE, sizeof(*link));
    if (link == NULL) {
        return WEIR_ERR_MEMORY;
    }
    *link = (wr_link){.source = wr_node_ref(source), .sink = wr_node_ref(sink)};
    wr_mailbox_init(&link->box, config);
    link->number = atomic_fetch_add_explicit(&links_made, 1, memory_order_relaxed) + 1;
    atomic_init(&link->refs, 1);
    *out = link;
    return WEIR_OK;
}

wr_link *wr_link_ref(wr_link *link)
{
    atomic_fetch_add_explicit(&link->refs, 1, memory_order_relaxed);
    return link;
}

void wr_link_unref(wr_link *link)
{
    if (link == NULL || atomic_fetch_sub(&link->refs, 1) != 1) {
        return;
    }
    wr_mailbox_purge(&link->box); /* before its counters are added up */
    if (link->totals != NULL) {
        wr_totals_retire(link->totals, link);
    }
    wr_mailbox_deinit(&link->box);
    wr_node_unref(link->source);
    wr_node_unref(link->sink);
    free(link);
}

/* Clear the flag; whoever does so gives the source its run back. */
static void uncongest(wr_link *link)
{
    if (atomic_exchange(&link->congested, false)) {
        wr_node_uncongest(link->source);
    }
}

static void congest(wr_link *link)
{
    if (atomic_load(&link->congested) || atomic_exchange(&link->congested, true)) {
        return;
    }
    wr_node_congest(link->source);
    /* The sink may have made room before it could see the flag, or be gone. */
    if (wr_mailbox_has_room(&link->box) || atomic_load(&link->closed)) {
        uncongest(link);
    }
}

/* The sink waits for a batch, and this one is full enough: nobody else may come before its alarm.
 */
static void run_batch(wr_link *link, bool at_limit)
{
    if (link->sink->consumer->gather != NULL && (at_limit || wr_mailbox_has_batch(&link->box))) {
        wr_node_run_gathered(link->sink);
    }
}

weir_err wr_link_put(wr_link *link, weir_message *msg)
{
    if (atomic_load(&link->closed)) {
        wr_mailbox_refuse(&link->box, msg);
        return WEIR_OK;
    }
    bool at_limit;
    weir_err err = wr_mailbox_put(&link->box, msg, &at_limit);
    if (at_limit && link->box.config.when_full == WR_WHEN_FULL_BLOCK) {
        congest(link);
    }
    if (err != WEIR_OK) {
        wr_link_relieve(link); /* while it was in the sum of bytes the sink may have seen no room */
    }
    if (!atomic_load(&link->pending) && !atomic_exchange(&link->pending, true)) {
        wr_node_add_pending(link->sink, link);
    }
    run_batch(link, at_limit);
    return err;
}

bool wr_link_pass(wr_link *link, weir_message *msg)
{
    wr_node *sink = link->sink;
    const wr_consumer *consumer = sink->consumer;
    if (consumer->direct == NULL || atomic_load(&link->closed) ||
        !wr_mailbox_is_settled(&link->box) || !wr_node_may_run(sink) ||
        !consumer->direct(sink->self, link->number, msg)) {
        return false;
    }
    wr_mailbox_count_passed(&link->box);
    return true;
}

void wr_link_relieve(wr_link *link)
{
    if (atomic_load(&link->congested) && wr_mailbox_has_room(&link->box)) {
        uncongest(link);
    }
}

bool wr_link_settle(wr_link *link)
{
    atomic_store(&link->pending, false);
    return !wr_mailbox_has_message(&link->box) || atomic_exchange(&link->pending, true);
}

void wr_link_close(wr_link *link)
{
    atomic_store(&link->closed, true);
    uncongest(link);
}
