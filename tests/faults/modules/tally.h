/* SPDX-License-Identifier: MIT
 *
 * What the modules of these tests count, in a file that outlives their processes: the test reads it
 * while they run, and a module that was killed goes on where it was. tally.py knows the same
 * fields.
 *
 * Each field has one writer at a time. Messages are numbered from 0 on; size and bytes follow from
 * the number, so that a damaged one is found.
 */
#ifndef FAULTS_TALLY_H
#define FAULTS_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/module.h"

#define TALLY_PARTS 32u /* of each power of two */
#define TALLY_BUCKETS (64u * TALLY_PARTS)

typedef struct tally {
    /* Written by the test. */
    _Atomic uint64_t limit;    /* the source stops before this number */
    _Atomic uint64_t delay_us; /* so long a batch takes in the module */
    _Atomic uint64_t moderate; /* not 0: no message is over 20 KB. All modules of a chain agree */

    /* Written by a source. */
    _Atomic uint64_t published; /* the next number */

    /* Written by whoever receives. */
    _Atomic uint64_t next;     /* the lowest number that was never seen */
    _Atomic uint64_t received; /* all, repeated ones too */
    _Atomic uint64_t repeated; /* seen before */
    _Atomic uint64_t marked;   /* weir_message_redelivered says so */
    _Atomic uint64_t unmarked; /* seen before, and not marked */
    _Atomic uint64_t gaps;     /* how often numbers were left out */
    _Atomic uint64_t lost;     /* how many numbers were left out */
    _Atomic uint64_t gap_at;   /* the first that was left out last */
    _Atomic uint64_t mixed_up; /* repeated, but not in order */
    _Atomic uint64_t damaged;

    /* Written by all. */
    _Atomic uint64_t refused; /* messages that weir_publish did not take */
    _Atomic uint64_t lives;   /* how often the module was created */
    _Atomic uint64_t pid;
    _Atomic uint64_t first_ns; /* when this life's first message came; 0: not yet */

    /* Times from publishing to arrival, of messages that were not repeated. Bucket
     * 32 * k + r counts those of (1 + r / 32) * 2^k ns and more, and less than the next one's. */
    _Atomic uint64_t times[TALLY_BUCKETS];
} tally;

/* How the messages of a life follow each other. */
typedef struct tally_order {
    uint64_t before; /* the number of the message before */
    bool any;
} tally_order;

/* Map the file that args names as {"tally": PATH, ...}. NULL: the reason was given to weir_fail. */
tally *tally_open(weir_host *host, const char *args);
void tally_close(tally *counts);
uint64_t tally_now_ns(void);

/* A number's message. Errors: as weir_message_reserve. */
weir_err tally_make_message(const tally *counts, uint64_t number, weir_message **out);
/* Count a message that came. */
void tally_take(tally *counts, tally_order *order, const weir_message *msg);
/* Take the time that the test asks for. */
void tally_delay(const tally *counts);

#endif
