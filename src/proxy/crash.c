/* SPDX-License-Identifier: MIT
 *
 * What a crash report needs to know, gathered from a proxy (contract in crash.h).
 */
#include "proxy/crash.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/crash_report.h"
#include "proxy/proxy_internal.h"

typedef struct given_list {
    wr_window_given *entries;
    size_t count;
} given_list;

/* The window when it has learnt what is acknowledged. As nothing can be sent without a channel,
 * nobody but the loop changes it then; so no publisher has to wait while thousands of messages are
 * copied. */
static const wr_window *get_window(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    assert(proxy->channel == NULL);
    wr_proxy_unlock(proxy);
    return &proxy->window;
}

/* False: out of memory. */
static bool get_given(wr_proxy *proxy, given_list *given)
{
    const wr_window *window = get_window(proxy);
    given->count = wr_window_given_count(window);
    given->entries = calloc(given->count + 1, sizeof(*given->entries));
    bool got = given->entries != NULL && wr_window_get_given(window, given->entries) == WEIR_OK;
    if (!got) {
        free(given->entries);
    }
    return got;
}

static void free_given(given_list *given)
{
    for (size_t i = 0; i < given->count; i++) {
        weir_message_unref(given->entries[i].msg);
    }
    free(given->entries);
}

/* Without the messages. */
static wr_crash_report describe(wr_proxy *proxy, const wr_proxy_end *end)
{
    wr_crash_report report = {
        .settings = proxy->options.crash,
        .module = proxy->node->name,
        .control_path = proxy->options.control_path,
        .launch = proxy->options.launch,
        .message_limit = proxy->options.message_limit,
        .pid = wr_proxy_pid(proxy),
        .exit = end->exit,
        .reason = end->reason,
        .hung_ms = end->hung_ms,
        .restarts = wr_proxy_restarts(proxy),
        .lines = end->lines,
        .acknowledges = (proxy->features & WR_FEATURE_ACKNOWLEDGE) != 0,
        .publishes = wr_node_has_sinks(proxy->node),
    };
    weir_time_now(report.time);
    return report;
}

void wr_proxy_report_crash(wr_proxy *proxy, const wr_proxy_end *end)
{
    given_list given = {NULL, 0};
    if (proxy->options.crash == NULL) {
        return;
    }
    if (!get_given(proxy, &given)) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR, "no crash report: out of memory");
        return;
    }
    wr_crash_report report = describe(proxy, end);
    report.messages = given.entries;
    report.message_count = given.count;
    (void)wr_crash_report_start(proxy->loop, &report); /* it has said why not */
    free_given(&given);
}

bool wr_proxy_report_poison(wr_proxy *proxy, const wr_proxy_end *end, uint64_t number,
                            void (*on_done)(void *arg, const char *folder))
{
    given_list given = {NULL, 0};
    wr_crash_report report = describe(proxy, end);
    bool started = false;
    if (!get_given(proxy, &given)) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR,
               "a message that it dies of cannot be set aside, and comes again: out of memory");
        return false;
    }
    report.poison_deaths = proxy->poison.deaths;
    report.on_done = on_done;
    report.arg = proxy;
    report.message_count = 1;
    for (size_t i = 0; i < given.count; i++) {
        if (given.entries[i].number == number) {
            report.messages = &given.entries[i];
            started = wr_crash_report_start(proxy->loop, &report);
        }
    }
    free_given(&given);
    return started;
}
