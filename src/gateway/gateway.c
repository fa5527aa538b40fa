/* SPDX-License-Identifier: MIT
 *
 * The gateway: its modules and links, and their common life (contract in weir/gateway.h).
 *
 * The mutex guards everything in struct weir_gateway. Messages pass without it.
 */
#include "weir/gateway.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/config.h"
#include "gateway/instance.h"
#include "platform/clock.h"
#include "platform/run_folder.h"

/* A link from "*": applies to modules that come later, too. */
typedef struct star_link {
    char *sink;
    wr_queue_config queue;
} star_link;

struct weir_gateway {
    wr_mutex lock;
    weir_gateway_options options;
    wr_config *config; /* of the file; NULL: none */
    wr_broker *broker;
    wr_loop *loop;           /* made for the first remote module */
    wr_run_folder *folder;   /* likewise: for sockets */
    wr_instance **instances; /* in the order of adding */
    size_t count;
    size_t capacity;
    size_t added;  /* ever */
    json_t *index; /* name -> place in instances */
    star_link *stars;
    size_t star_count;
    bool started;
    bool stopped;
    bool stuck; /* a module never returned: its memory and threads are left alone */
};

static void report(const weir_gateway_options *options, const char *text)
{
    if (options->on_problem != NULL) {
        options->on_problem(options->user, text);
    } else {
        wr_log("weir", WEIR_LOG_ERROR, "%s", text);
    }
}

/* "FILE:LINE:COLUMN: modules[1] "name": what: why". */
static void report_module(weir_gateway *gateway, const wr_module_config *config, const char *what,
                          const wr_error *error)
{
    wr_buffer text = WR_BUFFER_INIT;
    const wr_config *file = gateway->config;
    size_t index = config->place.index;
    bool from_file = file != NULL && index < file->module_count && config == &file->modules[index];
    if (from_file && config->place.line > 0) {
        wr_buffer_printf(&text, "%s:%u:%u: modules[%zu]: ", gateway->config->path,
                         config->place.line, config->place.column, config->place.index);
    }
    wr_buffer_printf(&text, "module \"%s\" %s: %s", config->name, what, wr_error_text(error));
    report(&gateway->options, text.failed ? "out of memory" : text.data);
    wr_buffer_deinit(&text);
}

static weir_gateway_options take_options(const weir_gateway_options *options)
{
    weir_gateway_options known = WEIR_GATEWAY_OPTIONS_INIT;
    if (options != NULL) {
        memcpy(&known, options, options->size < sizeof(known) ? options->size : sizeof(known));
    }
    return known;
}

weir_err weir_gateway_check(const char *path, const weir_gateway_options *options)
{
    weir_gateway_options known = take_options(options);
    wr_config *config = NULL;
    weir_err err = wr_config_read(path, known.on_problem, known.user, &config);
    wr_config_destroy(config);
    return err;
}

static weir_err create(const weir_gateway_options *options, unsigned threads, weir_gateway **out)
{
    weir_gateway *gateway = calloc(1, sizeof(*gateway));
    if (gateway == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&gateway->lock);
    gateway->options = take_options(options);
    gateway->index = json_object();
    weir_err err = wr_broker_create(threads, &gateway->broker);
    if (err != WEIR_OK || gateway->index == NULL) {
        weir_gateway_destroy(gateway);
        return WEIR_ERR_MEMORY;
    }
    *out = gateway;
    return WEIR_OK;
}

weir_err weir_gateway_create(const weir_gateway_options *options, weir_gateway **out)
{
    return create(options, 0, out);
}

static wr_instance *find(const weir_gateway *gateway, const char *name)
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
    wr_instance **instances = realloc(gateway->instances, capacity * sizeof(wr_instance *));
    if (instances == NULL) {
        return WEIR_ERR_MEMORY;
    }
    gateway->instances = instances;
    gateway->capacity = capacity;
    return WEIR_OK;
}

/* A place at the end, under this name. Before the instance is made: it could not be unmade unseen. */
static weir_err reserve_instance(weir_gateway *gateway, const char *name)
{
    weir_err err = grow_instances(gateway);
    if (err == WEIR_OK && json_object_set_new(gateway->index, name,
                                              json_integer((json_int_t)gateway->count)) != 0) {
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
        .number = gateway->added,
    };
    return wr_instance_create(config, &host, out, error);
}

