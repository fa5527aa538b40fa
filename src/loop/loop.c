/* SPDX-License-Identifier: MIT
 *
 * The control loop's threads and its queue of tasks (contract in loop.h).
 *
 * `wake` is the one handle that any thread may touch, by uv_async_send.
 *
 * Stepping aside: the leading thread counts a step, makes the loop vacant, and takes it back with
 * the exchange that finds it vacant; whoever's exchange finds it so leads. The one that stands by
 * looks again and again, PATIENCE_NS apart, while steps are counted, and takes the loop if it is
 * vacant and no step was counted in between. If it is not vacant and none was counted it goes to
 * sleep: it sets `asleep` before it looks for the last time whether the loop is vacant, and who
 * steps aside makes it vacant before it looks at `asleep`, so one of them sees the other
 * (tests/model/aside.pml).
 */
#include "loop/loop.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "platform/thread.h"

/* So long a vacant loop is left to the one that stepped aside: seldom enough to cost nothing, soon
 * enough for people and heartbeats. */
#define PATIENCE_NS (20 * WR_NS_PER_MS)
/* At the end a thread that is aside has so long to come back. Nothing runs that could be waited
 * for. */
#define END_PATIENCE_NS (1000 * WR_NS_PER_MS)

struct wr_loop {
    uv_loop_t uv;
    uv_async_t wake;
    wr_thread first_thread;
    wr_thread second_thread;
    wr_aside aside; /* the loop's: what to do aside; run NULL: nothing */
    wr_aside
        away; /* what is done aside: set before the loop is vacant, read by who takes it over */

    /* By the protocol above; all seq_cst. */
    atomic_uint steps;
    atomic_bool vacant;
    atomic_bool asleep;
    atomic_bool standing_by; /* somebody is there to take the loop over */

    wr_mutex lock;   /* guards all that follows */
    wr_cond changed; /* steps, ended or threads */
    wr_task *first;
    wr_task *last;
    size_t waiting;   /* tasks from first to last */
    unsigned threads; /* that have not ended */
    bool ending;
    bool ended; /* the loop is empty */
};

static wr_task *take_task(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    wr_task *task = loop->first;
    if (task != NULL) {
        loop->first = task->next;
        task->posted = false;
        loop->waiting--;
    }
    wr_mutex_unlock(&loop->lock);
    return task;
}

static size_t count_waiting(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    size_t count = loop->waiting;
    wr_mutex_unlock(&loop->lock);
    return count;
}

/* A task that was posted since the last was taken has sent a wake of its own. */
static bool is_over(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    bool over = loop->ending && loop->first == NULL;
    wr_mutex_unlock(&loop->lock);
    return over;
}

/* What is posted from here on, perhaps by these tasks themselves, runs after a look at everything
 * else. */
static void on_wake(uv_async_t *handle)
{
    wr_loop *loop = handle->data;
    for (size_t count = count_waiting(loop); count > 0; count--) {
        wr_task *task = take_task(loop);
        task->run(task);
    }
    if (is_over(loop) && !uv_is_closing((uv_handle_t *)handle)) {
        uv_close((uv_handle_t *)handle, NULL);
    }
}

/* The loop's thread steps aside. False: meanwhile another one took the loop over. */
static bool step_aside(wr_loop *loop)
{
    wr_aside away = loop->aside;
    loop->away = away;
    loop->aside.run = NULL;
    atomic_fetch_add(&loop->steps, 1);
    atomic_store(&loop->vacant, true);
    if (atomic_load(&loop->asleep)) {
        wr_mutex_lock(&loop->lock);
        wr_cond_broadcast(&loop->changed);
        wr_mutex_unlock(&loop->lock);
    }
    away.run(away.arg);
    return atomic_exchange(&loop->vacant, false);
}

/* Run the loop. True: it has ended; false: another thread runs it now. */
static bool lead(wr_loop *loop)
{
    bool more = true;
    while (more) {
        more = uv_run(&loop->uv, UV_RUN_ONCE) != 0;
        if (loop->aside.run != NULL && !step_aside(loop)) {
            return false;
        }
    }
    wr_mutex_lock(&loop->lock);
    loop->ended = true;
    wr_cond_broadcast(&loop->changed);
    wr_mutex_unlock(&loop->lock);
    return true;
}

