/* SPDX-License-Identifier: MIT
 *
 * A launched module that dies again and again with the same messages in its hands: it is given them
 * carefully, and the one that it dies of is set aside (the rule: poison.h). All on the loop.
 *
 * In a careful life nothing is sent until the module has lived for a while after its start. Until
 * all suspects are acknowledged the node's mailboxes wait.
 */
#include <assert.h>

#include "base/log.h"
#include "broker/broker.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* Under tx_lock. */
static void trust(wr_proxy *proxy)
{
    proxy->settling = false;
    proxy->send_end = UINT64_MAX;
}

void wr_proxy_trust(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    trust(proxy);
    wr_proxy_unlock(proxy);
}

void wr_proxy_hold_back(wr_proxy *proxy, bool acknowledged)
{
    if (!acknowledged || proxy->window.acknowledged >= proxy->poison.end) {
        wr_poison_clear(&proxy->poison);
    }
    trust(proxy);
    if (wr_poison_is_careful(&proxy->poison)) {
        proxy->settling = true;
        proxy->quiet_over = false;
        proxy->send_end = proxy->window.next;
        proxy->written = proxy->window.next;
    }
}

void wr_proxy_begin_carefully(wr_proxy *proxy)
{
    const wr_poison *poison = &proxy->poison;
    if (!proxy->settling) {
        return;
    }
    wr_proxy_log(proxy, WEIR_LOG_WARN,
                 "the module has died %u times with the same messages in its hands (%llu now): it "
                 "lives without any for %u ms first, and is then given %llu at a time",
                 poison->deaths, (unsigned long long)(poison->end - poison->first),
                 poison->quiet_ms, (unsigned long long)poison->portion);
    wr_timer_set(proxy->timer, poison->quiet_ms);
}

/* All that was sent is acknowledged. True: so are all suspects. Under tx_lock. */
static bool let_portion_go(wr_proxy *proxy)
{
    if (proxy->window.acknowledged < proxy->poison.end) {
        proxy->send_end = wr_poison_portion_end(&proxy->poison, proxy->window.next);
        return false;
    }
    wr_poison_clear(&proxy->poison);
    trust(proxy);
    return true;
}

bool wr_proxy_on_progress(wr_proxy *proxy)
{
    return proxy->send_end != UINT64_MAX && !proxy->settling &&
           proxy->window.acknowledged >= proxy->send_end && let_portion_go(proxy);
}

bool wr_proxy_on_drop(wr_proxy *proxy, uint64_t number)
{
    wr_poison_drop(&proxy->poison, number);
    if (proxy->send_end != UINT64_MAX && proxy->send_end > number) {
        proxy->send_end--;
    }
    return wr_proxy_on_progress(proxy);
}

void wr_proxy_log_careful_end(const wr_proxy *proxy)
{
    wr_log(proxy->node->name, WEIR_LOG_INFO,
           "the module has done with all the messages that it had died with; it is given what "
           "comes as always");
}

void wr_proxy_hold_all(wr_proxy *proxy)
{
    proxy->settling = wr_poison_is_careful(&proxy->poison);
}

void wr_proxy_go_on_carefully(wr_proxy *proxy)
{
    if (!proxy->settling || !proxy->quiet_over || proxy->beat_asked ||
        wr_proxy_get_state(proxy) != WR_PROXY_RUNNING) {
        return;
    }
    wr_proxy_lock(proxy);
    proxy->settling = false;
    bool over = let_portion_go(proxy);
    wr_proxy_unlock(proxy);
    if (over) {
        wr_proxy_log_careful_end(proxy);
    }
    if (wr_proxy_flush(proxy)) {
        wr_node_ready(proxy->node);
    }
}

void wr_proxy_on_quiet_over(wr_proxy *proxy)
{
    proxy->quiet_over = true;
    wr_proxy_go_on_carefully(proxy);
}

/* Give up the first message that is not acknowledged. Nothing is sent on any connection. */
static void drop_first(wr_proxy *proxy, uint64_t link)
{
    wr_proxy_lock(proxy);
    assert(proxy->channel == NULL);
    wr_proxy_rewind_window(proxy, proxy->window.keep);
    assert(proxy->window.next == proxy->poison.first);
    wr_origins_drop(&proxy->origins, proxy->window.next);
    wr_window_drop(&proxy->window);
    wr_proxy_unlock(proxy);
    wr_broker_count_late(proxy->options.broker, link, WR_LATE_POISON);
}

