/* SPDX-License-Identifier: MIT
 *
 * Executor: threads that run scheduled nodes, first come first served. The pool is an executor with
 * one thread per core; a module whose receive blocks has an executor with one thread of its own.
 */
#ifndef WR_BROKER_EXECUTOR_H
#define WR_BROKER_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct wr_node;
typedef struct wr_executor wr_executor;

/* `name` is for debuggers. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_executor_create(unsigned threads, const char *name, wr_executor **out);
/* End the threads and free. What is still queued is not run. NULL is allowed. */
void wr_executor_destroy(wr_executor *executor);
/* Leave the threads alone to their end, because one is stuck in a module; frees nothing. */
void wr_executor_abandon(wr_executor *executor);
/* Run `node` soon. It is in no executor's queue. Any thread. */
void wr_executor_enqueue(wr_executor *executor, struct wr_node *node);

#endif
