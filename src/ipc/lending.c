/* SPDX-License-Identifier: MIT
 *
 * Lending (contract in lending.h).
 *
 * Borrowers mostly return in the order in which they were lent to. So the slots in use stand in a
 * queue, the oldest first, and a look at the first few finds nearly all that is returned. What is
 * overtaken, because the borrower keeps it, is set aside, where it is in nobody's way.
 */
#include "ipc/lending.h"

#include <stdlib.h>

#include "platform/thread.h"

/* No slot. */
#define NONE UINT16_MAX
/* So many lendings come between two looks for marks: each look may fetch a line that the borrower's
 * core has just written. */
#define LENDINGS_PER_LOOK 16u
/* A look ends after so many in a row that are not returned. */
#define MISSES_MAX 4u
/* The most looks in a row that stay short after looks at all marks that were in vain. */
#define SHORT_LOOKS_MAX 64u
/* The most that are released by one look at all. */
#define RELEASED_MAX 64u

_Static_assert(WR_LENDING_SLOTS < NONE, "slots are counted in 16 bits");

typedef struct slot {
    weir_message *msg; /* NULL: free */
    uint32_t generation;
    uint16_t next; /* in its queue, or of the free ones */
    uint16_t previous;
} slot;

typedef struct queue {
    uint16_t first;
    uint16_t last;
} queue;

struct wr_lending {
    wr_mutex lock; /* guards all that follows */
    const _Atomic uint32_t *marks;
    queue fresh;     /* the oldest first */
    queue kept;      /* overtaken by fresh ones */
    uint16_t free;   /* the one used last comes first: its mark may be in the cache */
    uint16_t unused; /* this one and those after it were never in use */
    unsigned since_look;
    unsigned short_looks;     /* before the next one at all marks */
    unsigned short_looks_now; /* so many follow if that is in vain */
    slot *slots;              /* WR_LENDING_SLOTS; NULL: nothing was lent yet */
};

weir_err wr_lending_create(wr_lending **out)
{
    wr_lending *lending = calloc(1, sizeof(*lending));
    if (lending == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&lending->lock);
    lending->fresh = (queue){NONE, NONE};
    lending->kept = (queue){NONE, NONE};
    lending->free = NONE;
    *out = lending;
    return WEIR_OK;
}

void wr_lending_destroy(wr_lending *lending)
{
    if (lending == NULL) {
        return;
    }
    for (uint16_t i = 0; i < lending->unused; i++) {
        weir_message_unref(lending->slots[i].msg);
    }
    wr_mutex_deinit(&lending->lock);
    free(lending->slots);
    free(lending);
}

void wr_lending_set_marks(wr_lending *lending, const _Atomic uint32_t *marks)
{
    wr_mutex_lock(&lending->lock);
    lending->marks = marks;
    wr_mutex_unlock(&lending->lock);
}

static void append(wr_lending *lending, queue *to, uint16_t at)
{
    slot *added = &lending->slots[at];
    added->next = NONE;
    added->previous = to->last;
    if (to->last == NONE) {
        to->first = at;
    } else {
        lending->slots[to->last].next = at;
    }
    to->last = at;
}

static void detach(wr_lending *lending, queue *from, uint16_t at)
{
    const slot *removed = &lending->slots[at];
    if (removed->previous == NONE) {
        from->first = removed->next;
    } else {
        lending->slots[removed->previous].next = removed->next;
    }
    if (removed->next == NONE) {
        from->last = removed->previous;
    } else {
        lending->slots[removed->next].previous = removed->previous;
    }
}

/* The slot in `from` becomes free. The caller releases the message, without the lock. */
static weir_message *free_slot(wr_lending *lending, queue *from, uint16_t at)
{
    slot *cleared = &lending->slots[at];
    weir_message *msg = cleared->msg;
    detach(lending, from, at);
    cleared->msg = NULL;
    cleared->next = lending->free;
    lending->free = at;
    return msg;
}

/* Acquires: what the borrower did with the image came before. */
static bool is_returned(const wr_lending *lending, uint16_t at)
{
    return atomic_load_explicit(&lending->marks[at], memory_order_acquire) ==
           lending->slots[at].generation;
}

/* All fresh ones older than `at` are kept. */
static void set_aside_before(wr_lending *lending, uint16_t at)
{
    while (lending->fresh.first != at) {
        uint16_t overtaken = lending->fresh.first;
        detach(lending, &lending->fresh, overtaken);
        append(lending, &lending->kept, overtaken);
    }
}

