/* SPDX-License-Identifier: MIT
 *
 * The common life of a gateway's modules and links (contract in weir/gateway.h): from a file,
 * start, stop, destroy.
 */
#include "gateway/gateway_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "platform/clock.h"

#define WATCHDOG_PERIOD_MIN_MS 1000u

/* What a gateway is made with. */
typedef struct settings {
    unsigned threads; /* of the pool; 0: one per core */
    uint32_t receive_deadline_ms;
} settings;

static void report(const weir_gateway_options *options, const char *text)
{
    if (options->on_problem != NULL) {
        options->on_problem(options->user, text);
    } else {
        wr_log("weir", WEIR_LOG_ERROR, "%s", text);
    }
}

/* "FILE:LINE:COLUMN: modules[1] "name": what: why". */
void wr_gateway_report_module(weir_gateway *gateway, const wr_module_config *config,
                              const char *what, const wr_error *error)
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
    assert(!gateway->has_problem);
    gateway->has_problem = true;
    gateway->problem = wr_buffer_take(&text);
}

void wr_gateway_unlock(weir_gateway *gateway)
{
    char *text = gateway->problem;
    bool any = gateway->has_problem;
    gateway->problem = NULL;
    gateway->has_problem = false;
    wr_mutex_unlock(&gateway->lock);
    if (any) {
        report(&gateway->options, text == NULL ? weir_err_text(WEIR_ERR_MEMORY) : text);
    }
    free(text);
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
    if (path == NULL) {
        return WEIR_ERR_INVALID;
    }
    weir_gateway_options known = take_options(options);
    wr_config *config = NULL;
    weir_err err = wr_config_read(path, known.on_problem, known.user, &config);
    wr_config_destroy(config);
    return err;
}

/* Timers no more often than once a second, and a report no later than a fifth of a long deadline.
 */
static weir_err create_watchdog(weir_gateway *gateway, uint32_t deadline_ms)
{
    if (deadline_ms == 0) {
        return WEIR_OK;
    }
    uint64_t period_ms = deadline_ms / 5;
    if (period_ms < WATCHDOG_PERIOD_MIN_MS) {
        period_ms = WATCHDOG_PERIOD_MIN_MS;
    }
    return wr_watchdog_create(deadline_ms * WR_NS_PER_MS, period_ms * WR_NS_PER_MS,
                              &gateway->watchdog);
}

static weir_err create(const weir_gateway_options *options, const settings *given,
                       weir_gateway **out)
{
    weir_gateway *gateway = calloc(1, sizeof(*gateway));
    if (gateway == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&gateway->lock);
    wr_mutex_init(&gateway->list);
    gateway->options = take_options(options);
    gateway->index = json_object();
    weir_err err = wr_broker_create(given->threads, &gateway->broker);
    if (err == WEIR_OK) {
        err = create_watchdog(gateway, given->receive_deadline_ms);
    }
    if (err != WEIR_OK || gateway->index == NULL) {
        weir_gateway_destroy(gateway);
        return WEIR_ERR_MEMORY;
    }
    *out = gateway;
    return WEIR_OK;
}

weir_err weir_gateway_create(const weir_gateway_options *options, weir_gateway **out)
{
    if (out == NULL) {
        return WEIR_ERR_INVALID;
    }
    const settings given = {.receive_deadline_ms = WR_RECEIVE_DEADLINE_DEFAULT_MS};
    return create(options, &given, out);
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
            weir_err err = wr_gateway_add_link(gateway, &config->links[i]);
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
        weir_err err =
            wr_gateway_add_instance(gateway, &config->modules[i], config->folder, &instance);
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
    if (path == NULL || out == NULL) {
        return WEIR_ERR_INVALID;
    }
    weir_gateway_options known = take_options(options);
    wr_config *config = NULL;
    weir_err err = wr_config_read(path, known.on_problem, known.user, &config);
    if (err != WEIR_OK) {
        return err;
    }
    weir_gateway *gateway;
    const settings given = {config->threads, config->receive_deadline_ms};
    err = create(options, &given, &gateway);
    if (err != WEIR_OK) {
        wr_config_destroy(config);
        report(&known, weir_err_text(err));
        return err;
    }
    gateway->config = config;
    wr_mutex_lock(&gateway->lock);
    err = add_all(gateway);
    wr_gateway_unlock(gateway);
    if (err != WEIR_OK) {
        weir_gateway_destroy(gateway);
        return err;
    }
    *out = gateway;
    return WEIR_OK;
}

static void enter_phase(weir_gateway *gateway, wr_gateway_phase phase)
{
    wr_mutex_lock(&gateway->list);
    gateway->phase = phase;
    if (phase == WR_GATEWAY_RUNNING) {
        gateway->started_ns = wr_clock_ns();
    }
    wr_mutex_unlock(&gateway->list);
}

/* Under the lock. */
static weir_err start_all(weir_gateway *gateway)
{
    weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < gateway->count; i++) {
        err = wr_gateway_start_instance(gateway, gateway->instances[i]);
    }
    enter_phase(gateway, err == WEIR_OK ? WR_GATEWAY_RUNNING : WR_GATEWAY_FAILED);
    return err;
}

weir_err weir_gateway_start(weir_gateway *gateway)
{
    if (gateway == NULL) {
        return WEIR_ERR_INVALID;
    }
    wr_mutex_lock(&gateway->lock);
    weir_err err = gateway->phase == WR_GATEWAY_CREATED ? start_all(gateway) : WEIR_ERR_STATE;
    wr_gateway_unlock(gateway);
    return err;
}

weir_err weir_gateway_stop(weir_gateway *gateway)
{
    if (gateway == NULL) {
        return WEIR_ERR_INVALID;
    }
    weir_err err = WEIR_OK;
    wr_mutex_lock(&gateway->lock);
    if (gateway->phase != WR_GATEWAY_STOPPED) {
        enter_phase(gateway, WR_GATEWAY_STOPPED);
        err = wr_gateway_stop_all(gateway);
    }
    wr_gateway_unlock(gateway);
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
    wr_watchdog_stop(gateway->watchdog);
    if (gateway->stuck) {
        return; /* a thread still uses some of the rest */
    }
    for (size_t i = 0; i < gateway->count; i++) {
        wr_instance_destroy(gateway->instances[i]);
    }
    wr_watchdog_destroy(gateway->watchdog);
    wr_loop_destroy(gateway->loop);
    wr_run_folder_close(gateway->folder);
    free(gateway->stars);
    free(gateway->instances);
    json_decref(gateway->index);
    wr_config_destroy(gateway->config);
    wr_mutex_deinit(&gateway->list);
    wr_mutex_deinit(&gateway->lock);
    free(gateway);
}
