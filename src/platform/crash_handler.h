/* SPDX-License-Identifier: MIT
 *
 * The last words of a process that crashes. For programs' main functions only; a library leaves
 * signals alone.
 */
#ifndef WR_PLATFORM_CRASH_HANDLER_H
#define WR_PLATFORM_CRASH_HANDLER_H

#include "base/api.h"
#include "base/error.h"

/*
 * From now on, when this process crashes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT on POSIX), it
 * writes to standard error, in the log's format and as `who`, which one it was, and the stack of
 * the thread; then it dies of the same signal as it would have, so that its status and its core
 * dump are what they were. A crash that someone else handles is left to him.
 *
 * Call it once, on the thread whose stack may overflow: only that one then gets its last words out
 * of an overflow. Does nothing in a build with sanitizers, which have a handler of their own. `who`
 * is copied. Errors: IO.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_crash_handler_install(const char *who);

#endif
