/* SPDX-License-Identifier: MIT
 *
 * Marks (contract in marks.h): a short ring, the oldest first.
 */
#include "remote/marks.h"

static wr_mark *mark_at(wr_marks *marks, size_t index)
{
    return &marks->ring[(marks->first + index) % WR_MARKS_MAX];
}

void wr_marks_add(wr_marks *marks, wr_progress processed, uint64_t published)
{
    if (marks->count < WR_MARKS_MAX) {
        marks->count++;
    }
    *mark_at(marks, marks->count - 1) = (wr_mark){.processed = processed, .published = published};
}

/* The first look that finds its messages with the channel takes all that the channel was given by
 * then: perhaps more than needed, never less. */
static bool is_settled(wr_mark *mark, const wr_sent *sent)
{
    if (!mark->given) {
        mark->given = mark->published <= sent->next;
        mark->end = sent->queued;
    }
    return mark->given && mark->end <= sent->written;
}

void wr_marks_settle(wr_marks *marks, const wr_sent *sent)
{
    size_t done = 0;
    for (size_t i = 0; i < marks->count; i++) {
        wr_mark *mark = mark_at(marks, i);
        if (is_settled(mark, sent)) {
            marks->settled = mark->processed;
            done = i + 1;
        } else if (!mark->given) {
            break; /* nor are the newer ones */
        }
    }
    marks->first = (marks->first + done) % WR_MARKS_MAX;
    marks->count -= done;
}

void wr_marks_restart(wr_marks *marks)
{
    for (size_t i = 0; i < marks->count; i++) {
        mark_at(marks, i)->given = false;
    }
}

void wr_marks_reset(wr_marks *marks, wr_progress settled)
{
    marks->count = 0;
    marks->settled = settled;
}
