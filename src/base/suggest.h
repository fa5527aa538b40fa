/* SPDX-License-Identifier: MIT
 *
 * "Did you mean ...?": which of some candidates is nearest to a wrong word, if one is near.
 */
#ifndef WR_BASE_SUGGEST_H
#define WR_BASE_SUGGEST_H

#include <stddef.h>

#include "base/api.h"

typedef struct wr_suggestion {
    const char *wrong;
    size_t size;
    unsigned distance; /* of the best so far; a candidate must be nearer */
    const char *best;  /* NULL: none; borrowed from the caller */
} wr_suggestion;

/* `wrong` is borrowed. */
WR_SHARED wr_suggestion wr_suggestion_for(const char *wrong, size_t size);
WR_SHARED void wr_suggestion_try(wr_suggestion *suggestion, const char *candidate);

#endif
