/* SPDX-License-Identifier: MIT
 *
 * Is this text UTF-8? (RFC 3629: no surrogates, nothing over U+10FFFF, no overlong forms.)
 */
#ifndef WR_BASE_UTF8_H
#define WR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"

WR_SHARED bool wr_utf8_valid(const char *text, size_t size);

/* Bytes of the character that begins at `text`, of which `left` (at least 1) bytes are there; 0:
 * what stands there is no UTF-8. */
WR_SHARED size_t wr_utf8_character(const char *text, size_t left);

#endif
