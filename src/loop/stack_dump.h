/* SPDX-License-Identifier: MIT
 *
 * A dump of the stacks of all threads of a process that hangs, as lines for the log: by gdb, if it
 * is installed and may look at the process, else what the system tells about each thread.
 *
 * Bounded in time and lines. The process is stopped for moments of it, and runs afterwards, even
 * one that was stopped before.
 *
 * The loop's thread only.
 */
#ifndef WR_LOOP_STACK_DUMP_H
#define WR_LOOP_STACK_DUMP_H

#include <stdint.h>

#include "loop/loop.h"

/* A time that is enough for a program of usual size. */
#define WR_STACK_DUMP_DEFAULT_MS 3000u
/* The most lines of stacks. */
#define WR_STACK_DUMP_LINES 400u

typedef struct wr_stack_dump wr_stack_dump;

typedef struct wr_stack_dump_fns {
    void (*line)(void *arg, const char *line); /* one line of the dump; must not destroy it */
    void (*done)(void *arg);                   /* that was all; may destroy it */
} wr_stack_dump_fns;

/*
 * Begin. Both functions are called on the loop, after this returned; `done` once, at the latest
 * after `timeout_ms`. `fns` is static. `pid` is a process of this user's that nobody has
 * collected yet; it may end meanwhile. Errors: MEMORY, IO, NOT_FOUND (no such process).
 */
WEIR_MUST_CHECK weir_err wr_stack_dump_start(wr_loop *loop, int64_t pid, uint32_t timeout_ms,
                                             const wr_stack_dump_fns *fns, void *arg,
                                             wr_stack_dump **out);
/* Also ends one that is under way; then nothing is called any more. NULL is allowed. */
void wr_stack_dump_destroy(wr_stack_dump *dump);

#endif
