/* SPDX-License-Identifier: MIT
 *
 * From errno to the project's errors.
 */
#ifndef WR_OS_ERROR_H
#define WR_OS_ERROR_H

#include "base/api.h"
#include "base/error.h"

/* IO for a number that means nothing more exact. EAGAIN means something else in each place, so it
 * is not translated here. */
WR_SHARED weir_err wr_os_error(int number);

/* Fill `error` (may be NULL) with "FORMAT...: the system's reason", and return wr_os_error(number).
 */
WR_SHARED weir_err wr_os_error_set(wr_error *error, int number, const char *format, ...)
    WEIR_PRINTF(3, 4);

#endif
