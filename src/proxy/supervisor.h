/* SPDX-License-Identifier: MIT
 *
 * Supervisor: one launched process. It starts it, passes its output to the log line by line, says
 * how it ended, and ends it. The control loop's thread only.
 */
#ifndef WR_PROXY_SUPERVISOR_H
#define WR_PROXY_SUPERVISOR_H

#include <stdint.h>

#include "loop/loop.h"
#include "platform/process.h"
#include "proxy/line_ring.h"

typedef struct wr_launch {
    wr_process_options process;
    uint32_t grace_period_ms; /* for wr_supervisor_end */
} wr_launch;

typedef struct wr_supervisor wr_supervisor;

/*
 * Launch. `name`, for the log, and `launch` must outlive the supervisor. `on_exit` is called once,
 * on the loop, when the process has ended and all its output is in the log; it may destroy the
 * supervisor. Errors: as wr_process_spawn.
 */
WEIR_MUST_CHECK weir_err wr_supervisor_launch(wr_loop *loop, const char *name,
                                              const wr_launch *launch,
                                              void (*on_exit)(void *arg,
                                                              const wr_process_exit *result),
                                              void *arg, wr_supervisor **out, wr_error *error);
/* The process should end by itself now (`asked`), or is told to by SIGTERM at once; it has
 * `grace_ms` for each until the next step: SIGTERM, SIGKILL. Call it once. */
void wr_supervisor_end(wr_supervisor *supervisor, bool asked, uint32_t grace_ms);
/* Log a line as if the process had written it. */
void wr_supervisor_log(wr_supervisor *supervisor, const char *line);
/* The last lines, for a crash report; borrowed. */
const wr_line_ring *wr_supervisor_lines(const wr_supervisor *supervisor);
int64_t wr_supervisor_pid(const wr_supervisor *supervisor);
/* Kills the process if it still lives. NULL is allowed. */
void wr_supervisor_destroy(wr_supervisor *supervisor);

#endif
