/* SPDX-License-Identifier: MIT
 *
 * An error with its reason in words, for the one place that will show it to a person.
 *
 * Functions that know more than the code take a `wr_error *error`, which may be NULL. They fill it
 * only when they fail.
 */
#ifndef WR_BASE_ERROR_H
#define WR_BASE_ERROR_H

#include <stdarg.h>

#include "base/api.h"

#define WR_ERROR_TEXT_MAX 1024u

typedef struct wr_error {
    weir_err code;
    char text[WR_ERROR_TEXT_MAX]; /* what is longer is cut and ends in "..." */
} wr_error;

/* Fill `error` unless it is NULL, and return `code`. */
WR_SHARED weir_err wr_error_set(wr_error *error, weir_err code, const char *format, ...)
    WEIR_PRINTF(3, 4);
WR_SHARED weir_err wr_error_setv(wr_error *error, weir_err code, const char *format, va_list args)
    WEIR_PRINTF(3, 0);

/* The text, or the code's own text where nobody said more. */
WR_SHARED const char *wr_error_text(const wr_error *error);

#endif
