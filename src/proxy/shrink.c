/* SPDX-License-Identifier: MIT
 *
 * What the window and its origins needed for a burst of messages is given back after it
 * (ipc/lull.h). All on the loop, and told by the counters that it reads anyway: who sends does
 * nothing for it.
 */
#include "proxy/proxy_internal.h"

static uint64_t sent_by(const wr_proxy *proxy)
{
    return atomic_load_explicit(&proxy->sent, memory_order_relaxed);
}

void wr_proxy_shrink_later(wr_proxy *proxy)
{
    uint64_t acknowledged = atomic_load_explicit(&proxy->acknowledged, memory_order_relaxed);
    if (wr_lull_begin(&proxy->lull, sent_by(proxy), acknowledged)) {
        wr_timer_set(proxy->lull_timer, WR_LULL_MS);
    }
}

void wr_proxy_on_lull_timer(void *arg)
{
    wr_proxy *proxy = arg;
    uint64_t sent = sent_by(proxy);
    if (wr_lull_end(&proxy->lull, sent)) {
        wr_proxy_lock(proxy);
        bool small = wr_window_shrink(&proxy->window, proxy->channel);
        wr_origins_shrink(&proxy->origins, proxy->window.acknowledged);
        wr_proxy_unlock(proxy);
        if (small) {
            wr_lull_note_small(&proxy->lull, sent);
        }
    }
    wr_proxy_shrink_later(proxy);
}
