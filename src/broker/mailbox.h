/* SPDX-License-Identifier: MIT
 *
 * The queue of one link: a bounded ring that many threads put into and one takes batches from,
 * without a lock, and a rule for when it is full.
 *
 * A message that a "block" mailbox gets over its limit (its publisher may not wait) goes to an
 * overflow list behind a lock; while that list is not empty everything goes there, so that no
 * publisher's messages overtake each other.
 *
 * Threads: put: any. take, count_delivered, close: one thread at a time, the consumer's.
 * counts, queued: any.
 */
#ifndef WR_BROKER_MAILBOX_H
#define WR_BROKER_MAILBOX_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "module/host.h"
#include "platform/thread.h"
#include "weir/message.h"

/* What happens to a message that finds the mailbox at its limit. */
typedef enum wr_when_full {
    WR_WHEN_FULL_BLOCK,       /* it is taken, and the source does not run until there is room */
    WR_WHEN_FULL_DROP_OLDEST, /* the oldest queued message makes room */
    WR_WHEN_FULL_DROP_NEWEST  /* it is dropped itself */
} wr_when_full;

/* As a file and a user have them; NULL at the end. */
extern const char *const wr_when_full_words[];

typedef struct wr_queue_config {
    uint32_t limit; /* messages, 1 to WR_QUEUE_LIMIT_MAX */
    wr_when_full when_full;
} wr_queue_config;

#define WR_QUEUE_LIMIT_MAX (1u << 24)
#define WR_QUEUE_CONFIG_DEFAULT                                                                    \
    {                                                                                              \
        1024, WR_WHEN_FULL_BLOCK                                                                   \
    }

/* An overflow list that is empty again keeps its memory up to so many messages. */
#define WR_OVERFLOW_KEPT 1024u

/* A "block" mailbox is at its limit, too, when the large messages in it (WR_QUEUE_LARGE bytes and
 * more) come to so many bytes: what waits stays in the processor's cache, and memory is bounded. */
#define WR_QUEUE_LARGE 4096u
#define WR_QUEUE_BYTES (1024u * 1024u)

/* So much is worth a run of a sink that waits for more to come: messages, or half of a smaller
 * limit, and bytes of large messages. */
#define WR_QUEUE_BATCH 64u
#define WR_QUEUE_BATCH_BYTES 65536u

#define WR_CACHE_LINE 64

/* Why a message that was counted as delivered is dropped after all: its consumer had kept it for
 * another try. */
typedef enum wr_late_drop {
    WR_LATE_POISON, /* it dies of it: dropped_poison */
    WR_LATE_CLOSED, /* it cannot take it any more: dropped_closed */
    WR_LATE_COUNT
} wr_late_drop;

/* In messages, since the mailbox was made. accepted = delivered + dropped_* + queued. */
typedef struct wr_mailbox_counts {
    uint64_t accepted;
    uint64_t delivered;
    uint64_t dropped_full;
    uint64_t dropped_closed;
    uint64_t dropped_poison;
    uint64_t queued; /* waiting, or taken and not yet counted as delivered */
} wr_mailbox_counts;

typedef _Atomic(weir_message *) wr_mailbox_cell; /* NULL: free, or being filled */

typedef struct wr_mailbox {
    /* Set once. */
    wr_queue_config config;
    uint64_t mask; /* ring capacity - 1; the capacity is the power of two from the limit up */
    _Atomic(wr_mailbox_cell *) cells; /* made by the first put: an idle link costs no ring */

    /* Publishers' side. */
    alignas(WR_CACHE_LINE) _Atomic uint64_t tail; /* next position to fill */
    _Atomic uint64_t dropped_full;
    _Atomic uint64_t large_bytes; /* added before a message can be taken, subtracted when it is */
    _Atomic uint64_t refused; /* accepted without a place in ring or overflow: already dropped */
    _Atomic uint64_t passed;  /* accepted and delivered without having been here; one writer */

    /* Consumer's side. */
    alignas(
        WR_CACHE_LINE) _Atomic uint64_t head; /* next position to take; cells before it are free */
    _Atomic uint64_t delivered;
    _Atomic uint64_t dropped_closed;      /* also publishers', once closed */
    _Atomic uint64_t late[WR_LATE_COUNT]; /* dropped after all: in `delivered` or `passed`, too */

    /* lock guards the overflow list; in a drop.oldest mailbox also the taking from the ring, which
     * publishers do there, too. */
    alignas(WR_CACHE_LINE) wr_mutex lock;
    weir_message **overflow; /* a ring of overflow_capacity */
    size_t overflow_first;
    size_t overflow_capacity;
    _Atomic size_t overflow_count;     /* written under lock */
    _Atomic uint64_t overflow_entered; /* ever; written under lock */
} wr_mailbox;

/* `box` lies at a multiple of WR_CACHE_LINE. */
void wr_mailbox_init(wr_mailbox *box, wr_queue_config config);
/* Frees what is still queued. */
void wr_mailbox_deinit(wr_mailbox *box);

/*
 * Put a message; takes the caller's reference whatever comes of it. Never blocks.
 * `*at_limit`: the mailbox has no more room within its limit.
 * Errors, with the message counted as dropped: FULL (WR_OVERFLOW_MAX over the limit), MEMORY.
 */
WEIR_MUST_CHECK weir_err wr_mailbox_put(wr_mailbox *box, weir_message *msg, bool *at_limit);
/* Count a message for a consumer that is gone; takes the reference. */
void wr_mailbox_refuse(wr_mailbox *box, weir_message *msg);

/* Take up to `max` of the oldest messages; the caller owns one reference to each, and reports what
 * became of them with count_delivered and count_closed. */
size_t wr_mailbox_take(wr_mailbox *box, weir_message **out, size_t max);
void wr_mailbox_count_delivered(wr_mailbox *box, size_t count);
void wr_mailbox_count_closed(wr_mailbox *box, size_t count);
/* Has all that was put been delivered or dropped? What the caller itself has put is in this. */
bool wr_mailbox_is_settled(const wr_mailbox *box);
/* Count a message that went to the consumer directly. One thread. */
void wr_mailbox_count_passed(wr_mailbox *box);
/* Count a message that is dropped after all. Any thread. */
void wr_mailbox_count_late(wr_mailbox *box, wr_late_drop why);
/* Drop everything that is queued, counted as dropped_closed. Returns how many. */
size_t wr_mailbox_purge(wr_mailbox *box);

/* Is a message ready to be taken? The consumer. Ordered after the caller's earlier seq_cst stores.
 */
bool wr_mailbox_has_message(const wr_mailbox *box);
/* Messages in ring and overflow; a moment's value. */
uint64_t wr_mailbox_queued(const wr_mailbox *box);
/* Is a batch in the ring? A moment's value. */
bool wr_mailbox_has_batch(const wr_mailbox *box);
/* Is it at most half full, in messages and in bytes? A moment's value. */
bool wr_mailbox_has_room(const wr_mailbox *box);
wr_mailbox_counts wr_mailbox_count(const wr_mailbox *box);
/* Add the same to a sum. */
void wr_mailbox_add_counts(const wr_mailbox *box, wr_mailbox_counts *sum);

#endif
