/* SPDX-License-Identifier: MIT
 *
 * A pure source: publishes one text at start and then at a fixed interval, on a thread of its own.
 *
 * The message never changes, so it is made once and published again and again.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "weir/module.h"

#define DEFAULT_TEXT "hello world"
#define DEFAULT_INTERVAL_MS 5000
#define INTERVAL_MS_MIN 1
#define INTERVAL_MS_MAX 86400000
#define NS_PER_MS 1000000u

typedef struct hello_world {
    weir_host *host;
    weir_message *message;
    uint64_t interval_ns;
    uv_thread_t thread;
    bool thread_started;
    uv_mutex_t lock; /* guards stopping */
    uv_cond_t wake;  /* stopping became true */
    bool stopping;
} hello_world;

/* What args say; `text` is borrowed from the JSON. */
typedef struct settings {
    const char *text;
    size_t text_size;
    json_int_t interval_ms;
} settings;

static weir_err read_setting(weir_host *host, const char *key, const json_t *value, settings *out)
{
    if (strcmp(key, "message") == 0) {
        if (!json_is_string(value)) {
            return weir_fail(host, WEIR_ERR_CONFIG, "args.message: expected a string");
        }
        out->text = json_string_value(value);
        out->text_size = json_string_length(value);
        return WEIR_OK;
    }
    if (strcmp(key, "interval.ms") == 0) {
        json_int_t interval_ms = json_integer_value(value);
        if (interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX) {
            return weir_fail(host, WEIR_ERR_CONFIG,
                             "args[\"interval.ms\"]: expected a whole number from %d to %d",
                             INTERVAL_MS_MIN, INTERVAL_MS_MAX);
        }
        out->interval_ms = interval_ms;
        return WEIR_OK;
    }
    return weir_fail(host, WEIR_ERR_CONFIG,
                     "args: unknown key \"%s\" (expected \"message\" or \"interval.ms\")", key);
}

static weir_err read_settings(weir_host *host, json_t *args, settings *out)
{
    if (json_is_null(args)) {
        return WEIR_OK;
    }
    if (!json_is_object(args)) {
        return weir_fail(host, WEIR_ERR_CONFIG, "args: expected an object or null");
    }
    const char *key;
    json_t *value;
    json_object_foreach(args, key, value)
    {
        weir_err err = read_setting(host, key, value, out);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return WEIR_OK;
}

static weir_err make_message(weir_host *host, const settings *from, weir_message **out)
{
    static const weir_property properties[] = {{"source", "hello_world"}};
    weir_err err = weir_message_new(properties, 1, from->text, from->text_size, out);
    if (err != WEIR_OK) {
        return weir_fail(host, err, "cannot make the message: %s", weir_err_text(err));
    }
    return WEIR_OK;
}

static weir_err init_from_args(hello_world *self, const char *args)
{
    json_error_t wrong;
    json_t *json = json_loads(args, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL) {
        return weir_fail(self->host, WEIR_ERR_CONFIG, "args: %s", wrong.text);
    }
    settings said = {DEFAULT_TEXT, sizeof(DEFAULT_TEXT) - 1, DEFAULT_INTERVAL_MS};
    weir_err err = read_settings(self->host, json, &said);
    if (err == WEIR_OK) {
        self->interval_ns = (uint64_t)said.interval_ms * NS_PER_MS;
        err = make_message(self->host, &said, &self->message);
    }
    json_decref(json);
    return err;
}

static weir_err init_stopping(hello_world *self)
{
    if (uv_mutex_init(&self->lock) != 0) {
        return WEIR_ERR_MEMORY;
    }
    if (uv_cond_init(&self->wake) != 0) {
        uv_mutex_destroy(&self->lock);
        return WEIR_ERR_MEMORY;
    }
    return WEIR_OK;
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    hello_world *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    weir_err err = init_from_args(made, args);
    if (err == WEIR_OK) {
        err = init_stopping(made);
    }
    if (err != WEIR_OK) {
        weir_message_unref(made->message);
        free(made);
        return err;
    }
    *self = made;
    return WEIR_OK;
}

/* The first beat of the schedule after now. Beats that were missed, because publishing had to wait,
 * are skipped and not made up for. */
static uint64_t next_beat(uint64_t beat, uint64_t interval_ns)
{
    uint64_t now = uv_hrtime();
    uint64_t late = now > beat ? now - beat : 0;
    return beat + (late / interval_ns + 1) * interval_ns;
}

/* False: the module is to stop. */
static bool wait_until(hello_world *self, uint64_t beat)
{
    uv_mutex_lock(&self->lock);
    uint64_t now = uv_hrtime();
    while (!self->stopping && now < beat) {
        uv_cond_timedwait(&self->wake, &self->lock, beat - now);
        now = uv_hrtime();
    }
    bool go_on = !self->stopping;
    uv_mutex_unlock(&self->lock);
    return go_on;
}

static void publish_at_intervals(void *arg)
{
    hello_world *self = arg;
    weir_err before = WEIR_OK;
    uint64_t beat = uv_hrtime();
    while (wait_until(self, beat)) {
        weir_err err = weir_publish(self->host, self->message);
        if (err == WEIR_ERR_CLOSED) {
            return;
        }
        if (err != WEIR_OK && err != before) {
            weir_log(self->host, WEIR_LOG_WARN, "cannot publish: %s", weir_err_text(err));
        }
        before = err;
        beat = next_beat(beat, self->interval_ns);
    }
}

static weir_err start(void *arg)
{
    hello_world *self = arg;
    int failure = uv_thread_create(&self->thread, publish_at_intervals, self);
    if (failure != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "cannot start a thread: %s",
                         uv_strerror(failure));
    }
    self->thread_started = true;
    return WEIR_OK;
}

static void destroy(void *arg)
{
    hello_world *self = arg;
    if (self == NULL) {
        return;
    }
    uv_mutex_lock(&self->lock);
    self->stopping = true;
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->lock);
    if (self->thread_started) {
        uv_thread_join(&self->thread);
    }
    uv_cond_destroy(&self->wake);
    uv_mutex_destroy(&self->lock);
    weir_message_unref(self->message);
    free(self);
}

static const char args_schema[] =
    "{\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {"
    "\"message\": {\"type\": \"string\", \"default\": \"hello world\"}, "
    "\"interval.ms\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 86400000, "
    "\"default\": 5000}}}";

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "hello_world",
    .summary = "publishes a text at start and then at a fixed interval",
    .args_schema = args_schema,
    .create = create,
    .start = start,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
