/* SPDX-License-Identifier: MIT
 *
 * Standard output and standard error, whose reader may have stopped reading: a pager, a terminal
 * that is held, a supervisor that hangs. Whoever must not wait for it writes here.
 */
#ifndef WR_PLATFORM_OUTPUT_H
#define WR_PLATFORM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"

typedef enum wr_output { WR_OUTPUT, WR_OUTPUT_ERROR, WR_OUTPUTS } wr_output;

/* What one write takes at once, where there is room at all. */
#define WR_OUTPUT_TEXT_MAX 4096u

/*
 * Write at most WR_OUTPUT_TEXT_MAX bytes, whole before what another thread writes. Waits at most
 * `patience_ms` for room, and returns false, with nothing written, where there is none by then. Of
 * what has begun to be written the rest goes first, the next time. Any other failure has nowhere to
 * be reported.
 */
WR_SHARED bool wr_output_write(wr_output to, const char *text, size_t size, int patience_ms);

#endif
