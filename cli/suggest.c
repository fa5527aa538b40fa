/* SPDX-License-Identifier: MIT
 *
 * "Did you mean ...?": the word at the smallest edit distance, if it is near enough.
 */
#include <string.h>

#include "cli.h"

#define WORD_MAX 31u    /* longer words are near to nothing */
#define DISTANCE_FAR 3u /* this many edits are a different word */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Bytes to insert, remove or replace to make one of the other (Levenshtein), row by row. */
static size_t edit_distance(const char *from, const char *to)
{
    size_t row[WORD_MAX + 1];
    size_t width = strlen(to);
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 1; from[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = diagonal + (from[i - 1] != to[j - 1]);
            diagonal = row[j];
            row[j] = least(replaced, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[width];
}

const char *cli_suggest(const char *typed, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t distance = DISTANCE_FAR;
    if (strlen(typed) > WORD_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t found = strlen(words[i]) > WORD_MAX ? DISTANCE_FAR : edit_distance(typed, words[i]);
        if (found < distance) {
            distance = found;
            nearest = words[i];
        }
    }
    return nearest;
}
