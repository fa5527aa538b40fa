/* SPDX-License-Identifier: MIT
 *
 * Child processes. A child gets descriptors 0 (/dev/null), 1 and 2 (a stream to the parent), and no
 * others; it leads a process group of its own; it dies with its parent, however that ends. (In
 * libweir-gateway, from which tests use it, too.)
 */
#ifndef WR_PLATFORM_PROCESS_H
#define WR_PLATFORM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "platform/sandbox.h"
#include "platform/stream.h"

typedef struct wr_process wr_process;

typedef struct wr_process_options {
    const char *path;          /* of the program; with a slash: that file, else found in PATH */
    const char *const *args;   /* NULL-terminated, without the program's name */
    const char *const *env;    /* NULL-terminated "NAME=VALUE", added to the parent's */
    const char *working_dir;   /* NULL: the parent's */
    const wr_sandbox *sandbox; /* NULL: none; must live as long as the call */
} wr_process_options;

#define WR_EXIT_UNKNOWN (-1)

typedef struct wr_process_exit {
    bool by_signal;
    int value; /* exit status, or the signal's number */
} wr_process_exit;

/* Start a child. The thread that calls this must live as long as the child should. Errors:
 * NOT_FOUND, DENIED, IO, MEMORY; `error` says which step failed (program, working folder) and why.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_process_spawn(const wr_process_options *options,
                                                    wr_process **out, wr_error *error);
/* Is there now a program that spawn would start? Errors: NOT_FOUND, DENIED, IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_process_find_program(const char *path, wr_error *error);
WR_SHARED int64_t wr_process_id(const wr_process *process);
/* Readable when the child has ended. */
WR_SHARED wr_waitable wr_process_waitable(const wr_process *process);
/* The child's standard output and error, to read; owned by the process. */
WR_SHARED wr_stream *wr_process_output(wr_process *process);
/* Collect an ended child, and kill what is left of its process group. Where somebody else collected
 * it, the exit status is WR_EXIT_UNKNOWN. Errors: WOULD_BLOCK (it lives). May be called again. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_process_reap(wr_process *process, wr_process_exit *result);
/* Ask the child's process group to end, or end it. Harmless after the end. */
WR_SHARED void wr_process_terminate(wr_process *process);
WR_SHARED void wr_process_kill(wr_process *process);
/* "exit status 3", "signal 9 (Killed)". */
WR_SHARED void wr_process_exit_text(const wr_process_exit *result, char *out, size_t size);
/* Was it ended by a signal that comes from others, and says nothing of the child itself? */
WR_SHARED bool wr_process_was_killed(const wr_process_exit *result);
/* Kill and collect the child if it still lives; free. NULL is allowed. */
WR_SHARED void wr_process_destroy(wr_process *process);

#endif