/* Under the lock. */
static weir_err add_instance(weir_gateway *gateway, const wr_module_config *config,
                             const char *folder, wr_instance **out)
{
    wr_error error = {.code = WEIR_OK};
    wr_instance *instance = NULL;
    if (find(gateway, config->name) != NULL) {
        wr_error_set(&error, WEIR_ERR_EXISTS, "there is a module of this name already");
        report_module(gateway, config, "cannot be created", &error);
        return WEIR_ERR_EXISTS;
    }
    weir_err err = reserve_instance(gateway, config->name);
    if (err == WEIR_OK) {
        err = create_instance(gateway, config, folder, &instance, &error);
    }
    if (err != WEIR_OK) {
        json_object_del(gateway->index, config->name);
        error.code = err;
        report_module(gateway, config, "cannot be created", &error);
        return err;
    }
    gateway->added++;
    gateway->instances[gateway->count++] = instance;
    *out = instance;
    return WEIR_OK;
}

static weir_err link_star(weir_gateway *gateway, const star_link *star)
{
    wr_instance *sink = find(gateway, star->sink);
    for (size_t i = 0; sink != NULL && i < gateway->count; i++) {
        wr_node *source = gateway->instances[i]->node;
        if (source == sink->node) {
            continue;
        }
        weir_err err = wr_broker_link(gateway->broker, source, sink->node, star->queue);
        if (err != WEIR_OK && err != WEIR_ERR_EXISTS) { /* a link of its own goes first */
            return err;
        }
    }
    return WEIR_OK;
}

static weir_err add_star(weir_gateway *gateway, const wr_link_config *config)
{
    for (size_t i = 0; i < gateway->star_count; i++) {
        if (strcmp(gateway->stars[i].sink, config->sink) == 0) {
            return WEIR_ERR_EXISTS;
        }
    }
    star_link *stars = realloc(gateway->stars, (gateway->star_count + 1) * sizeof(*stars));
    if (stars == NULL) {
        return WEIR_ERR_MEMORY;
    }
    gateway->stars = stars;
    star_link *star = &stars[gateway->star_count];
    *star = (star_link){.sink = wr_text_copy(config->sink), .queue = config->queue};
    if (star->sink == NULL) {
        return WEIR_ERR_MEMORY;
    }
    weir_err err = link_star(gateway, star);
    if (err != WEIR_OK) {
        free(star->sink);
        return err;
    }
    gateway->star_count++;
    return WEIR_OK;
}

/* Under the lock. */
static weir_err add_link(weir_gateway *gateway, const wr_link_config *config)
{
    wr_instance *sink = find(gateway, config->sink);
    if (sink == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    if (strcmp(config->source, "*") == 0) {
        return add_star(gateway, config);
    }
    wr_instance *source = find(gateway, config->source);
    if (source == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    return wr_broker_link(gateway->broker, source->node, sink->node, config->queue);
}

/* Named links first: what they say goes before what "*" says. */
static weir_err add_links(weir_gateway *gateway, const wr_config *config)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < config->link_count; i++) {
            bool star = strcmp(config->links[i].source, "*") == 0;
            if (star != (pass == 1)) {
                continue;
            }
            weir_err err = add_link(gateway, &config->links[i]);
            if (err != WEIR_OK) {
                return err;
            }
        }
    }
    return WEIR_OK;
}

static weir_err add_all(weir_gateway *gateway)
{
    const wr_config *config = gateway->config;
    for (size_t i = 0; i < config->module_count; i++) {
        wr_instance *instance;
        weir_err err = add_instance(gateway, &config->modules[i], config->folder, &instance);
        if (err != WEIR_OK) {
            return err;
        }
    }
    weir_err err = add_links(gateway, config);
    if (err != WEIR_OK) {
        report(&gateway->options, weir_err_text(err));
    }
    return err;
}

weir_err weir_gateway_create_from_file(const char *path, const weir_gateway_options *options,
                                       weir_gateway **out)
{
    weir_gateway_options known = take_options(options);
    wr_config *config = NULL;
    weir_err err = wr_config_read(path, known.on_problem, known.user, &config);
    if (err != WEIR_OK) {
        return err;
    }
    weir_gateway *gateway;
    err = create(options, config->threads, &gateway);
    if (err != WEIR_OK) {
        wr_config_destroy(config);
        report(&known, weir_err_text(err));
        return err;
    }
    gateway->config = config;
    wr_mutex_lock(&gateway->lock);
    err = add_all(gateway);
    wr_mutex_unlock(&gateway->lock);
    if (err != WEIR_OK) {
        weir_gateway_destroy(gateway);
        return err;
    }
    *out = gateway;
    return WEIR_OK;
}

