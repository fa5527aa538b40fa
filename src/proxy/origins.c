/* SPDX-License-Identifier: MIT
 *
 * Where messages came from (contract in origins.h).
 */
#include "proxy/origins.h"

#include <stdlib.h>

#include "base/error.h"

#define RING_START 16u
/* A ring with so many times the room that its runs need is made smaller. */
#define ROOMY 4u

static wr_origin *at(const wr_origins *origins, size_t index)
{
    return &origins->ring[(origins->first + index) & (origins->capacity - 1)];
}

static void forget_done(wr_origins *origins, uint64_t done)
{
    while (origins->count > 1 && at(origins, 1)->begin <= done) {
        origins->first = (origins->first + 1) & (origins->capacity - 1);
        origins->count--;
    }
}

static weir_err resize(wr_origins *origins, size_t capacity)
{
    wr_origins resized = {.last = origins->last, .capacity = capacity, .count = origins->count};
    resized.ring = malloc(capacity * sizeof(wr_origin));
    if (resized.ring == NULL) {
        return WEIR_ERR_MEMORY;
    }
    for (size_t i = 0; i < origins->count; i++) {
        resized.ring[i] = *at(origins, i);
    }
    free(origins->ring);
    *origins = resized;
    return WEIR_OK;
}

static weir_err grow(wr_origins *origins)
{
    return resize(origins, origins->capacity == 0 ? RING_START : 2 * origins->capacity);
}

void wr_origins_begin(wr_origins *origins, uint64_t link, uint64_t begin, uint64_t done)
{
    forget_done(origins, done);
    /* Nothing came from the last one after all: so there are never more runs than messages. */
    if (origins->count > 0 && at(origins, origins->count - 1)->begin == begin) {
        origins->count--;
    }
    if (origins->count == origins->capacity && grow(origins) != WEIR_OK) {
        origins->count = 0;
        origins->last = 0;
        return;
    }
    *at(origins, origins->count++) = (wr_origin){link, begin};
    origins->last = link;
}

uint64_t wr_origins_find(const wr_origins *origins, uint64_t number)
{
    for (size_t i = origins->count; i > 0; i--) {
        if (at(origins, i - 1)->begin <= number) {
            return at(origins, i - 1)->link;
        }
    }
    return 0;
}

void wr_origins_drop(wr_origins *origins, uint64_t number)
{
    for (size_t i = 0; i < origins->count; i++) {
        at(origins, i)->begin -= at(origins, i)->begin > number;
    }
}

void wr_origins_shrink(wr_origins *origins, uint64_t done)
{
    size_t capacity = origins->capacity;
    forget_done(origins, done);
    while (capacity > RING_START && origins->count <= capacity / ROOMY) {
        capacity /= 2;
    }
    if (capacity < origins->capacity) {
        weir_err ignored = resize(origins, capacity);
        (void)ignored; /* it stays as it is */
    }
}

void wr_origins_deinit(wr_origins *origins)
{
    free(origins->ring);
    *origins = (wr_origins){.ring = NULL};
}
