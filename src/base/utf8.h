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

#endif
