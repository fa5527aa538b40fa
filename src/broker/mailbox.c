/* SPDX-License-Identifier: MIT
 *
 * The mailbox: ring, rules, counters (contract in mailbox.h).
 *
 * Ring: a publisher claims the position `tail` by compare-and-swap while tail - head < limit, then
 * stores the message in the position's cell. The consumer takes cells from `head` on until it finds
 * one that is still NULL, empties them, and only then moves `head`: so a position within the limit
 * always finds its cell free, and a cell needs no sequence number.
 *
 * The cell's store and the consumer's store of head are seq_cst: the link's flags (link.c) are read
 * after them by one side and before them by the other.
 */
#include "broker/mailbox.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "message/message.h"

#define OVERFLOW_FIRST 64u /* messages that an overflow list has room for at first */

const char *const wr_when_full_words[] = {[WR_WHEN_FULL_BLOCK] = "block",
                                          [WR_WHEN_FULL_DROP_OLDEST] = "drop.oldest",
                                          [WR_WHEN_FULL_DROP_NEWEST] = "drop.newest",
                                          NULL};

static uint64_t ring_mask(const wr_mailbox *box)
{
    uint64_t capacity = 1;
    while (capacity < box->config.limit) {
        capacity *= 2;
    }
    return capacity - 1;
}

void wr_mailbox_init(wr_mailbox *box, wr_queue_config config)
{
    assert(config.limit > 0 && config.limit <= WR_QUEUE_LIMIT_MAX);
    *box = (wr_mailbox){.config = config};
    box->mask = ring_mask(box);
    wr_mutex_init(&box->lock);
}

void wr_mailbox_deinit(wr_mailbox *box)
{
    wr_mailbox_purge(box);
    free(atomic_load_explicit(&box->cells, memory_order_relaxed));
    free(box->overflow);
    wr_mutex_deinit(&box->lock);
}

/* The ring, made by whichever publisher comes first. NULL: out of memory. */
static wr_mailbox_cell *get_cells(wr_mailbox *box)
{
    wr_mailbox_cell *cells = atomic_load_explicit(&box->cells, memory_order_acquire);
    if (cells != NULL) {
        return cells;
    }
    wr_mailbox_cell *made = calloc(box->mask + 1, sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    if (atomic_compare_exchange_strong(&box->cells, &cells, made)) {
        return made;
    }
    free(made);
    return cells;
}

/* Claim a position and fill it. False: at the limit. `*left`: room that remains. */
static bool ring_put(wr_mailbox *box, wr_mailbox_cell *cells, weir_message *msg, int64_t *left)
{
    uint64_t tail = atomic_load_explicit(&box->tail, memory_order_relaxed);
    for (;;) {
        uint64_t head = atomic_load_explicit(&box->head, memory_order_acquire);
        /* Signed: head may have passed a tail that was read before it. */
        *left = (int64_t)box->config.limit - (int64_t)(tail - head);
        if (*left <= 0) {
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&box->tail, &tail, tail + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            break;
        }
    }
    atomic_store(&cells[tail & box->mask], msg);
    *left -= 1;
    return true;
}

/* Take from the ring. The one taker: the consumer, or in a drop.oldest mailbox who holds the lock.
 */
static size_t ring_take(wr_mailbox *box, weir_message **out, size_t max)
{
    wr_mailbox_cell *cells = atomic_load_explicit(&box->cells, memory_order_acquire);
    if (cells == NULL) {
        return 0;
    }
    uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
    size_t count = 0;
    while (count < max) {
        wr_mailbox_cell *cell = &cells[head & box->mask];
        weir_message *msg = atomic_load_explicit(cell, memory_order_acquire);
        if (msg == NULL) {
            break;
        }
        atomic_store_explicit(cell, NULL, memory_order_relaxed);
        out[count++] = msg;
        head++;
    }
    if (count > 0) {
        atomic_store(&box->head, head);
    }
    return count;
}

/* Make room for one more. Called under lock. */
static bool overflow_grow(wr_mailbox *box, size_t count)
{
    if (count < box->overflow_capacity) {
        return true;
    }
    size_t capacity = box->overflow_capacity == 0 ? OVERFLOW_FIRST : 2 * box->overflow_capacity;
    weir_message **items = malloc(capacity * sizeof(*items));
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = box->overflow[(box->overflow_first + i) % box->overflow_capacity];
    }
    free(box->overflow);
    box->overflow = items;
    box->overflow_capacity = capacity;
    box->overflow_first = 0;
    return true;
}

