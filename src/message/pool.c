/* SPDX-License-Identifier: MIT
 *
 * The pool (contract in pool.h), after the magazines of Bonwick and Adams: two chains per thread
 * and class, so that a thread that goes back and forth over a chain's edge does not meet the depot
 * at each step.
 *
 * Sanitizers watch malloc and free; under them every block comes from there.
 */
#include "message/pool.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/prefetch.h"
#include "platform/thread.h"

/* Classes: multiples of 64 up to 512, then powers of two. Pages of a block that no message touches
 * cost nothing. */
#define CLASS_STEP 64u
#define CLASS_STEPS 8u
#define CLASS_COUNT 21u

/* The most blocks and bytes of a chain (but one block at least), and the bytes of a class that the
 * depot keeps; what is over goes back to malloc. Large blocks are worth keeping even more than
 * small ones: fresh pages cost several times what copying into them does. */
#define CHAIN_BLOCKS_MAX 32u
#define CHAIN_BYTES_MAX 65536u
#define DEPOT_BYTES_MAX (8u * 1024u * 1024u)

typedef struct block {
    struct block *next;       /* in its chain */
    struct block *next_chain; /* first block of a chain in the depot */
} block;

typedef struct cache_class {
    block *list; /* in use: up to a whole chain */
    unsigned count;
    block *spare; /* NULL or a whole chain */
} cache_class;

typedef struct cache {
    cache_class classes[CLASS_COUNT];
} cache;

/* Its mutex guards the list and the count. */
typedef struct depot {
    wr_mutex lock;
    block *chains;
    unsigned count;
} depot;

static WR_THREAD_LOCAL_SMALL cache *own; /* NULL until the first use on this thread */
static depot depots[CLASS_COUNT];
static wr_once depots_made = WR_ONCE_INIT;

static unsigned class_of(size_t size)
{
    if (size <= CLASS_STEP * CLASS_STEPS) {
        return size == 0 ? 0 : (unsigned)((size - 1) / CLASS_STEP);
    }
    unsigned class = CLASS_STEPS;
    for (size_t room = 2 * CLASS_STEP * CLASS_STEPS; room < size; room *= 2) {
        class ++;
    }
    return class;
}

static size_t size_of(unsigned class)
{
    return class < CLASS_STEPS ? (class + 1) * CLASS_STEP
                               : ((size_t)CLASS_STEP * CLASS_STEPS) << (class - CLASS_STEPS + 1);
}

static unsigned chain_blocks(unsigned class)
{
    size_t fit = CHAIN_BYTES_MAX / size_of(class);
    if (fit >= CHAIN_BLOCKS_MAX) {
        return CHAIN_BLOCKS_MAX;
    }
    return fit == 0 ? 1 : (unsigned)fit;
}

static void make_depots(void)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        wr_mutex_init(&depots[i].lock);
    }
}

static void free_chain(block *first)
{
    while (first != NULL) {
        block *next = first->next;
        free(first);
        first = next;
    }
}

/* Give a whole chain away. */
static void give_chain(unsigned class, block *chain)
{
    depot *to = &depots[class];
    wr_mutex_lock(&to->lock);
    bool kept = (to->count + 1) * chain_blocks(class) * size_of(class) <= DEPOT_BYTES_MAX;
    if (kept) {
        chain->next_chain = to->chains;
        to->chains = chain;
        to->count++;
    }
    wr_mutex_unlock(&to->lock);
    if (!kept) {
        free_chain(chain);
    }
}

static block *take_chain(unsigned class)
{
    depot *from = &depots[class];
    wr_mutex_lock(&from->lock);
    block *chain = from->chains;
    if (chain != NULL) {
        from->chains = chain->next_chain;
        from->count--;
    }
    wr_mutex_unlock(&from->lock);
    return chain;
}

static void close_cache(void *arg)
{
    cache *ending = arg;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        cache_class *class = &ending->classes[i];
        free_chain(class->list);
        if (class->spare != NULL) {
            give_chain(i, class->spare);
        }
    }
    own = NULL; /* what ends after this may use the pool again */
    free(ending);
}

/* The first use on this thread. NULL: out of memory, and the thread does without. */
static cache *open_cache(void)
{
    own = calloc(1, sizeof(*own));
    if (own != NULL) {
        wr_once_run(&depots_made, make_depots);
        wr_thread_on_exit(close_cache, own);
    }
    return own;
}

static cache_class *own_class(unsigned class)
{
    cache *mine = own != NULL ? own : open_cache();
    return mine == NULL ? NULL : &mine->classes[class];
}

/* The list is empty: a spare chain, one from the depot, or nothing. */
static bool refill(cache_class *mine, unsigned class)
{
    block *chain = mine->spare;
    mine->spare = NULL;
    if (chain == NULL) {
        chain = take_chain(class);
    }
    mine->list = chain;
    mine->count = chain == NULL ? 0 : chain_blocks(class);
    return chain != NULL;
}

/* The list is a whole chain: set it aside. */
static void set_aside(cache_class *mine, unsigned class)
{
    if (mine->spare != NULL) {
        give_chain(class, mine->spare);
    }
    mine->spare = mine->list;
    mine->list = NULL;
    mine->count = 0;
}

static bool is_pooled(size_t size)
{
#ifdef WEIR_SANITIZED
    (void)size;
    return false;
#else
    return size <= WR_POOL_BLOCK_MAX;
#endif
}

void *wr_pool_get(size_t size)
{
    if (!is_pooled(size)) {
        return malloc(size);
    }
    unsigned class = class_of(size);
    cache_class *mine = own_class(class);
    if (mine == NULL || (mine->list == NULL && !refill(mine, class))) {
        return malloc(size_of(class));
    }
    block *got = mine->list;
    mine->list = got->next;
    if (mine->list != NULL) {    /* the address 0 is looked for in vain each time */
        wr_prefetch(mine->list); /* another thread wrote it last */
    }
    mine->count--;
    return got;
}

void wr_pool_put(void *returned, size_t size)
{
    if (!is_pooled(size)) {
        free(returned);
        return;
    }
    unsigned class = class_of(size);
    cache_class *mine = own_class(class);
    if (mine == NULL) {
        free(returned);
        return;
    }
    if (mine->count >= chain_blocks(class)) {
        set_aside(mine, class);
    }
    block *first = returned;
    first->next = mine->list;
    mine->list = first;
    mine->count++;
}
