/* SPDX-License-Identifier: MIT
 *
 * How many log lines about a remote module were left out (base/log_limit.h). All on the loop.
 */
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

void wr_proxy_count_soon(wr_proxy *proxy)
{
    if (proxy->log_limit.left_out > 0 && !proxy->log_soon) {
        proxy->log_soon = true;
        wr_timer_set(proxy->log_timer, WR_LOG_LIMIT_TELL_MS);
    }
}

void wr_proxy_on_log_timer(void *arg)
{
    wr_proxy *proxy = arg;
    proxy->log_soon = false;
    wr_log_limit_tell(&proxy->log_limit, wr_clock_ns(), proxy->node->name);
    wr_proxy_count_soon(proxy);
}