static weir_err overflow_put(wr_mailbox *box, weir_message *msg)
{
    wr_mutex_lock(&box->lock);
    size_t count = atomic_load_explicit(&box->overflow_count, memory_order_relaxed);
    weir_err err = WEIR_OK;
    if (count >= WR_OVERFLOW_MAX) {
        err = WEIR_ERR_FULL;
    } else if (!overflow_grow(box, count)) {
        err = WEIR_ERR_MEMORY;
    } else {
        box->overflow[(box->overflow_first + count) % box->overflow_capacity] = msg;
        atomic_fetch_add(&box->overflow_entered, 1);
        atomic_store(&box->overflow_count, count + 1);
    }
    wr_mutex_unlock(&box->lock);
    return err;
}

/* The list is empty: what a great rush made of it is given back, what is needed now and then stays.
 * Called under lock. Returns what is to be freed, without the lock. */
static weir_message **overflow_shrink(wr_mailbox *box)
{
    weir_message **items = box->overflow;
    if (box->overflow_capacity <= WR_OVERFLOW_KEPT) {
        return NULL;
    }
    box->overflow = NULL;
    box->overflow_capacity = 0;
    box->overflow_first = 0;
    return items;
}

/* No position is claimed, filled or not. The consumer. */
static bool ring_empty(const wr_mailbox *box)
{
    return atomic_load(&box->tail) == atomic_load(&box->head);
}

static size_t overflow_take(wr_mailbox *box, weir_message **out, size_t max)
{
    if (atomic_load(&box->overflow_count) == 0) {
        return 0;
    }
    weir_message **unused = NULL;
    wr_mutex_lock(&box->lock);
    /* What a publisher put into the ring before its first overflow must go first, and became
     * visible with the lock: even behind a position that somebody else claimed and has not filled
     * yet, which ring_take cannot pass. Who fills it looks at the link's `pending` afterwards. */
    size_t taken = ring_take(box, out, max);
    size_t count = atomic_load_explicit(&box->overflow_count, memory_order_relaxed);
    if (taken == 0 && ring_empty(box)) {
        while (taken < max && taken < count) {
            out[taken++] = box->overflow[box->overflow_first];
            box->overflow_first = (box->overflow_first + 1) % box->overflow_capacity;
        }
        atomic_store(&box->overflow_count, count - taken);
        unused = taken == count ? overflow_shrink(box) : NULL;
    }
    wr_mutex_unlock(&box->lock);
    free(unused);
    return taken;
}

static void drop(wr_mailbox *box, weir_message *msg)
{
    atomic_fetch_add(&box->dropped_full, 1);
    weir_message_unref(msg);
}

/* Accepted and dropped at once: it never had a position. */
static void drop_unqueued(wr_mailbox *box, weir_message *msg)
{
    atomic_fetch_add(&box->refused, 1);
    drop(box, msg);
}

/* The bytes that this message counts for: 0 unless it is large. */
static uint64_t large_size(const weir_message *msg)
{
    uint64_t size = wr_message_size(msg);
    return size < WR_QUEUE_LARGE ? 0 : size;
}

/* Account for large messages that were taken. */
static void subtract_large(wr_mailbox *box, weir_message *const *msgs, size_t count)
{
    if (atomic_load_explicit(&box->large_bytes, memory_order_relaxed) == 0) {
        return; /* what we took was added before we could */
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += large_size(msgs[i]);
    }
    atomic_fetch_sub(&box->large_bytes, bytes);
}

