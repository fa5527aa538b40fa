/* SPDX-License-Identifier: MIT
 *
 * Shared pools (contract in shared_pool.h): first fit over a bitmap of small units. What is free
 * grows together by itself, and low addresses are used again and again. The bitmap is in the
 * process's own memory: nothing that the other side could reach decides where a block lies.
 */
#include "ipc/shared_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bits.h"
#include "platform/thread.h"

#define UNIT 1024u
/* So many units are secured at once, at least: that takes 0.15 ms, while others wait. */
#define STEP_UNITS 256u
#define WORD_BITS 64u

static_assert(ATOMIC_INT_LOCK_FREE == 2, "a lock would not reach into another process");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "nor would it for the count");
static_assert(sizeof(_Atomic uint32_t) == 4, "the layout of the marks");
static_assert(sizeof(_Atomic uint64_t) == 8, "and of the count");

struct wr_shared_pool {
    wr_message_place place; /* `closed`: written under the lock */
    wr_shared_memory *memory;
    unsigned char *data; /* of it */
    size_t units;        /* of the data */

    wr_mutex lock;     /* guards all that follows */
    size_t owners;     /* 1 until it is destroyed */
    size_t places;     /* references to the place */
    size_t blocks;     /* that are out */
    size_t lowest;     /* no unit before this one is free */
    size_t usable;     /* units; fewer than `units` once the system had no more memory */
    size_t secured;    /* of these */
    uint64_t in_use[]; /* a bit for each unit */
};

/* ---- the bitmap ---- */

/* The first unit in [from, limit) that is in use (`flip` 0) or free (all bits); `limit`: none. */
static size_t find_unit(const wr_shared_pool *pool, size_t from, size_t limit, uint64_t flip)
{
    if (from >= limit) {
        return limit;
    }
    size_t word = from / WORD_BITS;
    uint64_t found = (pool->in_use[word] ^ flip) & (UINT64_MAX << (from % WORD_BITS));
    while (found == 0) {
        word++;
        if (word * WORD_BITS >= limit) {
            return limit;
        }
        found = pool->in_use[word] ^ flip;
    }
    size_t at = word * WORD_BITS + wr_lowest_bit(found);
    return at < limit ? at : limit;
}

/* The lowest run of free units; `usable`: there is none. */
static size_t find_run(const wr_shared_pool *pool, size_t count)
{
    size_t at = find_unit(pool, pool->lowest, pool->usable, UINT64_MAX);
    while (count <= pool->usable - at) {
        size_t end = find_unit(pool, at, at + count, 0);
        if (end == at + count) {
            return at;
        }
        at = find_unit(pool, end, pool->usable, UINT64_MAX);
    }
    return pool->usable;
}

/* Change the state of a run. */
static void flip_run(wr_shared_pool *pool, size_t at, size_t count)
{
    while (count > 0) {
        size_t bit = at % WORD_BITS;
        size_t step = count < WORD_BITS - bit ? count : WORD_BITS - bit;
        pool->in_use[at / WORD_BITS] ^= (UINT64_MAX >> (WORD_BITS - step)) << bit;
        at += step;
        count -= step;
    }
}

static size_t units_for(size_t size)
{
    return size / UNIT + (size % UNIT != 0);
}

/* The first `end` units are about to be used. False: they are not to be had. */
static bool secure(wr_shared_pool *pool, size_t end)
{
    if (end <= pool->secured) {
        return true;
    }
    size_t wanted = (end + STEP_UNITS - 1) / STEP_UNITS * STEP_UNITS;
    wanted = wanted < pool->usable ? wanted : pool->usable;
    if (wr_shared_memory_secure(pool->memory, WR_SHARED_POOL_DATA_AT + wanted * UNIT) != WEIR_OK) {
        pool->usable = pool->secured; /* do not ask for each message again */
        return false;
    }
    pool->secured = wanted;
    return true;
}

static void *take_run(wr_shared_pool *pool, size_t count)
{
    size_t at = find_run(pool, count);
    if (at == pool->usable || !secure(pool, at + count)) {
        return NULL;
    }
    flip_run(pool, at, count);
    if (at == pool->lowest) {
        pool->lowest = at + count;
    }
    return pool->data + at * UNIT;
}

static void put_run(wr_shared_pool *pool, const void *block, size_t count)
{
    size_t at = (size_t)((const unsigned char *)block - pool->data) / UNIT;
    assert(at + count <= pool->units);
    assert(find_unit(pool, at, at + count, UINT64_MAX) == at + count);
    flip_run(pool, at, count);
    if (at < pool->lowest) {
        pool->lowest = at;
    }
}

/* ---- life ---- */

/* One of the counters, and with it what nobody needs any more. */
static void give_up(wr_shared_pool *pool, size_t *count)
{
    wr_mutex_lock(&pool->lock);
    *count -= 1;
    if (pool->owners == 0) {
        atomic_store_explicit(&pool->place.closed, true, memory_order_relaxed);
    }
    wr_shared_memory *unused = NULL;
    if (pool->owners == 0 && pool->blocks == 0) {
        unused = pool->memory;
        pool->memory = NULL;
    }
    bool last = pool->owners == 0 && pool->blocks == 0 && pool->places == 0;
    wr_mutex_unlock(&pool->lock);
    wr_shared_memory_close(unused);
    if (last) {
        wr_mutex_deinit(&pool->lock);
        free(pool);
    }
}

void wr_shared_pool_destroy(wr_shared_pool *pool)
{
    if (pool != NULL) {
        give_up(pool, &pool->owners);
    }
}

