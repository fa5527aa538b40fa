/* SPDX-License-Identifier: MIT
 *
 * The edit distance (bytes to insert, remove or replace), row by row. Only a band around the
 * diagonal is computed, so that a try costs little.
 */
#include "base/suggest.h"

#include <string.h>

#define WORD_MAX 64u    /* bytes; longer words get no suggestion */
#define DISTANCE_MAX 3u /* and words further away are none */

/* How far away a candidate may be: short words have many neighbours. */
static unsigned allowed_distance(size_t size)
{
    return size < 4 ? 1 : size < 8 ? 2 : DISTANCE_MAX;
}

wr_suggestion wr_suggestion_for(const char *wrong, size_t size)
{
    unsigned limit = size <= WORD_MAX ? allowed_distance(size) + 1 : 0;
    return (wr_suggestion){wrong, size, limit, NULL};
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* The edit distance of a and b, or `limit` if it is not less. Both are at most WORD_MAX + limit. */
static unsigned edit_distance(const char *a, size_t a_size, const char *b, size_t b_size,
                              unsigned limit)
{
    unsigned row[WORD_MAX + DISTANCE_MAX + 2];
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t from = i > limit ? i - limit : 1;
        size_t to = i + limit < b_size ? i + limit : b_size;
        unsigned diagonal = row[from - 1];
        unsigned best = row[from - 1] = from == 1 ? (unsigned)i : limit;
        for (size_t j = from; j <= to; j++) {
            /* Above the band's end stands no value of the row before. */
            unsigned above = j == i + limit ? limit : row[j];
            unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = least(row[j - 1] + 1, above + 1, diagonal + cost);
            diagonal = above;
            best = row[j] < best ? row[j] : best;
        }
        if (best >= limit) {
            return limit;
        }
    }
    return row[b_size] < limit ? row[b_size] : limit;
}

void wr_suggestion_try(wr_suggestion *suggestion, const char *candidate)
{
    size_t size = strlen(candidate);
    size_t apart = size > suggestion->size ? size - suggestion->size : suggestion->size - size;
    if (apart >= suggestion->distance) {
        return;
    }
    unsigned distance =
        edit_distance(suggestion->wrong, suggestion->size, candidate, size, suggestion->distance);
    if (distance < suggestion->distance) {
        suggestion->distance = distance;
        suggestion->best = candidate;
    }
}