/* Sleep until somebody steps aside or all is over. Under lock. */
static void sleep_until_step(wr_loop *loop, unsigned steps)
{
    atomic_store(&loop->asleep, true);
    while (atomic_load(&loop->steps) == steps && !atomic_load(&loop->vacant) && !loop->ended) {
        wr_cond_wait(&loop->changed, &loop->lock);
    }
    atomic_store(&loop->asleep, false);
}

/* Stand by until the loop is vacant for a while, and take it. False: all is over. */
static bool stand_by(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    bool taken = false;
    atomic_store(&loop->standing_by, true);
    while (!taken && !loop->ended) {
        unsigned steps = atomic_load(&loop->steps);
        bool waited = !wr_cond_wait_until(&loop->changed, &loop->lock, wr_clock_ns() + PATIENCE_NS);
        if (!waited || atomic_load(&loop->steps) != steps) {
            continue;
        }
        if (!atomic_load(&loop->vacant)) {
            sleep_until_step(loop, steps);
        } else {
            taken = atomic_exchange(&loop->vacant, false);
        }
    }
    atomic_store(&loop->standing_by, false);
    wr_mutex_unlock(&loop->lock);
    if (taken) {
        loop->away.taken_over(loop->away.arg);
    }
    return taken;
}

static void leave(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    loop->threads--;
    wr_cond_broadcast(&loop->changed);
    wr_mutex_unlock(&loop->lock);
}

static void run_first(void *arg)
{
    wr_loop *loop = arg;
    while (!lead(loop) && stand_by(loop)) {
    }
    leave(loop);
}

static void run_second(void *arg)
{
    wr_loop *loop = arg;
    while (stand_by(loop) && !lead(loop)) {
    }
    leave(loop);
}

bool wr_loop_step_aside(wr_loop *loop, const wr_aside *aside)
{
    if (!atomic_load(&loop->standing_by)) {
        return false;
    }
    loop->aside = *aside;
    /* libuv before 1.45 begins a turn with its timers, and would then wait for something else. */
    uv_stop(&loop->uv);
    return true;
}

static weir_err start(wr_loop *loop)
{
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        return WEIR_ERR_IO;
    }
    loop->wake.data = loop;
    loop->threads = 1;
    weir_err err = wr_thread_start(&loop->first_thread, "weir-loop", run_first, loop);
    if (err != WEIR_OK) {
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        return err;
    }
    wr_mutex_lock(&loop->lock);
    /* Without it nobody steps aside. */
    if (wr_thread_start(&loop->second_thread, "weir-standby", run_second, loop) == WEIR_OK) {
        loop->threads++;
    }
    wr_mutex_unlock(&loop->lock);
    return WEIR_OK;
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
    wr_cond_init(&loop->changed);
    weir_err err = start(loop);
    if (err != WEIR_OK) {
        uv_loop_close(&loop->uv);
        wr_cond_deinit(&loop->changed);
        wr_mutex_deinit(&loop->lock);
        free(loop);
        return err;
    }
    *out = loop;
    return WEIR_OK;
}

/* Wait until both threads have ended; false: one is stuck, aside. */
static bool wait_for_end(wr_loop *loop)
{
    wr_mutex_lock(&loop->lock);
    loop->ending = true;
    uv_async_send(&loop->wake);
    while (!loop->ended) {
        wr_cond_wait(&loop->changed, &loop->lock);
    }
    uint64_t deadline_ns = wr_clock_ns() + END_PATIENCE_NS;
    while (loop->threads > 0 && wr_cond_wait_until(&loop->changed, &loop->lock, deadline_ns)) {
    }
    bool over = loop->threads == 0;
    wr_mutex_unlock(&loop->lock);
    return over;
}

void wr_loop_destroy(wr_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (!wait_for_end(loop)) {
        wr_thread_detach(&loop->first_thread);
        wr_thread_detach(&loop->second_thread);
        return;
    }
    wr_thread_join(&loop->first_thread);
    wr_thread_join(&loop->second_thread);
    uv_loop_close(&loop->uv);
    wr_cond_deinit(&loop->changed);
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
        loop->waiting++;
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