static weir_err start_instance(weir_gateway *gateway, wr_instance *instance)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_instance_start(instance, &error);
    if (err != WEIR_OK) {
        report_module(gateway, instance->config, "cannot be started", &error);
        return WEIR_ERR_MODULE;
    }
    return WEIR_OK;
}

weir_err weir_gateway_start(weir_gateway *gateway)
{
    wr_mutex_lock(&gateway->lock);
    weir_err err = gateway->started || gateway->stopped ? WEIR_ERR_STATE : WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < gateway->count; i++) {
        err = start_instance(gateway, gateway->instances[i]);
    }
    gateway->started = gateway->started || err == WEIR_OK;
    wr_mutex_unlock(&gateway->lock);
    return err;
}

static uint64_t stop_deadline(const weir_gateway *gateway)
{
    uint64_t grace_ms =
        gateway->config == NULL ? WR_GRACE_PERIOD_DEFAULT_MS : gateway->config->grace_period_ms;
    return wr_clock_ns() + grace_ms * WR_NS_PER_MS;
}

/* The instances in stopping order; the caller frees the list. NULL: out of memory. */
static wr_instance **stopping_order(weir_gateway *gateway)
{
    wr_node **nodes = calloc(gateway->count + 1, sizeof(wr_node *));
    wr_instance **order = calloc(gateway->count + 1, sizeof(wr_instance *));
    for (size_t i = 0; nodes != NULL && i < gateway->count; i++) {
        nodes[i] = gateway->instances[i]->node;
    }
    if (nodes == NULL || order == NULL ||
        wr_broker_order(gateway->broker, nodes, gateway->count) != WEIR_OK) {
        free(nodes);
        free(order);
        return NULL;
    }
    for (size_t i = 0; i < gateway->count; i++) {
        order[i] = find(gateway, nodes[i]->name);
    }
    free(nodes);
    return order;
}

/* Under the lock. */
static weir_err stop_all(weir_gateway *gateway)
{
    weir_err result = WEIR_OK;
    uint64_t deadline_ns = stop_deadline(gateway);
    wr_instance **order = stopping_order(gateway);
    for (size_t i = 0; i < gateway->count; i++) {
        wr_instance *instance = order != NULL ? order[i] : gateway->instances[i];
        if (wr_instance_stop(instance, gateway->broker, deadline_ns) != WEIR_OK) {
            gateway->stuck = true;
            result = WEIR_ERR_TIMEOUT;
        }
    }
    free(order);
    if (!gateway->stuck) {
        wr_broker_purge(gateway->broker);
    }
    return result;
}

weir_err weir_gateway_stop(weir_gateway *gateway)
{
    weir_err err = WEIR_OK;
    wr_mutex_lock(&gateway->lock);
    if (!gateway->stopped) {
        gateway->stopped = true;
        err = stop_all(gateway);
    }
    wr_mutex_unlock(&gateway->lock);
    return err;
}

void weir_gateway_destroy(weir_gateway *gateway)
{
    if (gateway == NULL) {
        return;
    }
    if (gateway->broker != NULL) {
        (void)weir_gateway_stop(gateway);
    }
    wr_broker_destroy(gateway->broker, gateway->stuck);
    if (gateway->stuck) {
        return; /* a thread still uses some of the rest */
    }
    for (size_t i = 0; i < gateway->count; i++) {
        wr_instance_destroy(gateway->instances[i]);
    }
    wr_loop_destroy(gateway->loop);
    wr_run_folder_close(gateway->folder);
    for (size_t i = 0; i < gateway->star_count; i++) {
        free(gateway->stars[i].sink);
    }
    free(gateway->stars);
    free(gateway->instances);
    json_decref(gateway->index);
    wr_config_destroy(gateway->config);
    wr_mutex_deinit(&gateway->lock);
    free(gateway);
}

/*
 * Changes at run time.
 */
static void remove_instance(weir_gateway *gateway, wr_instance *instance)
{
    wr_broker_remove(gateway->broker, instance->node);
    size_t place =
        (size_t)json_integer_value(json_object_get(gateway->index, instance->config->name));
    json_object_del(gateway->index, instance->config->name);
    gateway->count--;
    for (size_t i = place; i < gateway->count; i++) {
        gateway->instances[i] = gateway->instances[i + 1];
        const char *name = gateway->instances[i]->config->name;
        json_integer_set(json_object_get(gateway->index, name), (json_int_t)i);
    }
    wr_instance_destroy(instance);
}

