/* SPDX-License-Identifier: MIT
 *
 * What the operating system and its debugger tell about the threads of another process. The
 * asynchronous whole is loop/stack_dump.h.
 */
#ifndef WR_PLATFORM_STACK_DUMP_H
#define WR_PLATFORM_STACK_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "platform/process.h"

/* A process that is looked at. It may end at any time; another one that then gets its id is never
 * touched. */
typedef struct wr_stack_target wr_stack_target;

/* Errors: NOT_FOUND (no such process), MEMORY, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stack_target_open(int64_t pid, wr_stack_target **out);
/* It was stopped from outside: nothing in it is to blame. */
WR_SHARED bool wr_stack_target_stopped(const wr_stack_target *target);
/* Let it run, whoever stopped it. */
WR_SHARED void wr_stack_target_continue(const wr_stack_target *target);
/* Say in one line per thread what it does: its state, where in the system it waits, its processor
 * time. Threads beyond a limit are only counted. `line` is borrowed by the callback. */
WR_SHARED void wr_stack_target_describe(const wr_stack_target *target,
                                        void (*on_line)(void *arg, const char *line), void *arg);
WR_SHARED void wr_stack_target_close(wr_stack_target *target); /* NULL is allowed */

#define WR_DEBUGGER_ARGS_MAX 24u

/* A command that prints the stacks of all threads of a process, and leaves it alone afterwards. */
typedef struct wr_debugger {
    wr_process_options options; /* points into this struct: do not copy it */
    const char *args[WR_DEBUGGER_ARGS_MAX];
    char pid[24];
} wr_debugger;

WR_SHARED void wr_debugger_init(wr_debugger *debugger, const wr_stack_target *target);
/* Let the debugger that the process which started this one starts look at this one, where the
 * system asks for that. */
WR_SHARED void wr_debugger_allow_parent(void);
/* Is this line of its output about the stacks, and not about itself? */
WR_SHARED bool wr_debugger_says_stack(const char *line);

#endif
