/* SPDX-License-Identifier: MIT
 *
 * The gateway's modules and links: adding, starting and removing them, as a file is read and at run
 * time (contract in weir/gateway.h).
 */
#include "gateway/gateway_internal.h"

#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"

wr_instance *wr_gateway_find(const weir_gateway *gateway, const char *name)
{
    json_t *place = json_object_get(gateway->index, name);
    return place == NULL ? NULL : gateway->instances[json_integer_value(place)];
}

static weir_err need_loop(weir_gateway *gateway, wr_error *error)
{
    if (gateway->folder == NULL) {
        weir_err err = wr_run_folder_open(&gateway->folder, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    if (gateway->loop == NULL) {
        weir_err err = wr_loop_create(&gateway->loop);
        if (err != WEIR_OK) {
            return wr_error_set(error, err, "cannot start the control loop: %s",
                                weir_err_text(err));
        }
    }
    return WEIR_OK;
}

static weir_err grow_instances(weir_gateway *gateway)
{
    if (gateway->count < gateway->capacity) {
        return WEIR_OK;
    }
    size_t capacity = gateway->capacity == 0 ? 8 : 2 * gateway->capacity;
    wr_mutex_lock(&gateway->list);
    wr_instance **instances = realloc(gateway->instances, capacity * sizeof(wr_instance *));
    gateway->instances = instances != NULL ? instances : gateway->instances;
    wr_mutex_unlock(&gateway->list);
    if (instances == NULL) {
        return WEIR_ERR_MEMORY;
    }
    gateway->capacity = capacity;
    return WEIR_OK;
}

/* A place at the end, under this name. Before the instance is made: it could not be unmade unseen.
 */
static weir_err reserve_instance(weir_gateway *gateway, const char *name)
{
    weir_err err = grow_instances(gateway);
    if (err == WEIR_OK &&
        json_object_set_new(gateway->index, name, json_integer((json_int_t)gateway->count)) != 0) {
        err = WEIR_ERR_MEMORY;
    }
    return err;
}

static weir_err create_instance(weir_gateway *gateway, const wr_module_config *config,
                                const char *folder, wr_instance **out, wr_error *error)
{
    if (wr_instance_is_remote(config)) {
        weir_err err = need_loop(gateway, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    wr_instance_host host = {
        .broker = gateway->broker,
        .loop = gateway->loop,
        .folder = gateway->folder == NULL ? NULL : wr_run_folder_path(gateway->folder),
        .config_folder = folder,
        .crash_folder = gateway->config == NULL ? NULL : gateway->config->crash_folder,
        .crash_reports =
            gateway->config == NULL ? WR_CRASH_REPORTS_DEFAULT : gateway->config->crash_reports,
        .watchdog = gateway->watchdog,
        .number = gateway->added,
    };
    return wr_instance_create(config, &host, out, error);
}

/* What the contract lists; all else is the system's. */
static weir_err listed_error(weir_err err)
{
    static const weir_err listed[] = {
        WEIR_OK,         WEIR_ERR_EXISTS,      WEIR_ERR_LOAD,   WEIR_ERR_NOT_FOUND,
        WEIR_ERR_DENIED, WEIR_ERR_UNSUPPORTED, WEIR_ERR_MODULE, WEIR_ERR_MEMORY,
    };
    for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++) {
        if (listed[i] == err) {
            return err;
        }
    }
    return WEIR_ERR_IO;
}

/* Under the lock. */
weir_err wr_gateway_add_instance(weir_gateway *gateway, const wr_module_config *config,
                                 const char *folder, wr_instance **out)
{
    wr_error error = {.code = WEIR_OK};
    wr_instance *instance = NULL;
    if (wr_gateway_find(gateway, config->name) != NULL) {
        wr_error_set(&error, WEIR_ERR_EXISTS, "there is a module of this name already");
        wr_gateway_report_module(gateway, config, "cannot be created", &error);
        return WEIR_ERR_EXISTS;
    }
    weir_err err = reserve_instance(gateway, config->name);
    if (err == WEIR_OK) {
        err = create_instance(gateway, config, folder, &instance, &error);
    }
    if (err != WEIR_OK) {
        json_object_del(gateway->index, config->name);
        error.code = err;
        wr_gateway_report_module(gateway, config, "cannot be created", &error);
        return listed_error(err);
    }
    gateway->added++;
    wr_mutex_lock(&gateway->list);
    gateway->instances[gateway->count++] = instance;
    wr_mutex_unlock(&gateway->list);
    *out = instance;
    return WEIR_OK;
}

weir_err wr_gateway_start_instance(weir_gateway *gateway, wr_instance *instance)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_instance_start(instance, &error);
    if (err != WEIR_OK) {
        wr_gateway_report_module(gateway, instance->config, "cannot be started", &error);
        return WEIR_ERR_MODULE;
    }
    return WEIR_OK;
}

uint64_t wr_gateway_stop_deadline(const weir_gateway *gateway)
{
    uint64_t grace_ms =
        gateway->config == NULL ? WR_GRACE_PERIOD_DEFAULT_MS : gateway->config->grace_period_ms;
    return wr_clock_ns() + grace_ms * WR_NS_PER_MS;
}

/* Under the lock. */
weir_err wr_gateway_add_link(weir_gateway *gateway, const wr_link_config *config)
{
    wr_instance *sink = wr_gateway_find(gateway, config->sink);
    if (sink == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    if (strcmp(config->source, "*") == 0) {
        return wr_gateway_add_star(gateway, sink, config->queue);
    }
    wr_instance *source = wr_gateway_find(gateway, config->source);
    if (source == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    return wr_broker_link(gateway->broker, source->node, sink->node, config->queue);
}

/*
 * Changes at run time.
 */
static weir_err check_phase(const weir_gateway *gateway)
{
    bool open = gateway->phase == WR_GATEWAY_CREATED || gateway->phase == WR_GATEWAY_RUNNING;
    return open ? WEIR_OK : WEIR_ERR_STATE;
}

/* Take the instance out of the list, and keep what it has counted. */
static void unlist(weir_gateway *gateway, wr_instance *instance)
{
    size_t place =
        (size_t)json_integer_value(json_object_get(gateway->index, instance->config->name));
    json_object_del(gateway->index, instance->config->name);
    wr_mutex_lock(&gateway->list);
    gateway->count--;
    for (size_t i = place; i < gateway->count; i++) {
        gateway->instances[i] = gateway->instances[i + 1];
    }
    if (instance->proxy != NULL) {
        gateway->removed.redelivered += wr_proxy_redelivered(instance->proxy);
    }
    gateway->removed.overruns += atomic_load(&instance->watched.overruns);
    wr_mutex_unlock(&gateway->list);
    for (size_t i = place; i < gateway->count; i++) {
        const char *name = gateway->instances[i]->config->name;
        json_integer_set(json_object_get(gateway->index, name), (json_int_t)i);
    }
}

static void remove_instance(weir_gateway *gateway, wr_instance *instance)
{
    (void)wr_gateway_remove_star(gateway, instance); /* NOT_FOUND: none leads to it */
    wr_broker_remove(gateway->broker, instance->node);
    unlist(gateway, instance);
    wr_instance_destroy(instance);
}

static weir_err stop_and_remove(weir_gateway *gateway, wr_instance *instance)
{
    weir_err err = wr_instance_stop(instance, gateway->broker, wr_gateway_stop_deadline(gateway));
    if (err != WEIR_OK) {
        gateway->stuck = true;
        return err;
    }
    wr_instance_join(instance);
    remove_instance(gateway, instance);
    return WEIR_OK;
}

/* What module.path is relative to; always the same. */
static const char *folder_of(const weir_gateway *gateway)
{
    return gateway->config != NULL ? gateway->config->folder : ".";
}

static bool has_socket(const wr_instance *instance, const char *path)
{
    const wr_outprocess_config *config = &instance->config->outprocess;
    return (config->control_id != NULL && strcmp(config->control_id, path) == 0) ||
           (config->message_id != NULL && strcmp(config->message_id, path) == 0);
}

/* As the reader of a file sees to it: no two sockets may have one path. `path` NULL: none. */
static weir_err check_socket(weir_gateway *gateway, const wr_module_config *config,
                             const char *path)
{
    wr_error error = {.code = WEIR_OK};
    for (size_t i = 0; path != NULL && i < gateway->count; i++) {
        if (has_socket(gateway->instances[i], path)) {
            wr_error_set(&error, WEIR_ERR_EXISTS,
                         "the socket \"%s\" is that of module \"%s\" already", path,
                         gateway->instances[i]->config->name);
            wr_gateway_report_module(gateway, config, "cannot be created", &error);
            return WEIR_ERR_EXISTS;
        }
    }
    return WEIR_OK;
}

/* Takes over the config. */
static weir_err add_module(weir_gateway *gateway, wr_config *config)
{
    const wr_module_config *module = &config->modules[0];
    wr_instance *instance;
    weir_err err = check_socket(gateway, module, module->outprocess.control_id);
    if (err == WEIR_OK) {
        err = check_socket(gateway, module, module->outprocess.message_id);
    }
    if (err == WEIR_OK) {
        err = wr_gateway_add_instance(gateway, module, folder_of(gateway), &instance);
    }
    if (err != WEIR_OK) {
        wr_config_destroy(config);
        return err;
    }
    instance->own_config = config;
    err = wr_gateway_link_stars(gateway, instance);
    if (err != WEIR_OK) {
        wr_error error = {.code = err};
        wr_gateway_report_module(gateway, instance->config, "cannot be linked", &error);
    }
    if (err == WEIR_OK && gateway->phase == WR_GATEWAY_RUNNING) {
        err = wr_gateway_start_instance(gateway, instance);
    }
    if (err != WEIR_OK) {
        weir_err undone = stop_and_remove(gateway, instance);
        err = undone == WEIR_OK ? err : undone;
    }
    return err;
}

weir_err weir_gateway_add_module(weir_gateway *gateway, const char *json)
{
    if (gateway == NULL || json == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_config *config = NULL;
    weir_err err = wr_config_parse_module(json, folder_of(gateway), gateway->options.on_problem,
                                          gateway->options.user, &config);
    if (err != WEIR_OK) {
        return err;
    }
    wr_mutex_lock(&gateway->lock);
    err = check_phase(gateway);
    if (err == WEIR_OK) {
        err = add_module(gateway, config);
    } else {
        wr_config_destroy(config);
    }
    wr_gateway_unlock(gateway);
    return err;
}

/* Under the lock. */
static weir_err remove_module(weir_gateway *gateway, const char *name)
{
    wr_instance *instance = wr_gateway_find(gateway, name);
    return instance == NULL ? WEIR_ERR_NOT_FOUND : stop_and_remove(gateway, instance);
}

weir_err weir_gateway_remove_module(weir_gateway *gateway, const char *name)
{
    if (gateway == NULL || name == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_mutex_lock(&gateway->lock);
    weir_err err = check_phase(gateway);
    if (err == WEIR_OK) {
        err = remove_module(gateway, name);
    }
    wr_gateway_unlock(gateway);
    return err;
}

static void revive_all(weir_gateway *gateway)
{
    for (size_t i = 0; i < gateway->count; i++) {
        wr_proxy *proxy = gateway->instances[i]->proxy;
        if (proxy != NULL) {
            (void)wr_proxy_revive(proxy); /* false: somebody else's process */
        }
    }
}

/* Under the lock. */
static weir_err restart_module(weir_gateway *gateway, const char *name)
{
    if (name == NULL) {
        revive_all(gateway);
        return WEIR_OK;
    }
    const wr_instance *instance = wr_gateway_find(gateway, name);
    if (instance == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    bool launched = instance->proxy != NULL && wr_proxy_restart(instance->proxy);
    return launched ? WEIR_OK : WEIR_ERR_UNSUPPORTED;
}

weir_err weir_gateway_restart_module(weir_gateway *gateway, const char *name)
{
    if (gateway == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_mutex_lock(&gateway->lock);
    weir_err err = check_phase(gateway);
    if (err == WEIR_OK) {
        err = restart_module(gateway, name);
    }
    wr_gateway_unlock(gateway);
    return err;
}

weir_err weir_gateway_add_link(weir_gateway *gateway, const char *json)
{
    if (gateway == NULL || json == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_config *config = NULL;
    weir_err err =
        wr_config_parse_link(json, gateway->options.on_problem, gateway->options.user, &config);
    if (err != WEIR_OK) {
        return err;
    }
    wr_mutex_lock(&gateway->lock);
    err = check_phase(gateway);
    if (err == WEIR_OK) {
        err = wr_gateway_add_link(gateway, &config->links[0]);
    }
    wr_gateway_unlock(gateway);
    wr_config_destroy(config);
    return err;
}

/* Under the lock. */
static weir_err remove_link(weir_gateway *gateway, const char *source, const char *sink)
{
    const wr_instance *to = wr_gateway_find(gateway, sink);
    if (to != NULL && strcmp(source, "*") == 0) {
        return wr_gateway_remove_star(gateway, to);
    }
    const wr_instance *from = wr_gateway_find(gateway, source);
    bool found = to != NULL && from != NULL;
    return found ? wr_broker_unlink(gateway->broker, from->node, to->node) : WEIR_ERR_NOT_FOUND;
}

weir_err weir_gateway_remove_link(weir_gateway *gateway, const char *source, const char *sink)
{
    if (gateway == NULL || source == NULL || sink == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_mutex_lock(&gateway->lock);
    weir_err err = check_phase(gateway);
    if (err == WEIR_OK) {
        err = remove_link(gateway, source, sink);
    }
    wr_gateway_unlock(gateway);
    return err;
}
