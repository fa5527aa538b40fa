/* SPDX-License-Identifier: MIT
 *
 * Where messages came from (contract in origins.h).
 */
#include "proxy/origins.h"

#include <stdlib.h>

#include "base/error.h"

#define RING_START 16u

static wr_origin *at(const wr_origins *origins, size_t index)
{
    return &origins->ring[(origins->first + index) & (origins->capacity - 1)];
}

static void forget_done(wr_origins *origins, uint64_t done)
{
    while (origins->count > 0 && at(origins, 0)->end <= done) {
        origins->known_from = at(origins, 0)->end;
        origins->first = (origins->first + 1) & (origins->capacity - 1);
        origins->count--;
    }
}

static weir_err grow(wr_origins *origins)
{
    wr_origins grown = {.capacity = origins->capacity == 0 ? RING_START : 2 * origins->capacity,
                        .count = origins->count,
                        .known_from = origins->known_from};
    grown.ring = malloc(grown.capacity * sizeof(wr_origin));
    if (grown.ring == NULL) {
        return WEIR_ERR_MEMORY;
    }
    for (size_t i = 0; i < origins->count; i++) {
        grown.ring[i] = *at(origins, i);
    }
    free(origins->ring);
    *origins = grown;
    return WEIR_OK;
}

void wr_origins_add(wr_origins *origins, uint64_t link, uint64_t end, uint64_t done)
{
    if (origins->count > 0 && at(origins, origins->count - 1)->link == link) {
        at(origins, origins->count - 1)->end = end;
        return;
    }
    forget_done(origins, done);
    if (origins->count == origins->capacity && grow(origins) != WEIR_OK) {
        origins->count = 0;
        origins->known_from = end;
        return;
    }
    *at(origins, origins->count++) = (wr_origin){link, end};
}

uint64_t wr_origins_find(const wr_origins *origins, uint64_t number)
{
    for (size_t i = 0; number >= origins->known_from && i < origins->count; i++) {
        if (number < at(origins, i)->end) {
            return at(origins, i)->link;
        }
    }
    return 0;
}

void wr_origins_drop(wr_origins *origins, uint64_t number)
{
    for (size_t i = 0; i < origins->count; i++) {
        at(origins, i)->end -= at(origins, i)->end > number;
    }
    origins->known_from -= origins->known_from > number;
}

void wr_origins_deinit(wr_origins *origins)
{
    free(origins->ring);
    *origins = (wr_origins){.ring = NULL};
}
