/* SPDX-License-Identifier: MIT
 *
 * The log of a process: one line per event, to a sink that the program chooses.
 *
 * The default sink writes to standard error, one line in one write:
 *     2026-11-22T23:29:43.123Z info  [logger] text
 * Who reads it and stops reading holds nobody up for more than 50 ms a second: the lines for which
 * there is no room are counted, and their number is the first line when there is.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stddef.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weir_log_level {
    WEIR_LOG_ERROR = 0, /**< somebody must act */
    WEIR_LOG_WARN = 1,  /**< something is wrong and Weir copes with it */
    WEIR_LOG_INFO = 2,  /**< a change of state worth one line */
    WEIR_LOG_DEBUG = 3  /**< for whoever looks for a fault */
} weir_log_level;

/** The longest text of one log line in bytes; what is longer is cut and ends in "...". */
#define WEIR_LOG_TEXT_MAX 2048u

/** Bytes for a time as text, with its NUL: "2026-11-22T23:29:43.123Z". */
#define WEIR_TIME_SIZE 25u

/**
 * Where lines go. `who` names the module or the part of Weir. `text` has no line break.
 * Called by any thread, several at once, and by those on which everything depends: it should not
 * wait. It must not call back into Weir.
 */
typedef void (*weir_log_sink)(void *user, weir_log_level level, const char *who, const char *text);

/** Send the process's log to `sink`; NULL: back to standard error. Call it before other threads
 *  use Weir. */
WEIR_API void weir_log_set_sink(weir_log_sink sink, void *user);

/** Drop lines less important than `level` (default WEIR_LOG_INFO). Any thread. */
WEIR_API void weir_log_set_level(weir_log_level level);

/** "error", "warn", "info" or "debug"; static. */
WEIR_API const char *weir_log_level_name(weir_log_level level);

/** The present time, UTC, as the log shows it. Any thread. */
WEIR_API void weir_time_now(char out[WEIR_TIME_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
