/* SPDX-License-Identifier: MIT
 *
 * The control loop's thread and its queue of tasks (contract in loop.h).
 *
 * The mutex guards the queue. `wake` is the one handle that any thread may touch, by uv_async_send.
 */
#include "loop/loop.h"

#include <stdlib.h>

#include "platform/thread.h"

struct wr_loop {
    uv_loop_t uv;
    uv_async_t wake;
    wr_thread thread;
    wr_mutex lock;
    wr_task *first;
    wr_task *last;
    bool ending;
};

static wr_task *take_task(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    wr_task *task = loop->first;
    if (task != NULL) {
        loop->first = task->next;
        task->posted = false;
    }
    wr_mutex_unlock(&loop->lock);
    return task;
}

/* A task that was posted since the last was taken has sent a wake of its own. */
static bool is_over(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    bool over = loop->ending && loop->first == NULL;
    wr_mutex_unlock(&loop->lock);
    return over;
}

static void on_wake(uv_async_t *handle)
{
    wr_loop *loop = handle->data;
    wr_task *task;
    while ((task = take_task(loop)) != NULL) {
        task->run(task);
    }
    if (is_over(loop) && !uv_is_closing((uv_handle_t *)handle)) {
        uv_close((uv_handle_t *)handle, NULL);
    }
}

static void run_thread(void *arg)
{
    wr_loop *loop = arg;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static weir_err start(wr_loop *loop)
{
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        return WEIR_ERR_IO;
    }
    loop->wake.data = loop;
    weir_err err = wr_thread_start(&loop->thread, "weir-loop", run_thread, loop);
    if (err != WEIR_OK) {
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    return err;
}

weir_err wr_loop_create(wr_loop **out)
{
    wr_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return WEIR_ERR_MEMORY;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return WEIR_ERR_IO;
    }
    wr_mutex_init(&loop->lock);
    weir_err err = start(loop);
    if (err != WEIR_OK) {
        uv_loop_close(&loop->uv);
        wr_mutex_deinit(&loop->lock);
        free(loop);
        return err;
    }
    *out = loop;
    return WEIR_OK;
}

void wr_loop_destroy(wr_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    wr_mutex_lock(&loop->lock);
    loop->ending = true;
    uv_async_send(&loop->wake);
    wr_mutex_unlock(&loop->lock);
    wr_thread_join(&loop->thread);
    uv_loop_close(&loop->uv);
    wr_mutex_deinit(&loop->lock);
    free(loop);
}

void wr_loop_post(wr_loop *loop, wr_task *task)
{
    wr_mutex_lock(&loop->lock);
    if (!task->posted) {
        task->posted = true;
        task->next = NULL;
        if (loop->first == NULL) {
            loop->first = task;
        } else {
            loop->last->next = task;
        }
        loop->last = task;
        uv_async_send(&loop->wake); /* under the lock: the loop may be destroyed right after it */
    }
    wr_mutex_unlock(&loop->lock);
}

typedef struct call {
    wr_task task; /* first */
    void (*run)(void *arg);
    void *arg;
    wr_mutex lock; /* guards done */
    wr_cond returned;
    bool done;
} call;

static void run_call(wr_task *task)
{
    call *c = (call *)task;
    c->run(c->arg);
    wr_mutex_lock(&c->lock);
    c->done = true;
    wr_cond_signal(&c->returned);
    wr_mutex_unlock(&c->lock);
}

void wr_loop_call(wr_loop *loop, void (*run)(void *arg), void *arg)
{
    call c = {.task = {.run = run_call}, .run = run, .arg = arg};
    wr_mutex_init(&c.lock);
    wr_cond_init(&c.returned);
    wr_loop_post(loop, &c.task);
    wr_mutex_lock(&c.lock);
    while (!c.done) {
        wr_cond_wait(&c.returned, &c.lock);
    }
    wr_mutex_unlock(&c.lock);
    wr_cond_deinit(&c.returned);
    wr_mutex_deinit(&c.lock);
}

uv_loop_t *wr_loop_uv(wr_loop *loop)
{
    return &loop->uv;
}