/* Free what is returned in one queue, until `misses_max` in a row are not, or there are `max`. */
static size_t look(wr_lending *lending, queue *in, size_t misses_max, weir_message **out,
                   size_t max)
{
    size_t count = 0;
    size_t misses = 0;
    uint16_t at = lending->marks == NULL ? NONE : in->first;
    while (at != NONE && misses < misses_max && count < max) {
        uint16_t next = lending->slots[at].next;
        if (is_returned(lending, at)) {
            if (in == &lending->fresh) {
                set_aside_before(lending, at);
            }
            out[count++] = free_slot(lending, in, at);
            misses = 0;
        } else {
            misses++;
        }
        at = next;
    }
    return count;
}

static void release(weir_message **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        weir_message_unref(msgs[i]);
    }
}

/* How far a look for room goes. All marks at once are many: who finds nothing there waits for
 * longer and longer before it looks at all of them again, as long as the borrower keeps them. */
static size_t choose_misses(wr_lending *lending)
{
    if (lending->short_looks == 0) {
        return WR_LENDING_SLOTS;
    }
    lending->short_looks--;
    return MISSES_MAX;
}

static void note_found(wr_lending *lending, size_t count, size_t misses_max)
{
    if (count > 0) {
        lending->short_looks = 0;
        lending->short_looks_now = 0;
        return;
    }
    if (misses_max == WR_LENDING_SLOTS) {
        unsigned now = lending->short_looks_now;
        lending->short_looks = now;
        lending->short_looks_now = now == 0 ? 1 : now < SHORT_LOOKS_MAX ? 2 * now : now;
    }
}

size_t wr_lending_collect(wr_lending *lending)
{
    weir_message *returned[RELEASED_MAX];
    wr_mutex_lock(&lending->lock);
    size_t misses_max = choose_misses(lending);
    size_t count = look(lending, &lending->fresh, misses_max, returned, RELEASED_MAX);
    count += look(lending, &lending->kept, misses_max, returned + count, RELEASED_MAX - count);
    note_found(lending, count, misses_max);
    lending->since_look = 0;
    wr_mutex_unlock(&lending->lock);
    release(returned, count);
    return count;
}

/* Now and then: release a few of the oldest. */
static size_t look_in_time(wr_lending *lending, weir_message **out)
{
    if (lending->since_look++ < LENDINGS_PER_LOOK) {
        return 0;
    }
    lending->since_look = 0;
    return look(lending, &lending->fresh, MISSES_MAX, out, RELEASED_MAX);
}

static uint16_t take_free(wr_lending *lending)
{
    uint16_t at = lending->free;
    if (at != NONE) {
        lending->free = lending->slots[at].next;
        return at;
    }
    if (lending->slots == NULL) {
        lending->slots = calloc(WR_LENDING_SLOTS, sizeof(slot));
    }
    if (lending->slots == NULL) {
        return NONE;
    }
    return lending->unused < WR_LENDING_SLOTS ? lending->unused++ : NONE;
}

static bool lend(wr_lending *lending, weir_message *msg, wr_lent *out)
{
    uint16_t at = take_free(lending);
    if (at == NONE) {
        return false;
    }
    slot *taken = &lending->slots[at];
    taken->msg = weir_message_ref(msg);
    taken->generation = taken->generation == UINT32_MAX ? 1 : taken->generation + 1;
    append(lending, &lending->fresh, at);
    *out = (wr_lent){at, taken->generation};
    return true;
}

bool wr_lending_lend(wr_lending *lending, weir_message *msg, wr_lent *out)
{
    weir_message *returned[RELEASED_MAX];
    wr_mutex_lock(&lending->lock);
    size_t count = look_in_time(lending, returned);
    bool lent = lend(lending, msg, out);
    wr_mutex_unlock(&lending->lock);
    release(returned, count);
    if (lent || wr_lending_collect(lending) == 0) {
        return lent;
    }
    wr_mutex_lock(&lending->lock);
    lent = lend(lending, msg, out);
    wr_mutex_unlock(&lending->lock);
    return lent;
}

static bool is_lent(const wr_lending *lending, const wr_lent *lent)
{
    return lent->slot < lending->unused && lending->slots[lent->slot].msg != NULL &&
           lending->slots[lent->slot].generation == lent->generation;
}

void wr_lending_cancel(wr_lending *lending, const wr_lent *lent)
{
    weir_message *msg = NULL;
    wr_mutex_lock(&lending->lock);
    if (is_lent(lending, lent)) {
        msg = free_slot(lending, &lending->fresh, (uint16_t)lent->slot);
    }
    wr_mutex_unlock(&lending->lock);
    weir_message_unref(msg);
}

weir_message *wr_lending_find(wr_lending *lending, const wr_lent *lent)
{
    weir_message *msg = NULL;
    wr_mutex_lock(&lending->lock);
    if (is_lent(lending, lent)) {
        msg = weir_message_ref(lending->slots[lent->slot].msg);
    }
    wr_mutex_unlock(&lending->lock);
    return msg;
}