void wr_shared_pool_close(wr_shared_pool *pool)
{
    wr_mutex_lock(&pool->lock);
    atomic_store_explicit(&pool->place.closed, true, memory_order_relaxed);
    wr_mutex_unlock(&pool->lock);
}

/* ---- blocks ---- */

void *wr_shared_pool_get(wr_shared_pool *pool, size_t size)
{
    size_t count = units_for(size);
    if (count == 0 || count > pool->units / WR_SHARED_POOL_BLOCK_PART) {
        return NULL;
    }
    void *block = NULL;
    wr_mutex_lock(&pool->lock);
    if (!atomic_load_explicit(&pool->place.closed, memory_order_relaxed)) {
        block = take_run(pool, count);
        pool->blocks += block != NULL;
    }
    wr_mutex_unlock(&pool->lock);
    return block;
}

void wr_shared_pool_put(wr_shared_pool *pool, const void *block, size_t size)
{
    wr_mutex_lock(&pool->lock);
    put_run(pool, block, units_for(size));
    bool closed = atomic_load_explicit(&pool->place.closed, memory_order_relaxed);
    pool->blocks -= !closed;
    wr_mutex_unlock(&pool->lock);
    if (closed) {
        give_up(pool, &pool->blocks); /* maybe the last that kept it */
    }
}

bool wr_shared_pool_offset(const wr_shared_pool *pool, const void *bytes, size_t size,
                           uint64_t *offset)
{
    /* As numbers: they may be pointers to anything. */
    uintptr_t at = (uintptr_t)bytes;
    uintptr_t data = (uintptr_t)pool->data;
    size_t room = pool->units * UNIT;
    if (at < data || at - data > room || size > room - (at - data)) {
        return false;
    }
    *offset = WR_SHARED_POOL_DATA_AT + (at - data);
    return true;
}

/* ---- the place ---- */

static wr_shared_pool *pool_of(wr_message_place *place)
{
    return (wr_shared_pool *)place; /* its first member */
}

static void *place_get(wr_message_place *place, size_t size)
{
    return wr_shared_pool_get(pool_of(place), size);
}

static void place_put(wr_message_place *place, const void *image, size_t size)
{
    wr_shared_pool_put(pool_of(place), image, size);
}

static void place_ref(wr_message_place *place)
{
    wr_shared_pool *pool = pool_of(place);
    wr_mutex_lock(&pool->lock);
    pool->places++;
    wr_mutex_unlock(&pool->lock);
}

static void place_unref(wr_message_place *place)
{
    give_up(pool_of(place), &pool_of(place)->places);
}

static const wr_message_place_ops place_ops = {
    .get = place_get, .put = place_put, .ref = place_ref, .unref = place_unref};

/* ---- making it, and what it has ---- */

static weir_err create_memory(size_t size, wr_shared_memory **out, wr_error *error)
{
    wr_shared_memory *memory = NULL;
    weir_err err = wr_shared_memory_create(size, &memory, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = wr_shared_memory_secure(memory, WR_SHARED_POOL_DATA_AT);
    if (err != WEIR_OK) {
        wr_shared_memory_close(memory);
        return wr_error_set(error, err, "no memory for the return marks of a shared pool");
    }
    *out = memory;
    return WEIR_OK;
}

weir_err wr_shared_pool_create(size_t size, wr_shared_pool **out, wr_error *error)
{
    if (size < WR_SHARED_POOL_SIZE_MIN || size > WR_SHARED_POOL_SIZE_MAX) {
        return wr_error_set(error, WEIR_ERR_INVALID,
                            "a shared pool has %u to %u bytes, and this would have %zu",
                            WR_SHARED_POOL_SIZE_MIN, WR_SHARED_POOL_SIZE_MAX, size);
    }
    size_t units = (size - WR_SHARED_POOL_DATA_AT) / UNIT;
    size_t words = (units + WORD_BITS - 1) / WORD_BITS;
    wr_shared_pool *pool = calloc(1, sizeof(*pool) + words * sizeof(pool->in_use[0]));
    if (pool == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory to manage a shared pool");
    }
    weir_err err = create_memory(size, &pool->memory, error);
    if (err != WEIR_OK) {
        free(pool);
        return err;
    }
    wr_mutex_init(&pool->lock);
    pool->place.ops = &place_ops;
    atomic_init(&pool->place.closed, false);
    pool->data = (unsigned char *)wr_shared_memory_bytes(pool->memory) + WR_SHARED_POOL_DATA_AT;
    pool->units = units;
    pool->usable = units;
    pool->owners = 1;
    *out = pool;
    return WEIR_OK;
}

wr_shared_memory *wr_shared_pool_memory(wr_shared_pool *pool)
{
    return pool->memory;
}

_Atomic uint32_t *wr_shared_pool_marks(wr_shared_pool *pool)
{
    return wr_shared_memory_bytes(pool->memory);
}

_Atomic uint64_t *wr_shared_pool_count(wr_shared_pool *pool)
{
    unsigned char *bytes = wr_shared_memory_bytes(pool->memory);
    return (_Atomic uint64_t *)(void *)(bytes + WR_SHARED_POOL_COUNT_AT);
}

_Atomic uint32_t *wr_shared_pool_waits(wr_shared_pool *pool)
{
    unsigned char *bytes = wr_shared_memory_bytes(pool->memory);
    return (_Atomic uint32_t *)(void *)(bytes + WR_SHARED_POOL_WAITS_AT);
}

wr_message_place *wr_shared_pool_place(wr_shared_pool *pool)
{
    return &pool->place;
}