static weir_err put_or_overflow(wr_mailbox *box, wr_mailbox_cell *cells, weir_message *msg,
                                bool *at_limit)
{
    int64_t left = 0;
    uint64_t size = large_size(msg);
    bool large = size > 0 && atomic_fetch_add(&box->large_bytes, size) + size >= WR_QUEUE_BYTES;
    if (atomic_load_explicit(&box->overflow_count, memory_order_acquire) == 0 &&
        ring_put(box, cells, msg, &left)) {
        *at_limit = large || left <= 0;
        return WEIR_OK;
    }
    *at_limit = true;
    weir_err err = overflow_put(box, msg);
    if (err != WEIR_OK) {
        atomic_fetch_sub(&box->large_bytes, size);
        drop_unqueued(box, msg);
    }
    return err;
}

/* Take the oldest message, for a newer one. False: nobody can, its position is claimed and not
 * filled yet. `*oldest` stays NULL where the consumer was faster, and there is room. */
static bool take_oldest(wr_mailbox *box, weir_message **oldest)
{
    wr_mutex_lock(&box->lock);
    bool possible = ring_take(box, oldest, 1) > 0;
    if (!possible) {
        /* Under the lock nobody else takes: the head stands still. */
        uint64_t claimed = atomic_load(&box->tail) - atomic_load(&box->head);
        possible = claimed < box->config.limit;
    }
    wr_mutex_unlock(&box->lock);
    return possible;
}

static void put_or_drop_oldest(wr_mailbox *box, wr_mailbox_cell *cells, weir_message *msg)
{
    int64_t left = 0;
    while (!ring_put(box, cells, msg, &left)) {
        weir_message *oldest = NULL;
        if (!take_oldest(box, &oldest)) {
            drop_unqueued(box, msg); /* waiting for who fills it would be a lock */
            return;
        }
        if (oldest != NULL) {
            drop(box, oldest);
        }
    }
}

weir_err wr_mailbox_put(wr_mailbox *box, weir_message *msg, bool *at_limit)
{
    *at_limit = false;
    wr_mailbox_cell *cells = get_cells(box);
    if (cells == NULL) {
        drop_unqueued(box, msg);
        return WEIR_ERR_MEMORY;
    }
    int64_t left = 0;
    switch (box->config.when_full) {
    case WR_WHEN_FULL_BLOCK:
        return put_or_overflow(box, cells, msg, at_limit);
    case WR_WHEN_FULL_DROP_OLDEST:
        put_or_drop_oldest(box, cells, msg);
        return WEIR_OK;
    case WR_WHEN_FULL_DROP_NEWEST:
        if (!ring_put(box, cells, msg, &left)) {
            drop_unqueued(box, msg);
        }
        return WEIR_OK;
    }
    return WEIR_OK;
}

void wr_mailbox_refuse(wr_mailbox *box, weir_message *msg)
{
    atomic_fetch_add(&box->refused, 1);
    atomic_fetch_add(&box->dropped_closed, 1);
    weir_message_unref(msg);
}

size_t wr_mailbox_take(wr_mailbox *box, weir_message **out, size_t max)
{
    if (box->config.when_full == WR_WHEN_FULL_DROP_OLDEST) {
        wr_mutex_lock(&box->lock);
        size_t count = ring_take(box, out, max);
        wr_mutex_unlock(&box->lock);
        return count;
    }
    size_t count = ring_take(box, out, max);
    if (count == 0) {
        count = overflow_take(box, out, max);
    }
    subtract_large(box, out, count);
    return count;
}

void wr_mailbox_count_delivered(wr_mailbox *box, size_t count)
{
    /* One writer at a time: no need for a read-modify-write. */
    uint64_t delivered = atomic_load_explicit(&box->delivered, memory_order_relaxed);
    atomic_store_explicit(&box->delivered, delivered + count, memory_order_release);
}

void wr_mailbox_count_closed(wr_mailbox *box, size_t count)
{
    atomic_fetch_add(&box->dropped_closed, count);
}

bool wr_mailbox_is_settled(const wr_mailbox *box)
{
    /* Acquire: what was delivered before is behind the consumer; and what came is looked at last.
     */
    uint64_t left = atomic_load_explicit(&box->delivered, memory_order_acquire) +
                    atomic_load_explicit(&box->dropped_closed, memory_order_acquire) +
                    atomic_load_explicit(&box->dropped_full, memory_order_acquire);
    uint64_t came = atomic_load_explicit(&box->tail, memory_order_relaxed) +
                    atomic_load_explicit(&box->overflow_entered, memory_order_relaxed) +
                    atomic_load_explicit(&box->refused, memory_order_relaxed);
    return came == left;
}

