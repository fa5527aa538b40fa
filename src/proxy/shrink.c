/* SPDX-License-Identifier: MIT
 *
 * What the window needed for a burst of messages is given back when only a few have come for a
 * while. All on the loop, and told by the counters that it reads anyway: who sends does nothing for
 * it.
 */
#include "proxy/proxy_internal.h"

#define WHILE_MS 1000u
/* So many messages need no larger window than a new one is. */
#define FEW 64u

void wr_proxy_shrink_later(wr_proxy *proxy)
{
    uint64_t sent = atomic_load_explicit(&proxy->sent, memory_order_relaxed);
    bool all = atomic_load_explicit(&proxy->acknowledged, memory_order_relaxed) >= sent;
    if (!all || proxy->shrink_soon || sent - proxy->shrunk_at <= FEW) {
        return;
    }
    proxy->shrink_soon = true;
    proxy->shrink_from = sent;
    wr_timer_set(proxy->shrink_timer, WHILE_MS);
}

/* The while is over. Should more have come than a few, the next one begins when all of them are
 * acknowledged. */
static void on_shrink_timer(void *arg)
{
    wr_proxy *proxy = arg;
    uint64_t sent = atomic_load_explicit(&proxy->sent, memory_order_relaxed);
    proxy->shrink_soon = false;
    if (sent - proxy->shrink_from <= FEW) {
        wr_proxy_lock(proxy);
        bool shrunk = wr_window_shrink(&proxy->window, proxy->channel);
        wr_proxy_unlock(proxy);
        proxy->shrunk_at = shrunk ? sent : proxy->shrunk_at;
    }
    wr_proxy_shrink_later(proxy);
}

weir_err wr_proxy_open_shrink(wr_proxy *proxy)
{
    return wr_timer_open(proxy->loop, on_shrink_timer, proxy, &proxy->shrink_timer);
}
