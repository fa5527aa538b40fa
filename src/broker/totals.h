/* SPDX-License-Identifier: MIT
 *
 * What the links that were removed have counted.
 *
 * A removed link still counts for a while: its sink's thread hands over what it has taken and drops
 * the rest. So it is listed here as leaving, and its counters become part of a sum when the last
 * reference is given up. Moving between list and sum happens under the lock: whoever adds up finds
 * each link exactly once.
 *
 * Threads: any. The lock is taken last, under the broker's or none.
 */
#ifndef WR_BROKER_TOTALS_H
#define WR_BROKER_TOTALS_H

#include "broker/link.h"

typedef struct wr_totals {
    wr_mutex lock;          /* guards all of this, and the links' places in the list */
    wr_link *leaving;       /* no references: a link leaves the list before it is freed */
    wr_mailbox_counts gone; /* of the links that were freed */
} wr_totals;

void wr_totals_init(wr_totals *totals);
/* All removed links were freed. */
void wr_totals_deinit(wr_totals *totals);

/* A link is leaving: no publisher uses it any more. Before its last reference is given up. */
void wr_totals_leave(wr_totals *totals, wr_link *link);
/* It is about to be freed, and empty. By wr_link_unref. */
void wr_totals_retire(wr_totals *totals, wr_link *link);
/* As wr_mailbox_count_late, for the link of this number, or for the sum if it is freed. */
void wr_totals_count_late(wr_totals *totals, uint64_t link_number, wr_late_drop why);
/* Add the counts of all removed links to `sum`. */
void wr_totals_add_up(wr_totals *totals, wr_mailbox_counts *sum);

#endif
