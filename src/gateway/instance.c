/* SPDX-License-Identifier: MIT
 *
 * Instances: native modules, and the common life of all (contract in instance.h; how native ones
 * are given their messages is in instance_receive.c, what is special to remote ones in
 * instance_remote.c).
 */
#include "gateway/instance.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "gateway/instance_receive.h"
#include "gateway/instance_remote.h"
#include "platform/clock.h"

#define RETURN_MIN_MS 1000u

bool wr_instance_is_remote(const wr_module_config *config)
{
    return config->type == WR_LOADER_OUTPROCESS || config->isolated;
}

static weir_err load(wr_instance *instance, const wr_instance_host *host, wr_error *error)
{
    char *file = NULL;
    weir_err err = wr_native_find(instance->config->module_path, host->config_folder, &file, error);
    if (err == WEIR_OK) {
        err = wr_native_open(file, &instance->native, error);
    }
    free(file);
    return err;
}

/* A module that said that it blocks may: it has a thread of its own, and holds up nobody. */
static weir_err set_watch(wr_instance *instance, const wr_instance_host *host)
{
    const weir_module_api *api = instance->native.api;
    if (host->watchdog == NULL || !wr_instance_can_receive(api) ||
        (api->flags & WEIR_MODULE_BLOCKING) != 0) {
        return WEIR_OK;
    }
    return wr_watchdog_add(host->watchdog, &instance->watched, instance->config->name);
}

static weir_err create_native(wr_instance *instance, const wr_instance_host *host, wr_error *error)
{
    weir_err err = load(instance, host, error);
    if (err != WEIR_OK) {
        return err;
    }
    const weir_module_api *api = instance->native.api;
    bool blocking = (api->flags & WEIR_MODULE_BLOCKING) != 0;
    err = wr_node_create(instance->config->name, wr_broker_pool(host->broker), blocking,
                         &instance->node);
    if (err == WEIR_OK) {
        err = wr_node_set_consumer(instance->node, &wr_native_consumer, instance);
    }
    if (err == WEIR_OK) {
        err = set_watch(instance, host);
    }
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    bool outer = wr_node_enter_callback();
    err = wr_module_create(api, &instance->node->host, instance->config->args, &instance->self,
                           error);
    wr_node_leave_callback(outer);
    instance->created = err == WEIR_OK;
    return instance->created ? WEIR_OK : WEIR_ERR_MODULE; /* whatever it returned */
}

weir_err wr_instance_create(const wr_module_config *config, const wr_instance_host *host,
                            wr_instance **out, wr_error *error)
{
    wr_instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "out of memory");
    }
    instance->config = config;
    weir_err err = wr_instance_is_remote(config) ? wr_remote_create(instance, host, error)
                                                 : create_native(instance, host, error);
    if (err != WEIR_OK) {
        wr_instance_destroy(instance);
        return err;
    }
    *out = instance;
    return WEIR_OK;
}

weir_err wr_instance_start(wr_instance *instance, wr_error *error)
{
    weir_err err = WEIR_OK;
    if (instance->proxy != NULL) {
        wr_proxy_start(instance->proxy);
    } else {
        bool outer = wr_node_enter_callback();
        err = wr_module_start(instance->native.api, &instance->node->host, instance->self, error);
        wr_node_leave_callback(outer);
    }
    if (err == WEIR_OK) {
        wr_node_start(instance->node);
    }
    return err;
}

static void destroy_native(wr_instance *instance)
{
    if (!instance->created) {
        return;
    }
    instance->created = false;
    bool outer = wr_node_enter_callback();
    wr_module_destroy(instance->native.api, instance->self);
    wr_node_leave_callback(outer);
}

/* A module under load may be at work until the deadline, and at that moment, too, and those before
 * it may have taken long: it is not stuck before it had the time to return from what it has in
 * hand.
 */
static uint64_t return_deadline(uint64_t deadline_ns)
{
    uint64_t least_ns = wr_clock_ns() + RETURN_MIN_MS * WR_NS_PER_MS;
    return deadline_ns > least_ns ? deadline_ns : least_ns;
}

void wr_instance_drain(wr_instance *instance, wr_broker *broker, uint64_t deadline_ns)
{
    (void)wr_broker_drain(broker, instance->node, deadline_ns); /* the end counts what is left */
}

weir_err wr_instance_end(wr_instance *instance, wr_broker *broker, uint64_t return_ns,
                         uint64_t let_go_ns)
{
    const char *name = instance->config->name;
    uint64_t dropped = 0;
    weir_err err = wr_broker_close(broker, instance->node, return_deadline(return_ns), &dropped);
    if (err != WEIR_OK) {
        wr_log(name, WEIR_LOG_ERROR,
               "does not return from receive within the grace period; it is left as it is");
        return err;
    }
    if (dropped > 0) {
        wr_log(name, WEIR_LOG_WARN, "%llu %s still queued and dropped", (unsigned long long)dropped,
               wr_text_plural(dropped, "message was", "messages were"));
    }
    if (instance->proxy != NULL) {
        wr_proxy_stop(instance->proxy, let_go_ns);
    } else {
        destroy_native(instance);
    }
    return WEIR_OK;
}

void wr_instance_wait_let_go(wr_instance *instance)
{
    if (instance->proxy != NULL) {
        wr_proxy_wait_let_go(instance->proxy);
    }
}

weir_err wr_instance_stop(wr_instance *instance, wr_broker *broker, uint64_t deadline_ns)
{
    wr_instance_drain(instance, broker, deadline_ns);
    weir_err err = wr_instance_end(instance, broker, deadline_ns, deadline_ns);
    wr_instance_wait_let_go(instance);
    return err;
}

void wr_instance_join(wr_instance *instance)
{
    if (instance->proxy != NULL) {
        wr_proxy_join(instance->proxy);
    }
}

void wr_instance_destroy(wr_instance *instance)
{
    if (instance == NULL) {
        return;
    }
    wr_watchdog_remove(&instance->watched);
    wr_node_unref(instance->node);
    wr_native_close(&instance->native);
    wr_remote_free(instance);
    wr_config_destroy(instance->own_config);
    free(instance);
}