void wr_mailbox_count_passed(wr_mailbox *box)
{
    uint64_t passed = atomic_load_explicit(&box->passed, memory_order_relaxed);
    atomic_store_explicit(&box->passed, passed + 1, memory_order_release);
}

void wr_mailbox_count_late(wr_mailbox *box, wr_late_drop why)
{
    atomic_fetch_add(&box->late[why], 1);
}

size_t wr_mailbox_purge(wr_mailbox *box)
{
    weir_message *batch[64];
    size_t total = 0;
    size_t count;
    while ((count = wr_mailbox_take(box, batch, sizeof(batch) / sizeof(batch[0]))) > 0) {
        for (size_t i = 0; i < count; i++) {
            weir_message_unref(batch[i]);
        }
        wr_mailbox_count_closed(box, count);
        total += count;
    }
    return total;
}

bool wr_mailbox_has_message(const wr_mailbox *box)
{
    wr_mailbox_cell *cells = atomic_load(&box->cells);
    if (cells == NULL) {
        return false;
    }
    uint64_t head = atomic_load(&box->head);
    if (atomic_load(&cells[head & box->mask]) != NULL) {
        return true;
    }
    return atomic_load(&box->overflow_count) > 0 && ring_empty(box);
}

uint64_t wr_mailbox_queued(const wr_mailbox *box)
{
    uint64_t head = atomic_load(&box->head);
    uint64_t tail = atomic_load(&box->tail);
    return tail - head + atomic_load(&box->overflow_count);
}

bool wr_mailbox_has_batch(const wr_mailbox *box)
{
    uint64_t enough =
        box->config.limit / 2 < WR_QUEUE_BATCH ? box->config.limit / 2 : WR_QUEUE_BATCH;
    uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&box->tail, memory_order_relaxed);
    return tail - head >= enough ||
           atomic_load_explicit(&box->large_bytes, memory_order_relaxed) >= WR_QUEUE_BATCH_BYTES;
}

bool wr_mailbox_has_room(const wr_mailbox *box)
{
    return wr_mailbox_queued(box) <= box->config.limit / 2 &&
           atomic_load(&box->large_bytes) <= WR_QUEUE_BYTES / 2;
}

/* Take those that were dropped after all out of `delivered`; returns how many. The consumer may be
 * done with a message before it is counted as delivered: then it is none of them yet. */
static uint64_t take_late(const wr_mailbox *box, wr_late_drop why, uint64_t *delivered)
{
    uint64_t late = atomic_load(&box->late[why]);
    late = late < *delivered ? late : *delivered;
    *delivered -= late;
    return late;
}

wr_mailbox_counts wr_mailbox_count(const wr_mailbox *box)
{
    /* What left is read before what came, so that queued is never negative. */
    wr_mailbox_counts counts = {
        .delivered = atomic_load(&box->delivered),
        .dropped_full = atomic_load(&box->dropped_full),
        .dropped_closed = atomic_load(&box->dropped_closed),
    };
    counts.accepted =
        atomic_load(&box->tail) + atomic_load(&box->overflow_entered) + atomic_load(&box->refused);
    counts.queued =
        counts.accepted - counts.delivered - counts.dropped_full - counts.dropped_closed;
    uint64_t passed = atomic_load(&box->passed);
    counts.accepted += passed;
    counts.delivered += passed;
    counts.dropped_poison = take_late(box, WR_LATE_POISON, &counts.delivered);
    counts.dropped_closed += take_late(box, WR_LATE_CLOSED, &counts.delivered);
    return counts;
}

void wr_mailbox_add_counts(const wr_mailbox *box, wr_mailbox_counts *sum)
{
    wr_mailbox_counts counts = wr_mailbox_count(box);
    sum->accepted += counts.accepted;
    sum->delivered += counts.delivered;
    sum->dropped_full += counts.dropped_full;
    sum->dropped_closed += counts.dropped_closed;
    sum->dropped_poison += counts.dropped_poison;
    sum->queued += counts.queued;
}
