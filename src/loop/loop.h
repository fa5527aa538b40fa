/* SPDX-License-Identifier: MIT
 *
 * The control loop: a libuv loop and the thread that runs it. It owns every life cycle of remote
 * modules and reads their sockets. Nothing on it blocks.
 *
 * The thread may step aside for something that is mostly quick, but might take long: to run the
 * modules for which it has just read messages, at once, where a wake-up of another thread would
 * take longer than all the rest. A second thread stands by and takes the loop over should the first
 * not come back in time; the first then stands by. So "the loop" is one thread at a time, not for
 * ever the same one. While nobody steps aside the second thread sleeps.
 */
#ifndef WR_LOOP_LOOP_H
#define WR_LOOP_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"

typedef struct wr_loop wr_loop;

/* Something to do on the loop. Lives in the struct of whoever posts it, so that posting cannot
 * fail. */
typedef struct wr_task {
    void (*run)(struct wr_task *task); /* on the loop */
    struct wr_task *next;              /* under the loop's lock */
    bool posted;                       /* likewise */
} wr_task;

/* Errors: MEMORY, IO. */
WEIR_MUST_CHECK weir_err wr_loop_create(wr_loop **out);
/* Everything on the loop is closed. Runs what was posted, ends the threads, frees; leaves alone a
 * thread that does not come back, and what it uses. NULL is allowed. */
void wr_loop_destroy(wr_loop *loop);

/* Run the task soon; while it waits to run, posting it again does nothing. Any thread. */
void wr_loop_post(wr_loop *loop, wr_task *task);
/* Run `run(arg)` on the loop and wait until it returned. Any thread but the loop's. */
void wr_loop_call(wr_loop *loop, void (*run)(void *arg), void *arg);

/* What the loop's thread does aside, instead of leading the loop. */
typedef struct wr_aside {
    void (*run)(void *arg); /* outside the loop: it may take its time, or for ever */
    /* Another thread has taken the loop over, and `run` has not returned: leave to others what it
     * has not begun. On the loop, at the same time as `run`. */
    void (*taken_over)(void *arg);
    void *arg;
} wr_aside;

/* When the loop's present callbacks have returned, call `aside->run` on their thread. Once more
 * before that replaces it. The loop only. False: there is nobody to take the loop over; it will not
 * be called. */
bool wr_loop_step_aside(wr_loop *loop, const wr_aside *aside);

/* For handles; the loop's thread only. */
uv_loop_t *wr_loop_uv(wr_loop *loop);

#endif
