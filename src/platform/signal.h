/* SPDX-License-Identifier: MIT
 *
 * The user's and the system's wish that a program end: SIGINT and SIGTERM on POSIX. For programs'
 * main functions only; a library leaves signals alone.
 */
#ifndef WR_PLATFORM_SIGNAL_H
#define WR_PLATFORM_SIGNAL_H

#include "base/api.h"

/*
 * Call `handler(arg)` at each such wish, on any thread and in the middle of anything, so it may do
 * only what a signal handler may; and let writes to a closed pipe fail instead of ending the
 * program. NULL: no longer; from then on such a wish ends the program at once.
 * Not by two threads at once. Errors: IO.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_signal_on_stop(void (*handler)(void *arg), void *arg);

#endif
