/* SPDX-License-Identifier: MIT
 *
 * The time that a remote module has to get into service: a launched one from its launch, or from
 * the end of its last connection; another one from create. It is in service when its start has
 * returned, which the answer to the first heartbeat says, as that is asked right behind start; of
 * old peers, when the message channel stands. All on the loop.
 */
#include "base/log.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* A timer that is this much over its time has not been held up by a busy machine only. */
#define AWAY_MIN_MS 1000u

static uint32_t limit_ms(const wr_proxy *proxy)
{
    return proxy->options.heartbeat.start_timeout_ms;
}

static void set_timer(wr_proxy *proxy)
{
    if (limit_ms(proxy) > 0) {
        proxy->start_due_ns = wr_clock_ns() + limit_ms(proxy) * WR_NS_PER_MS;
        wr_timer_set(proxy->start_timer, limit_ms(proxy));
    }
}

void wr_proxy_begin_starting(wr_proxy *proxy)
{
    if (!proxy->starting) {
        proxy->starting = true;
        set_timer(proxy);
    }
}

void wr_proxy_begin_starting_anew(wr_proxy *proxy)
{
    if (proxy->starting) {
        set_timer(proxy);
    }
}

void wr_proxy_end_starting(wr_proxy *proxy)
{
    proxy->starting = false;
    wr_timer_clear(proxy->start_timer);
}

void wr_proxy_enter_service(wr_proxy *proxy)
{
    wr_proxy_end_starting(proxy);
    wr_proxy_begin_heartbeat(proxy);
}

void wr_proxy_leave_service(wr_proxy *proxy)
{
    if (proxy->supervisor != NULL) {
        wr_proxy_begin_starting(proxy);
    } else {
        wr_proxy_end_starting(proxy); /* who knows when somebody comes */
    }
}

/* What it is late with. */
static const char *what_is_awaited(wr_proxy_state state)
{
    switch (state) {
    case WR_PROXY_WAITING:
        return "it does not listen at its control id";
    case WR_PROXY_CONNECTING:
        return "it has sent no greeting";
    case WR_PROXY_CREATING:
        return "its create has not returned";
    case WR_PROXY_RUNNING:
        return "its start has not returned";
    default:
        return "its message channel does not stand";
    }
}

/* Not where the gateway itself did not run for a while (stopped, say): then it could not be heard.
 * The timer may come a millisecond early. */
static bool is_late(const wr_proxy *proxy)
{
    uint64_t now = wr_clock_ns();
    uint64_t over_ns = now > proxy->start_due_ns ? now - proxy->start_due_ns : 0;
    uint32_t most_ms = limit_ms(proxy) / 4;
    return over_ns < (most_ms > AWAY_MIN_MS ? most_ms : AWAY_MIN_MS) * WR_NS_PER_MS;
}

void wr_proxy_on_start_timer(void *arg)
{
    wr_proxy *proxy = arg;
    wr_proxy_state state = wr_proxy_get_state(proxy);
    if (state == WR_PROXY_ATTACHING && !proxy->start_wanted) {
        return; /* it waits for us: time runs anew when all links exist */
    }
    if (!is_late(proxy)) {
        set_timer(proxy);
        return;
    }
    atomic_fetch_add(&proxy->hangs, 1);
    if (proxy->supervisor == NULL) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR,
               "hangs: %s after %u ms; its process was not started by this gateway and is left "
               "alone",
               what_is_awaited(state), limit_ms(proxy));
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_ERROR,
           "hangs: %s after %u ms, so process %lld is ended; if it needs longer, see "
           "\"start.timeout.ms\"",
           what_is_awaited(state), limit_ms(proxy), (long long)wr_proxy_pid(proxy));
    wr_proxy_give_up_hung(proxy, limit_ms(proxy));
}
