/* SPDX-License-Identifier: MIT
 *
 * A growing byte buffer that also serves as a string builder.
 *
 * Invariant: data[size] is NUL whenever data is not NULL. A failed append sets `failed` and leaves
 * the content as it was; later appends do nothing, so that one check at the end is enough.
 */
#ifndef WR_BASE_BUFFER_H
#define WR_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"

typedef struct wr_buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed; /* out of memory, or over a limit */
    bool lent;   /* data is not the buffer's */
} wr_buffer;

#define WR_BUFFER_INIT                                                                             \
    {                                                                                              \
        NULL, 0, 0, false, false                                                                   \
    }
/* Begins with the caller's array of char, which lives longer: what fits there needs no memory. */
#define WR_BUFFER_ON(array)                                                                        \
    {                                                                                              \
        (array), 0, sizeof(array), false, true                                                     \
    }

WR_SHARED void wr_buffer_deinit(wr_buffer *buffer);
WR_SHARED void wr_buffer_append(wr_buffer *buffer, const void *data, size_t size);
WR_SHARED void wr_buffer_append_text(wr_buffer *buffer, const char *text);
WR_SHARED void wr_buffer_printf(wr_buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);
/* Big-endian integers, as all Weir's wire formats have them. */
WR_SHARED void wr_buffer_append_u8(wr_buffer *buffer, uint8_t value);
WR_SHARED void wr_buffer_append_u32(wr_buffer *buffer, uint32_t value);
/* Remove everything, forget a failure, keep the memory. */
WR_SHARED void wr_buffer_clear(wr_buffer *buffer);
/* The text (never NULL: "" when empty); the caller frees it. NULL when failed. Empties the buffer.
 */
WR_SHARED char *wr_buffer_take(wr_buffer *buffer);

#endif