static weir_err stop_and_remove(weir_gateway *gateway, wr_instance *instance)
{
    weir_err err = wr_instance_stop(instance, gateway->broker, stop_deadline(gateway));
    if (err != WEIR_OK) {
        gateway->stuck = true;
        return err;
    }
    remove_instance(gateway, instance);
    return WEIR_OK;
}

static weir_err add_module(weir_gateway *gateway, wr_config *config)
{
    const char *folder = gateway->config != NULL ? gateway->config->folder : ".";
    wr_instance *instance;
    weir_err err = add_instance(gateway, &config->modules[0], folder, &instance);
    if (err != WEIR_OK) {
        wr_config_destroy(config);
        return err;
    }
    instance->own_config = config;
    for (size_t i = 0; err == WEIR_OK && i < gateway->star_count; i++) {
        err = link_star(gateway, &gateway->stars[i]);
    }
    if (err != WEIR_OK) {
        wr_error error = {.code = err};
        report_module(gateway, instance->config, "cannot be linked", &error);
    }
    if (err == WEIR_OK && gateway->started) {
        err = start_instance(gateway, instance);
    }
    if (err != WEIR_OK) {
        weir_err undone = stop_and_remove(gateway, instance);
        err = undone == WEIR_OK ? err : undone;
    }
    return err;
}

weir_err weir_gateway_add_module(weir_gateway *gateway, const char *json)
{
    wr_mutex_lock(&gateway->lock);
    const char *folder = gateway->config != NULL ? gateway->config->folder : ".";
    wr_config *config = NULL;
    weir_err err = gateway->stopped
                       ? WEIR_ERR_STATE
                       : wr_config_parse_module(json, folder, gateway->options.on_problem,
                                                gateway->options.user, &config);
    if (err == WEIR_OK) {
        err = add_module(gateway, config);
    }
    wr_mutex_unlock(&gateway->lock);
    return err;
}

weir_err weir_gateway_remove_module(weir_gateway *gateway, const char *name)
{
    wr_mutex_lock(&gateway->lock);
    wr_instance *instance = find(gateway, name);
    weir_err err = WEIR_ERR_NOT_FOUND;
    if (gateway->stopped) {
        err = WEIR_ERR_STATE;
    } else if (instance != NULL) {
        err = stop_and_remove(gateway, instance);
    }
    wr_mutex_unlock(&gateway->lock);
    return err;
}

weir_err weir_gateway_add_link(weir_gateway *gateway, const char *json)
{
    wr_config *config = NULL;
    weir_err err =
        wr_config_parse_link(json, gateway->options.on_problem, gateway->options.user, &config);
    if (err != WEIR_OK) {
        return err;
    }
    wr_mutex_lock(&gateway->lock);
    err = gateway->stopped ? WEIR_ERR_STATE : add_link(gateway, &config->links[0]);
    wr_mutex_unlock(&gateway->lock);
    wr_config_destroy(config);
    return err;
}

static weir_err remove_star(weir_gateway *gateway, const wr_instance *sink)
{
    size_t at = 0;
    while (at < gateway->star_count && strcmp(gateway->stars[at].sink, sink->config->name) != 0) {
        at++;
    }
    if (at == gateway->star_count) {
        return WEIR_ERR_NOT_FOUND;
    }
    free(gateway->stars[at].sink);
    gateway->stars[at] = gateway->stars[--gateway->star_count];
    for (size_t i = 0; i < gateway->count; i++) {
        weir_err err = wr_broker_unlink(gateway->broker, gateway->instances[i]->node, sink->node);
        if (err != WEIR_OK && err != WEIR_ERR_NOT_FOUND) {
            return err;
        }
    }
    return WEIR_OK;
}

weir_err weir_gateway_remove_link(weir_gateway *gateway, const char *source, const char *sink)
{
    weir_err err = WEIR_ERR_NOT_FOUND;
    wr_mutex_lock(&gateway->lock);
    const wr_instance *to = find(gateway, sink);
    const wr_instance *from = find(gateway, source);
    if (to != NULL && strcmp(source, "*") == 0) {
        err = remove_star(gateway, to);
    } else if (to != NULL && from != NULL) {
        err = wr_broker_unlink(gateway->broker, from->node, to->node);
    }
    wr_mutex_unlock(&gateway->lock);
    return err;
}

/*
 * What there is.
 */
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
