/* SPDX-License-Identifier: MIT
 *
 * The list of properties: short ones are merged by comparing each with each, long ones by sorting,
 * so that no list from outside costs more than n log n comparisons.
 */
#include "message/properties.h"

#include <stdlib.h>
#include <string.h>

weir_err wr_properties_init(wr_properties *list, size_t capacity)
{
    list->count = 0;
    list->entries = list->few;
    if (capacity <= WR_PROPERTIES_FEW) {
        return WEIR_OK;
    }
    list->entries = calloc(capacity, sizeof(list->entries[0]));
    return list->entries == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void wr_properties_deinit(wr_properties *list)
{
    if (list->entries != list->few) {
        free(list->entries);
    }
    list->entries = list->few;
    list->count = 0;
}

void wr_properties_add(wr_properties *list, const wr_property_entry *entry)
{
    list->entries[list->count++] = *entry;
}

static bool same_name(const wr_property_entry *a, const wr_property_entry *b)
{
    return a->name_size == b->name_size && memcmp(a->name, b->name, a->name_size) == 0;
}

static void merge_into(wr_property_entry *first, wr_property_entry *again)
{
    first->value = again->value;
    first->value_size = again->value_size;
    again->name_size = 0;
}

static void merge_few(wr_properties *list, const char **repeated)
{
    for (size_t i = 1; i < list->count; i++) {
        wr_property_entry *entry = &list->entries[i];
        size_t j = 0;
        while (j < i && !same_name(&list->entries[j], entry)) {
            j++;
        }
        if (j < i) {
            *repeated = entry->name;
            merge_into(&list->entries[j], entry);
        }
    }
}

/* By name, and equal names in the list's order. Sizes first: cheap, and any order will do. */
static int compare_entries(const void *left, const void *right)
{
    const wr_property_entry *a = *(wr_property_entry *const *)left;
    const wr_property_entry *b = *(wr_property_entry *const *)right;
    if (a->name_size != b->name_size) {
        return a->name_size < b->name_size ? -1 : 1;
    }
    int order = memcmp(a->name, b->name, a->name_size);
    if (order != 0) {
        return order;
    }
    return a < b ? -1 : (a > b);
}

static weir_err merge_many(wr_properties *list, const char **repeated)
{
    wr_property_entry **sorted = calloc(list->count, sizeof(*sorted));
    if (sorted == NULL) {
        return WEIR_ERR_MEMORY;
    }
    for (size_t i = 0; i < list->count; i++) {
        sorted[i] = &list->entries[i];
    }
    qsort(sorted, list->count, sizeof(*sorted), compare_entries);
    wr_property_entry *first = sorted[0];
    for (size_t i = 1; i < list->count; i++) {
        if (!same_name(first, sorted[i])) {
            first = sorted[i];
            continue;
        }
        *repeated = sorted[i]->name;
        merge_into(first, sorted[i]);
    }
    free(sorted);
    return WEIR_OK;
}

weir_err wr_properties_merge(wr_properties *list, const char **repeated)
{
    *repeated = NULL;
    if (list->count > WR_PROPERTIES_FEW) {
        return merge_many(list, repeated);
    }
    merge_few(list, repeated);
    return WEIR_OK;
}
