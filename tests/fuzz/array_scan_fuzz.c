/* SPDX-License-Identifier: MIT
 *
 * Fuzz target for the logger's reader of files that exist: the text cut anywhere is read the same,
 * and no array of objects that jansson reads, or the begin of one, is refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "../../modules/logger/array_scan.c" /* a module is no library that a program links */
#include "fuzz.h"
#include "json_mutate.h"

static bool is_same(const array_scan *a, const array_scan *b)
{
    return a->at == b->at && a->end == b->end && a->any == b->any && a->place == b->place &&
           a->inside == b->inside && a->depth == b->depth && a->stray_comma == b->stray_comma;
}

/* An array whose entries are objects. */
static bool is_log(const json_t *json)
{
    bool all = json_is_array(json);
    for (size_t i = 0; all && i < json_array_size(json); i++) {
        all = json_is_object(json_array_get(json, i));
    }
    return all;
}

/* Must array_scan read all of what jansson reads? Not what may be too deep, nor NULs, which jansson
 * passes over. */
static bool is_plain(const char *text, size_t size)
{
    size_t opening = memchr(text, '\0', size) == NULL ? 0 : DEPTH_MAX + 1;
    for (size_t i = 0; i < size; i++) {
        opening += text[i] == '[' || text[i] == '{';
    }
    return opening <= DEPTH_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cut = data[0] % size;
    const char *text = (const char *)data + 1;
    size--;
    array_scan whole = {0};
    array_scan pieces = {0};
    bool taken = array_scan_feed(&whole, text, size);
    bool taken_pieces =
        array_scan_feed(&pieces, text, cut) && array_scan_feed(&pieces, text + cut, size - cut);
    REQUIRE(taken == taken_pieces && is_same(&whole, &pieces));
    REQUIRE(whole.at <= size && whole.end <= whole.at && taken == (whole.at == size));

    json_t *json = json_loadb(text, size, 0, NULL);
    if (is_log(json) && is_plain(text, size)) {
        REQUIRE(taken && array_scan_ended(&whole) && whole.any == (json_array_size(json) > 0));
    }
    json_decref(json);
    return 0;
}

/* Half of the mutations keep it JSON behind its first byte, which says where to cut. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    fuzz_random random = fuzz_random_from(seed);
    size_t changed = 0;
    if (size > 1 && fuzz_one_in(&random, 2)) {
        changed = fuzz_mutate_json(data + 1, size - 1, max_size - 1, &random);
    }
    return changed != 0 ? changed + 1 : LLVMFuzzerMutate(data, size, max_size);
}
