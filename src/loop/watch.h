/* SPDX-License-Identifier: MIT
 *
 * What the control loop can wait for: waitables, times, changes in a folder. The loop's thread
 * only; closing needs no waiting: after close the callback is not called again.
 */
#ifndef WR_LOOP_WATCH_H
#define WR_LOOP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "platform/poller.h"
#include "platform/stream.h"

typedef struct wr_watch wr_watch;
typedef struct wr_timer wr_timer;
typedef struct wr_folder_watch wr_folder_watch;

/* `ready`: WR_POLL_..., a hang-up shows as WR_POLL_READ, too, even where only it is watched for. It
 * shows again and again. */
typedef void (*wr_watch_fn)(void *arg, unsigned ready);

/* Watch for a hang-up only, until wr_watch_set. Errors: MEMORY, IO. */
WEIR_MUST_CHECK weir_err wr_watch_open(wr_loop *loop, wr_waitable what, wr_watch_fn run, void *arg,
                                       wr_watch **out);
/* Watch for `events`, and for a hang-up always. */
void wr_watch_set(wr_watch *watch, unsigned events);
/* Before the waitable is closed. NULL is allowed. */
void wr_watch_close(wr_watch *watch);

/* A timer, not running. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_timer_open(wr_loop *loop, void (*run)(void *arg), void *arg,
                                       wr_timer **out);
/* Run once in `delay_ms`, instead of what was set before. */
void wr_timer_set(wr_timer *timer, uint64_t delay_ms);
void wr_timer_clear(wr_timer *timer);
void wr_timer_close(wr_timer *timer); /* NULL is allowed */

/* `gone`: the folder itself may have been removed or moved. Then the watch, which goes with it, is
 * good for nothing any more. */
typedef void (*wr_folder_watch_fn)(void *arg, bool gone);

/* Call `run` when the entry `name` of `folder` may have changed. Both are copied. `run` may close
 * the watch. Errors: MEMORY, IO (no such folder, or no more watches to be had). */
WEIR_MUST_CHECK weir_err wr_folder_watch_open(wr_loop *loop, const char *folder, const char *name,
                                              wr_folder_watch_fn run, void *arg,
                                              wr_folder_watch **out);
void wr_folder_watch_close(wr_folder_watch *watch); /* NULL is allowed */

#endif
