/* SPDX-License-Identifier: MIT
 *
 * The properties of one message while it is made or checked: a list of borrowed names and values in
 * which each name ends up at most once.
 *
 * Invariant: an entry whose name_size is 0 was merged into an earlier one; it is no property.
 */
#ifndef WR_MESSAGE_PROPERTIES_H
#define WR_MESSAGE_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/error.h"

/* The most properties of one message. It bounds the work that a message from outside can cause. */
#define WR_PROPERTIES_MAX 65536u
/* Lists up to this length need no allocation and no sorting. */
#define WR_PROPERTIES_FEW 64u

typedef struct wr_property_entry {
    const char *name;
    const char *value; /* NULL: to be removed */
    size_t name_size;  /* with the NUL */
    size_t value_size; /* likewise; 0 when there is no value */
} wr_property_entry;

typedef struct wr_properties {
    wr_property_entry *entries;
    size_t count;
    wr_property_entry few[WR_PROPERTIES_FEW];
} wr_properties;

/* An empty list with room for `capacity` entries. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_properties_init(wr_properties *list, size_t capacity);
void wr_properties_deinit(wr_properties *list);

/* Append; the room must be there. */
void wr_properties_add(wr_properties *list, const wr_property_entry *entry);

/* Where a name comes again, its value takes the place of the first one's. `*repeated`: a name that
 * came again, or NULL. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_properties_merge(wr_properties *list, const char **repeated);

/* Is this a property of the result: neither merged away nor removed? */
static inline bool wr_property_kept(const wr_property_entry *entry)
{
    return entry->name_size > 0 && entry->value != NULL;
}

#endif
