/* SPDX-License-Identifier: MIT
 *
 * The control loop: one thread with a libuv loop. It owns every life cycle of remote modules and
 * reads their sockets. Nothing on it blocks.
 */
#ifndef WR_LOOP_LOOP_H
#define WR_LOOP_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"

typedef struct wr_loop wr_loop;

/* Something to do on the loop. Lives in the struct of whoever posts it, so that posting cannot fail. */
typedef struct wr_task {
    void (*run)(struct wr_task *task); /* on the loop */
    struct wr_task *next;              /* under the loop's lock */
    bool posted;                       /* likewise */
} wr_task;

/* Errors: MEMORY, IO. */
WEIR_MUST_CHECK weir_err wr_loop_create(wr_loop **out);
/* Everything on the loop is closed. Runs what was posted, ends the thread, frees. NULL is allowed. */
void wr_loop_destroy(wr_loop *loop);

/* Run the task soon; while it waits to run, posting it again does nothing. Any thread. */
void wr_loop_post(wr_loop *loop, wr_task *task);
/* Run `run(arg)` on the loop and wait until it returned. Any thread but the loop's. */
void wr_loop_call(wr_loop *loop, void (*run)(void *arg), void *arg);

/* For handles; the loop's thread only. */
uv_loop_t *wr_loop_uv(wr_loop *loop);

#endif
