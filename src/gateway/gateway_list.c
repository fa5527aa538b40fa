/* SPDX-License-Identifier: MIT
 *
 * What a gateway consists of, for those who ask (contract in weir/gateway.h).
 */
#include "gateway/gateway_internal.h"

static const char *state_of(const weir_gateway *gateway, const wr_instance *instance)
{
    if (instance->proxy != NULL) {
        return wr_proxy_state_name(wr_proxy_get_state(instance->proxy));
    }
    if (gateway->stopped) {
        return "stopped";
    }
    return gateway->started ? "running" : "created";
}

void weir_gateway_modules(weir_gateway *gateway,
                          void (*visit)(void *user, const weir_module_info *info), void *user)
{
    wr_mutex_lock(&gateway->lock);
    for (size_t i = 0; i < gateway->count; i++) {
        const wr_instance *instance = gateway->instances[i];
        weir_module_info info = {
            .name = instance->config->name,
            .loader = instance->config->loader,
            .state = state_of(gateway, instance),
            .pid = instance->proxy == NULL ? 0 : wr_proxy_pid(instance->proxy),
        };
        visit(user, &info);
    }
    wr_mutex_unlock(&gateway->lock);
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
        .queued = counts.queued,
    };
    to->visit(to->user, &info);
}

void weir_gateway_links(weir_gateway *gateway,
                        void (*visit)(void *user, const weir_link_info *info), void *user)
{
    link_visit to = {visit, user};
    wr_mutex_lock(&gateway->lock);
    wr_broker_each_link(gateway->broker, visit_link, &to);
    wr_mutex_unlock(&gateway->lock);
}