static uint64_t origin_of(wr_proxy *proxy, uint64_t number)
{
    wr_proxy_lock(proxy);
    uint64_t link = wr_origins_find(&proxy->origins, number);
    wr_proxy_unlock(proxy);
    return link;
}

static const char *what_comes_next(const wr_proxy *proxy)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    if (state == WR_PROXY_STOPPING) {
        return "the module is being stopped";
    }
    if (state == WR_PROXY_FAILED && !wr_proxy_may_launch_again(proxy)) {
        return "the module goes on with the next when it is started again";
    }
    return "the module goes on with the next";
}

/* The death that showed it was counted before the message was in a file: it may have been one too
 * many. */
static void give_up_poison(wr_proxy *proxy, const char *folder)
{
    uint32_t deaths = proxy->poison.deaths;
    drop_first(proxy, origin_of(proxy, proxy->poison.first));
    wr_poison_set_aside(&proxy->poison);
    wr_restart_forgive(&proxy->restart); /* the module is not to blame */
    wr_log(proxy->node->name, WEIR_LOG_ERROR,
           "set aside a message that the module has died of %u times: %s; %s (to give it the "
           "message again: weir run replay.json, in that folder)",
           deaths, folder, what_comes_next(proxy));
    if (wr_proxy_may_launch_again(proxy)) {
        wr_proxy_launch_again(proxy);
    }
}

static void on_set_aside(void *arg, const char *folder)
{
    wr_proxy *proxy = arg;
    proxy->setting_aside = false;
    if (folder != NULL) {
        give_up_poison(proxy, folder);
    }
    if (wr_proxy_get_state(proxy) == WR_PROXY_STOPPING) {
        wr_proxy_continue_stop(proxy);
    }
}

/* The message is in a file before it is given up, and until then nobody is given it. */
static void set_aside(wr_proxy *proxy, const wr_proxy_end *end)
{
    uint64_t number = proxy->poison.first;
    if (origin_of(proxy, number) == 0) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR,
               "a message that it dies of cannot be set aside, and comes again: there was no "
               "memory to note where it came from");
        return;
    }
    proxy->setting_aside = wr_proxy_report_poison(proxy, end, number, on_set_aside);
}

static uint64_t silent_ms(const wr_proxy *proxy)
{
    uint64_t since = proxy->running_since_ns;
    if (proxy->heard_ns > since) {
        since = proxy->heard_ns;
    }
    return (wr_clock_ns() - since) / WR_NS_PER_MS;
}

static wr_poison_death describe(wr_proxy *proxy)
{
    wr_poison_death death = {.first = 0};
    if (proxy->running_since_ns == 0) {
        return death; /* it was not given anything */
    }
    wr_proxy_lock(proxy);
    death.first = proxy->window.acknowledged;
    death.end = proxy->window.next;
    if (proxy->send_end != UINT64_MAX && proxy->written < death.end) {
        /* It was gone before these reached it. */
        death.end = proxy->written > death.first ? proxy->written : death.first;
    }
    wr_proxy_unlock(proxy);
    death.silent_ms = silent_ms(proxy);
    return death;
}

void wr_proxy_look_for_poison(wr_proxy *proxy, const wr_proxy_end *end)
{
    bool killed = end->hung_ms == 0 && wr_process_was_killed(end->exit);
    if (killed || proxy->options.crash == NULL || proxy->setting_aside ||
        (proxy->features & WR_FEATURE_ACKNOWLEDGE) == 0) {
        return;
    }
    wr_poison_death death = describe(proxy);
    switch (wr_poison_note_death(&proxy->poison, &death)) {
    case WR_POISON_NONE:
        break;
    case WR_POISON_FOUND:
        set_aside(proxy, end);
        break;
    case WR_POISON_UNPROVEN:
        wr_log(proxy->node->name, WEIR_LOG_WARN,
               "the module has died of the same message %u times, but has not shown that it can "
               "do with any other: the message is not set aside",
               proxy->poison.deaths);
        break;
    }
}
