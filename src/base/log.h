/* SPDX-License-Identifier: MIT
 *
 * How the code inside writes to the log (public part: weir/log.h). Control characters in the text,
 * and bytes that are no UTF-8, are shown as \xNN: one event is one line, and does nothing to a
 * terminal.
 */
#ifndef WR_BASE_LOG_H
#define WR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/api.h"
#include "weir/log.h"

/* Any thread. `who`: the module's name, or "weir" for what concerns no module. */
WR_SHARED void wr_log(const char *who, weir_log_level level, const char *format, ...)
    WEIR_PRINTF(3, 4);
WR_SHARED void wr_logv(const char *who, weir_log_level level, const char *format, va_list args)
    WEIR_PRINTF(3, 0);

/* Would a line of this level be written? To save the work of making it. */
WR_SHARED bool wr_log_wants(weir_log_level level);

#endif
