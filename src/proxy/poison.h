/* SPDX-License-Identifier: MIT
 *
 * The rule for poison messages: which message does a module die of again and again?
 *
 * Suspects are the messages that were in the module's hands (sent and not acknowledged) at each of
 * its last deaths. After some deaths with suspects the next life is careful: the module first lives
 * for a while without messages; then it is given a portion of the suspects at a time, each
 * acknowledged before the next. Whoever dies without messages clears them all.
 *
 *     death   in hand      suspects   deaths      the next life
 *     1       40..79       40..79     1           as always
 *     2       40..99       40..79     2           careful
 *     3       57           57         3           57 is poison, at 3 deaths: without it, as always
 *
 * It knows no process, no clock and no messages but their numbers in the window; one thread at a
 * time.
 */
#ifndef WR_PROXY_POISON_H
#define WR_PROXY_POISON_H

#include <stdbool.h>
#include <stdint.h>

/* The most deaths that a configuration may ask for: there are no more restarts in a burst. */
#define WR_POISON_DEATHS_MAX 1000u

/* So many suspects at most are given one by one; of more, portions of as many as there are portions
 * (an acknowledgement can take 25 ms), and one more death finds the one. The root of the most that
 * there can be (WR_WINDOW_MESSAGES): a portion is never divided again, which would be one more. */
#define WR_POISON_SINGLE_MAX 128u

/* How long a careful life begins without messages: twice as long as the module was silent before it
 * died, within these. */
#define WR_POISON_QUIET_MIN_MS 100u
#define WR_POISON_QUIET_MAX_MS 5000u

typedef enum wr_poison_verdict {
    WR_POISON_NONE,
    WR_POISON_FOUND,   /* the message `first` is to be set aside */
    WR_POISON_UNPROVEN /* it would be, but the module has not shown that it can do with another */
} wr_poison_verdict;

typedef struct wr_poison {
    uint32_t deaths_max; /* set once; 0: there is no such rule; 1: as 2, as the first shows nobody
                          * alone for certain */
    uint32_t deaths;     /* in a row at which all suspects were in hand */
    uint64_t first;      /* the suspects: first..end-1; none where deaths is 0 */
    uint64_t end;
    uint64_t portion; /* of a careful life */
    uint64_t proven;  /* the module has processed something, since the start or since a message was
                         set aside, if it has processed more messages than this */
    uint32_t quiet_ms;
} wr_poison;

/* What is known of a death. */
typedef struct wr_poison_death {
    uint64_t first; /* first..end-1 were in hand; none: it was given nothing, or had done it all */
    uint64_t end;
    uint64_t silent_ms; /* before it, since the last sign of life */
} wr_poison_death;

void wr_poison_init(wr_poison *poison, uint32_t deaths_max);
wr_poison_verdict wr_poison_note_death(wr_poison *poison, const wr_poison_death *death);
/* Is the present life, or the next, a careful one? */
bool wr_poison_is_careful(const wr_poison *poison);
/* All below `next` is acknowledged: up to which number may be sent now? */
uint64_t wr_poison_portion_end(const wr_poison *poison, uint64_t next);
/* A message is given up for another reason, those after it move up. */
void wr_poison_drop(wr_poison *poison, uint64_t number);
/* The suspects are cleared. */
void wr_poison_clear(wr_poison *poison);
/* The message `first` was set aside; those after it have moved up. */
void wr_poison_set_aside(wr_poison *poison);

#endif
