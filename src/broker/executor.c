/* SPDX-License-Identifier: MIT
 *
 * Executor: a queue of nodes and the threads that run them (contract in executor.h).
 *
 * The mutex guards the queue, `idle` and `ending`. No node runs under it. tests/model/executor.pml
 * proves for small cases that no node waits while a thread sleeps.
 */
#include "broker/executor.h"

#include <stdlib.h>

#include "broker/node.h"
#include "platform/thread.h"

struct wr_executor {
    wr_mutex lock;
    wr_cond work;
    wr_node *first;
    wr_node *last;
    unsigned idle;
    bool ending;
    unsigned thread_count; /* threads that were started; the creating thread */
    wr_thread threads[];
};

/* The next node, or NULL at the end. */
static wr_node *take_node(wr_executor *executor)
{
    wr_mutex_lock(&executor->lock);
    while (executor->first == NULL && !executor->ending) {
        executor->idle++;
        wr_cond_wait(&executor->work, &executor->lock);
        executor->idle--;
    }
    wr_node *node = executor->ending ? NULL : executor->first;
    if (node != NULL) {
        executor->first = node->next_queued;
    }
    wr_mutex_unlock(&executor->lock);
    return node;
}

static void run_thread(void *arg)
{
    wr_executor *executor = arg;
    (void)wr_node_enter_callback();
    wr_node *node;
    while ((node = take_node(executor)) != NULL) {
        wr_node_run(node);
    }
}

weir_err wr_executor_create(unsigned threads, const char *name, wr_executor **out)
{
    wr_executor *executor = calloc(1, sizeof(*executor) + threads * sizeof(executor->threads[0]));
    if (executor == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&executor->lock);
    wr_cond_init(&executor->work);
    for (unsigned i = 0; i < threads; i++) {
        weir_err err = wr_thread_start(&executor->threads[i], name, run_thread, executor);
        if (err != WEIR_OK) {
            wr_executor_destroy(executor);
            return err;
        }
        executor->thread_count++;
    }
    *out = executor;
    return WEIR_OK;
}

static void end(wr_executor *executor)
{
    wr_mutex_lock(&executor->lock);
    executor->ending = true;
    wr_cond_broadcast(&executor->work);
    wr_mutex_unlock(&executor->lock);
}

void wr_executor_destroy(wr_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    end(executor);
    for (unsigned i = 0; i < executor->thread_count; i++) {
        wr_thread_join(&executor->threads[i]);
    }
    wr_cond_deinit(&executor->work);
    wr_mutex_deinit(&executor->lock);
    free(executor);
}

void wr_executor_abandon(wr_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    end(executor);
    for (unsigned i = 0; i < executor->thread_count; i++) {
        wr_thread_detach(&executor->threads[i]);
    }
}

void wr_executor_enqueue(wr_executor *executor, wr_node *node)
{
    wr_mutex_lock(&executor->lock);
    node->next_queued = NULL;
    if (executor->first == NULL) {
        executor->first = node;
    } else {
        executor->last->next_queued = node;
    }
    executor->last = node;
    if (executor->idle > 0) {
        wr_cond_signal(&executor->work); /* under the lock: the executor may end right after it */
    }
    wr_mutex_unlock(&executor->lock);
}
