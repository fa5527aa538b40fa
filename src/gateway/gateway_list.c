/* SPDX-License-Identifier: MIT
 *
 * What a gateway consists of and has counted, for those who ask (contract in weir/gateway.h). None
 * of this waits for a change: it takes the list's lock and the broker's, never the gateway's.
 */
#include "gateway/gateway_internal.h"

#include <string.h>

#include "platform/clock.h"

static const char *const phase_names[] = {
    [WR_GATEWAY_CREATED] = "created",
    [WR_GATEWAY_RUNNING] = "running",
    [WR_GATEWAY_FAILED] = "failed",
    [WR_GATEWAY_STOPPED] = "stopped",
};

static const char *state_of(const weir_gateway *gateway, const wr_instance *instance)
{
    if (instance->proxy != NULL) {
        return wr_proxy_state_name(wr_proxy_get_state(instance->proxy));
    }
    return phase_names[gateway->phase];
}

static weir_module_info info_of(const weir_gateway *gateway, const wr_instance *instance)
{
    weir_module_info info = {
        .name = instance->config->name,
        .loader = instance->config->loader,
        .state = state_of(gateway, instance),
        .overruns = atomic_load(&instance->watched.overruns),
    };
    if (instance->proxy != NULL) {
        info.pid = wr_proxy_pid(instance->proxy);
        info.redelivered = wr_proxy_redelivered(instance->proxy);
        info.unacknowledged = wr_proxy_unacknowledged(instance->proxy);
        info.restarts = wr_proxy_restarts(instance->proxy);
        info.hangs = wr_proxy_hangs(instance->proxy);
    }
    return info;
}

void weir_gateway_modules(weir_gateway *gateway,
                          void (*visit)(void *user, const weir_module_info *info), void *user)
{
    wr_mutex_lock(&gateway->list);
    for (size_t i = 0; i < gateway->count; i++) {
        weir_module_info info = info_of(gateway, gateway->instances[i]);
        visit(user, &info);
    }
    wr_mutex_unlock(&gateway->list);
}

typedef struct link_visit {
    void (*visit)(void *user, const weir_link_info *info);
    void *user;
} link_visit;

static void visit_link(void *user, const wr_link *link)
{
    const link_visit *to = user;
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    weir_link_info info = {
        .source = link->source->name,
        .sink = link->sink->name,
        .accepted = counts.accepted,
        .delivered = counts.delivered,
        .dropped_full = counts.dropped_full,
        .dropped_closed = counts.dropped_closed,
        .dropped_poison = counts.dropped_poison,
        .queued = counts.queued,
        .limit = link->box.config.limit,
        .when_full = wr_when_full_words[link->box.config.when_full],
    };
    to->visit(to->user, &info);
}

void weir_gateway_links(weir_gateway *gateway,
                        void (*visit)(void *user, const weir_link_info *info), void *user)
{
    link_visit to = {visit, user};
    wr_broker_each_link(gateway->broker, visit_link, &to);
}

static void add_up_modules(weir_gateway *gateway, weir_stats *stats)
{
    wr_mutex_lock(&gateway->list);
    uint64_t started_ns = gateway->started_ns;
    stats->uptime_ms = started_ns == 0 ? 0 : (wr_clock_ns() - started_ns) / WR_NS_PER_MS;
    stats->modules = gateway->count;
    stats->redelivered = gateway->removed.redelivered;
    stats->overruns = gateway->removed.overruns;
    for (size_t i = 0; i < gateway->count; i++) {
        weir_module_info info = info_of(gateway, gateway->instances[i]);
        stats->redelivered += info.redelivered;
        stats->unacknowledged += info.unacknowledged;
        stats->overruns += info.overruns;
    }
    wr_mutex_unlock(&gateway->list);
}

static void add_up_links(weir_gateway *gateway, weir_stats *stats)
{
    wr_broker_totals totals = wr_broker_add_up(gateway->broker);
    stats->links = totals.links;
    stats->accepted = totals.counts.accepted;
    stats->delivered = totals.counts.delivered;
    stats->dropped_full = totals.counts.dropped_full;
    stats->dropped_closed = totals.counts.dropped_closed;
    stats->dropped_poison = totals.counts.dropped_poison;
    stats->queued = totals.counts.queued;
}

void weir_gateway_stats(weir_gateway *gateway, weir_stats *stats)
{
    weir_stats known = WEIR_STATS_INIT;
    known.size = stats->size < sizeof(known) ? stats->size : sizeof(known);
    add_up_modules(gateway, &known);
    add_up_links(gateway, &known);
    memcpy(stats, &known, known.size);
}
