/* SPDX-License-Identifier: MIT
 *
 * The proxy's begin, start and stop (contract in proxy.h).
 */
#include "proxy/proxy.h"
#include "proxy/owned_lock.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "proxy/proxy_internal.h"

wr_proxy_state wr_proxy_get_state(const wr_proxy *proxy)
{
    return (wr_proxy_state)atomic_load(&proxy->state);
}

void wr_proxy_pass(wr_proxy *proxy, wr_proxy_event event)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool possible = wr_proxy_next_state(state, event, &state);
    assert(possible);
    (void)possible;
    atomic_store(&proxy->state, (int)state);
}

int64_t wr_proxy_pid(const wr_proxy *proxy)
{
    return atomic_load(&proxy->pid);
}

uint64_t wr_proxy_redelivered(const wr_proxy *proxy)
{
    return atomic_load(&proxy->redelivered);
}

uint64_t wr_proxy_restarts(const wr_proxy *proxy)
{
    return atomic_load(&proxy->restarts);
}

uint64_t wr_proxy_hangs(const wr_proxy *proxy)
{
    return atomic_load(&proxy->hangs);
}

static void on_begin(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, begin_task);
    wr_proxy_watch_folder(proxy);
    if (proxy->options.launch != NULL) {
        wr_proxy_launch(proxy);
    } else {
        wr_proxy_try_connect(proxy);
    }
}

static void on_start(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, start_task);
    if (!proxy->start_wanted) {
        proxy->start_wanted = true;
        wr_proxy_begin_starting_anew(proxy);
        wr_proxy_go_on(proxy);
    }
}

void wr_proxy_start(wr_proxy *proxy)
{
    wr_loop_post(proxy->loop, &proxy->start_task);
}

/* The proxy's timers: where each is, and what it calls. */
static const struct {
    size_t offset;
    void (*run)(void *proxy);
} timers[] = {
    {offsetof(wr_proxy, timer), wr_proxy_on_timer},
    {offsetof(wr_proxy, start_timer), wr_proxy_on_start_timer},
    {offsetof(wr_proxy, tell_timer), wr_proxy_tell},
    {offsetof(wr_proxy, heartbeat_timer), wr_proxy_on_heartbeat_timer},
    {offsetof(wr_proxy, lull_timer), wr_proxy_on_lull_timer},
    {offsetof(wr_proxy, log_timer), wr_proxy_on_log_timer},
};
#define TIMER_COUNT (sizeof(timers) / sizeof(timers[0]))

static wr_timer **timer_at(wr_proxy *proxy, size_t index)
{
    return (wr_timer **)(void *)((char *)proxy + timers[index].offset);
}

static void close_times(void *arg)
{
    wr_proxy *proxy = arg;
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        wr_timer **timer = timer_at(proxy, i);
        wr_timer_close(*timer);
        *timer = NULL;
    }
    wr_watch_close(proxy->alarm_watch);
    wr_alarm_close(proxy->alarm);
    proxy->alarm_watch = NULL;
    proxy->alarm = NULL;
}

/* A step of the stop is done: `let_go` or `stopped`. */
static void say_done(wr_proxy *proxy, bool *step)
{
    wr_mutex_lock(&proxy->stop_lock);
    *step = true;
    wr_cond_signal(&proxy->stop_done);
    wr_mutex_unlock(&proxy->stop_lock);
}

static void wait_for(wr_proxy *proxy, const bool *step)
{
    wr_mutex_lock(&proxy->stop_lock);
    while (!*step) {
        wr_cond_wait(&proxy->stop_done, &proxy->stop_lock);
    }
    wr_mutex_unlock(&proxy->stop_lock);
}

static void finish_stop(wr_proxy *proxy)
{
    uint64_t lost = wr_proxy_unacknowledged(proxy);
    if (lost > 0) {
        wr_log(proxy->node->name, WEIR_LOG_WARN,
               "%llu %s sent and not acknowledged: whether %s arrived is not known",
               (unsigned long long)lost, wr_text_plural(lost, "message was", "messages were"),
               wr_text_plural(lost, "it", "they"));
    }
    wr_log_limit_end(&proxy->log_limit, proxy->node->name);
    close_times(proxy);
    wr_proxy_unwatch_folder(proxy);
    wr_proxy_pass(proxy, WR_PROXY_EVENT_OVER);
    say_done(proxy, &proxy->stopped);
}

/* Write what is on its way, then destroy; what was written before that the remote module is still
 * to process. */
static void send_destroy(wr_proxy *proxy)
{
    if (!wr_proxy_flush(proxy)) {
        return; /* until the socket can be written */
    }
    if (proxy->channel != NULL && wr_proxy_waiting(proxy) > 0) {
        return; /* until an acknowledgement makes room */
    }
    proxy->destroy_sent =
        wr_proxy_send_control(proxy, &(wr_control_message){.type = WR_CONTROL_DESTROY});
    if (!proxy->destroy_sent || proxy->channel == NULL) {
        wr_proxy_disconnect(proxy);
    }
}

