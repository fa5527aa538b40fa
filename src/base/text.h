/* SPDX-License-Identifier: MIT
 *
 * Text for people, mostly such that must fit a fixed space: what is longer is cut between two
 * characters and ends in "...".
 */
#ifndef WR_BASE_TEXT_H
#define WR_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"

/* vsnprintf into `size` (at least 4) bytes. A format that cannot be shown gives "". */
WR_SHARED void wr_text_formatv(char *out, size_t size, const char *format, va_list args)
    WEIR_PRINTF(3, 0);

/* Copy `text` into `size` (at least 4) bytes with each byte of a control character, and each that
 * is no UTF-8, shown as \xNN. */
WR_SHARED void wr_text_escape(char *out, size_t size, const char *text);

/* For a line with a number in it: `one` behind a 1, else `many`. */
WR_SHARED const char *wr_text_plural(uint64_t count, const char *one, const char *many);

/* A copy on the heap, the caller's to free. NULL: out of memory, or `text` is NULL. */
WR_SHARED char *wr_text_copy(const char *text);

#endif
