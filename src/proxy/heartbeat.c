/* SPDX-License-Identifier: MIT
 *
 * Heartbeats (what they are: heartbeat.h). All on the loop.
 *
 * Every control message is a sign of life: the thread that runs receive sends them. At most one
 * heartbeat is unanswered at a time, so that a remote that reads nothing costs no memory.
 */
#include "base/log.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

static uint64_t ms_of(uint64_t ns)
{
    return ns / WR_NS_PER_MS;
}

void wr_proxy_ask_heartbeat(wr_proxy *proxy)
{
    proxy->beat_asked = true;
    (void)wr_proxy_send_control(
        proxy, &(wr_control_message){.type = WR_CONTROL_HEARTBEAT, .count = ++proxy->beat_number});
}

static void hang(wr_proxy *proxy, uint64_t silent_ms)
{
    proxy->silent = true;
    atomic_fetch_add(&proxy->hangs, 1);
    if (proxy->supervisor == NULL) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR,
               "hangs: no sign of life for %llu ms; its process was not started by this gateway "
               "and is left alone",
               (unsigned long long)silent_ms);
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_ERROR, "hangs: no sign of life of process %lld for %llu ms",
           (long long)wr_proxy_pid(proxy), (unsigned long long)silent_ms);
    wr_proxy_give_up_hung(proxy, silent_ms);
}

/* The gateway itself did not run for a while (stopped, or the machine slept): nobody could have
 * been heard. */
static bool was_away(const wr_proxy *proxy, uint64_t now)
{
    const wr_heartbeat_config *config = &proxy->options.heartbeat;
    uint64_t late_ms = ms_of(now - proxy->tick_ns);
    return late_ms >= config->interval_ms + config->timeout_ms / 4;
}

static void set_timer(wr_proxy *proxy, uint64_t now)
{
    const wr_heartbeat_config *config = &proxy->options.heartbeat;
    uint64_t silent_ms = ms_of(now - proxy->heard_ns);
    uint64_t next_ms = config->interval_ms;
    if (proxy->beat_asked && !proxy->silent && silent_ms < config->timeout_ms &&
        silent_ms + next_ms > config->timeout_ms) {
        next_ms = config->timeout_ms - silent_ms;
    }
    proxy->tick_ns = now;
    wr_timer_set(proxy->heartbeat_timer, next_ms);
}

void wr_proxy_on_heartbeat_timer(void *arg)
{
    wr_proxy *proxy = arg;
    uint64_t now = wr_clock_ns();
    if (was_away(proxy, now)) {
        proxy->heard_ns = now;
    }
    uint64_t silent_ms = ms_of(now - proxy->heard_ns);
    if (proxy->beat_asked && !proxy->silent && silent_ms >= proxy->options.heartbeat.timeout_ms) {
        hang(proxy, silent_ms);
    } else if (!proxy->beat_asked && silent_ms + 1 >= proxy->options.heartbeat.interval_ms) {
        wr_proxy_ask_heartbeat(proxy);
    }
    if (wr_proxy_get_state(proxy) == WR_PROXY_RUNNING) {
        set_timer(proxy, now);
    }
}

/* A module whose receive may block is silent meanwhile; how long is too long, only who knows it can
 * say. */
static bool is_watched(const wr_proxy *proxy)
{
    const wr_heartbeat_config *config = &proxy->options.heartbeat;
    bool blocks = (proxy->features & WR_FEATURE_BLOCKING) != 0;
    return (proxy->features & WR_FEATURE_HEARTBEAT) != 0 && config->interval_ms > 0 &&
           (!blocks || config->timeout_said);
}

void wr_proxy_begin_heartbeat(wr_proxy *proxy)
{
    proxy->beat_asked = false;
    proxy->silent = false;
    if (is_watched(proxy)) {
        proxy->heard_ns = wr_clock_ns();
        set_timer(proxy, proxy->heard_ns);
    }
}

void wr_proxy_end_heartbeat(wr_proxy *proxy)
{
    wr_timer_clear(proxy->heartbeat_timer);
}

void wr_proxy_heard(wr_proxy *proxy)
{
    uint64_t now = wr_clock_ns();
    if (proxy->silent && wr_proxy_get_state(proxy) == WR_PROXY_RUNNING) {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "is back after %llu ms without a sign of life",
                     (unsigned long long)ms_of(now - proxy->heard_ns));
        proxy->silent = false;
    }
    proxy->heard_ns = now;
}

void wr_proxy_on_heartbeat_reply(wr_proxy *proxy, uint64_t number)
{
    if (number != proxy->beat_number) {
        return;
    }
    proxy->beat_asked = false;
    if (proxy->starting && wr_proxy_get_state(proxy) == WR_PROXY_RUNNING) {
        wr_proxy_enter_service(proxy);
    }
    wr_proxy_go_on_carefully(proxy);
}
