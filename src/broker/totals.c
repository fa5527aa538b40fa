/* SPDX-License-Identifier: MIT
 *
 * The counters of removed links (contract in totals.h).
 */
#include "broker/totals.h"

#include <assert.h>
#include <stddef.h>

void wr_totals_init(wr_totals *totals)
{
    *totals = (wr_totals){.leaving = NULL};
    wr_mutex_init(&totals->lock);
}

void wr_totals_deinit(wr_totals *totals)
{
    assert(totals->leaving == NULL);
    wr_mutex_deinit(&totals->lock);
}

void wr_totals_leave(wr_totals *totals, wr_link *link)
{
    wr_mutex_lock(&totals->lock);
    link->totals = totals;
    link->leaving_before = NULL;
    link->leaving_after = totals->leaving;
    if (totals->leaving != NULL) {
        totals->leaving->leaving_before = link;
    }
    totals->leaving = link;
    wr_mutex_unlock(&totals->lock);
}

/* Under the lock. */
static void take_out(wr_totals *totals, wr_link *link)
{
    if (link->leaving_before == NULL) {
        totals->leaving = link->leaving_after;
    } else {
        link->leaving_before->leaving_after = link->leaving_after;
    }
    if (link->leaving_after != NULL) {
        link->leaving_after->leaving_before = link->leaving_before;
    }
}

void wr_totals_retire(wr_totals *totals, wr_link *link)
{
    wr_mutex_lock(&totals->lock);
    take_out(totals, link);
    wr_mailbox_add_counts(&link->box, &totals->gone);
    assert(totals->gone.queued == 0);
    wr_mutex_unlock(&totals->lock);
}

/* Under the lock. */
static void count_gone(wr_totals *totals, wr_late_drop why)
{
    totals->gone.delivered--;
    if (why == WR_LATE_POISON) {
        totals->gone.dropped_poison++;
    } else {
        totals->gone.dropped_closed++;
    }
}

void wr_totals_count_late(wr_totals *totals, uint64_t link_number, wr_late_drop why)
{
    wr_mutex_lock(&totals->lock);
    wr_link *link = totals->leaving;
    while (link != NULL && link->number != link_number) {
        link = link->leaving_after;
    }
    if (link != NULL) {
        wr_mailbox_count_late(&link->box, why);
    } else {
        count_gone(totals, why);
    }
    wr_mutex_unlock(&totals->lock);
}

void wr_totals_add_up(wr_totals *totals, wr_mailbox_counts *sum)
{
    wr_mutex_lock(&totals->lock);
    sum->accepted += totals->gone.accepted;
    sum->delivered += totals->gone.delivered;
    sum->dropped_full += totals->gone.dropped_full;
    sum->dropped_closed += totals->gone.dropped_closed;
    sum->dropped_poison += totals->gone.dropped_poison;
    for (const wr_link *link = totals->leaving; link != NULL; link = link->leaving_after) {
        wr_mailbox_add_counts(&link->box, sum);
    }
    wr_mutex_unlock(&totals->lock);
}