void wr_proxy_continue_stop(wr_proxy *proxy)
{
    if (proxy->control != NULL && !proxy->destroy_sent) {
        send_destroy(proxy);
    }
    if (proxy->control != NULL) {
        return; /* until it lets go, which takes as long as what it was given, or time is over */
    }
    say_done(proxy, &proxy->let_go);
    if (proxy->supervisor != NULL) {
        wr_proxy_end_process(proxy, proxy->destroy_sent);
    } else if (!proxy->setting_aside) {
        finish_stop(proxy);
    }
}

static uint64_t left_ms(uint64_t deadline_ns)
{
    uint64_t now = wr_clock_ns();
    return now >= deadline_ns ? 0 : (deadline_ns - now) / WR_NS_PER_MS + 1;
}

static void on_stop(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, stop_task);
    wr_proxy_pass(proxy, WR_PROXY_EVENT_STOP);
    wr_proxy_end_starting(proxy); /* from now on there is the deadline */
    wr_proxy_end_heartbeat(proxy);
    wr_timer_set(proxy->timer, left_ms(proxy->stop_deadline_ns));
    wr_proxy_trust(proxy); /* there is no time for anything else */
    wr_proxy_continue_stop(proxy);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

void wr_proxy_stop(wr_proxy *proxy, uint64_t deadline_ns)
{
    proxy->stop_deadline_ns = deadline_ns;
    proxy->stop_begun = true;
    wr_loop_post(proxy->loop, &proxy->stop_task);
}

void wr_proxy_wait_let_go(wr_proxy *proxy)
{
    if (proxy->stop_begun) {
        wait_for(proxy, &proxy->let_go);
    }
}

void wr_proxy_join(wr_proxy *proxy)
{
    if (!proxy->stop_begun) {
        return; /* its node could not be closed, and will not be freed */
    }
    wait_for(proxy, &proxy->stopped);
    wr_loop_call(proxy->loop, do_nothing, NULL); /* the callback that said so has returned */
}

static void destroy(wr_proxy *proxy)
{
    wr_proxy_forget_message_path(proxy);
    wr_restart_deinit(&proxy->restart);
    wr_window_deinit(&proxy->window);
    wr_origins_deinit(&proxy->origins);
    wr_cond_deinit(&proxy->stop_done);
    wr_mutex_deinit(&proxy->stop_lock);
    wr_owned_lock_deinit(&proxy->tx_lock);
    free(proxy);
}

static void on_free(wr_task *task)
{
    destroy(WR_PROXY_OF(task, free_task));
}

/* The timers and the alarm; on failure none. */
static void open_times(void *arg)
{
    wr_proxy *proxy = arg;
    weir_err err = WEIR_OK;
    for (size_t i = 0; i < TIMER_COUNT && err == WEIR_OK; i++) {
        err = wr_timer_open(proxy->loop, timers[i].run, proxy, timer_at(proxy, i));
    }
    if (err == WEIR_OK) {
        err = wr_alarm_open(&proxy->alarm);
    }
    if (err == WEIR_OK) {
        err = wr_watch_open(proxy->loop, wr_alarm_waitable(proxy->alarm), wr_proxy_on_alarm, proxy,
                            &proxy->alarm_watch);
    }
    if (err != WEIR_OK) {
        close_times(proxy);
        return;
    }
    wr_watch_set(proxy->alarm_watch, WR_POLL_READ);
}

weir_err wr_proxy_create(wr_node *node, wr_loop *loop, const wr_proxy_options *options,
                         wr_proxy **out)
{
    wr_proxy *proxy = calloc(1, sizeof(*proxy));
    if (proxy == NULL) {
        return WEIR_ERR_MEMORY;
    }
    proxy->options = *options;
    proxy->node = node;
    proxy->loop = loop;
    proxy->retry_ms = 1;
    proxy->send_end = UINT64_MAX;
    wr_poison_init(&proxy->poison, options->restart.poison_deaths);
    wr_random_fill(&proxy->session, sizeof(proxy->session));
    proxy->begin_task.run = on_begin;
    proxy->start_task.run = on_start;
    proxy->stop_task.run = on_stop;
    proxy->restart_task.run = wr_proxy_on_restart_task;
    proxy->free_task.run = on_free;
    proxy->write_task.run = wr_proxy_on_write_task;
    proxy->read_task.run = wr_proxy_on_read_task;
    proxy->control_task.run = wr_proxy_on_control_task;
    wr_owned_lock_init(&proxy->tx_lock);
    wr_mutex_init(&proxy->stop_lock);
    wr_cond_init(&proxy->stop_done);
    wr_loop_call(loop, open_times, proxy);
    if (proxy->timer == NULL ||
        wr_restart_init(&proxy->restart, &proxy->options.restart) != WEIR_OK ||
        wr_node_set_consumer(node, &wr_proxy_consumer, proxy) != WEIR_OK) {
        wr_loop_call(loop, close_times, proxy);
        destroy(proxy);
        return WEIR_ERR_MEMORY;
    }
    wr_node_pause(node);
    wr_node_set_absent(node, true);
    wr_loop_post(loop, &proxy->begin_task);
    *out = proxy;
    return WEIR_OK;
}
