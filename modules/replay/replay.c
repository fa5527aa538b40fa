/* SPDX-License-Identifier: MIT
 *
 * A pure source: publishes the messages of a file in their order, on a thread of its own.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "frames_file.h"
#include "weir/module.h"

#define FILE_BYTES_MAX 4095u
#define INTERVAL_MS_MAX 86400000
#define REPEAT_MAX 1000000000
#define NS_PER_MS 1000000u

/* What args say; `file` is borrowed from the JSON. */
typedef struct settings {
    const char *file;
    json_int_t interval_ms;
    json_int_t repeat;
} settings;

typedef struct replay {
    weir_host *host;
    frames held;
    uint64_t interval_ns;
    uint64_t repeat;
    uv_thread_t thread;
    bool thread_started;
    uv_mutex_t lock; /* guards stopping */
    uv_cond_t wake;  /* stopping became true */
    bool stopping;
} replay;

static weir_err read_file(weir_host *host, const json_t *value, settings *out)
{
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size == 0 || size > FILE_BYTES_MAX) {
        return weir_fail(host, WEIR_ERR_CONFIG, "args.file: expected a string of 1 to %u bytes",
                         FILE_BYTES_MAX);
    }
    out->file = json_string_value(value);
    return WEIR_OK;
}

static weir_err read_number(weir_host *host, const char *key, const json_t *value, json_int_t min,
                            json_int_t max, json_int_t *out)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max) {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "args[\"%s\"]: expected a whole number from %lld to %lld", key,
                         (long long)min, (long long)max);
    }
    *out = number;
    return WEIR_OK;
}

static weir_err read_setting(weir_host *host, const char *key, const json_t *value, settings *out)
{
    if (strcmp(key, "file") == 0) {
        return read_file(host, value, out);
    }
    if (strcmp(key, "interval.ms") == 0) {
        return read_number(host, key, value, 0, INTERVAL_MS_MAX, &out->interval_ms);
    }
    if (strcmp(key, "repeat") == 0) {
        return read_number(host, key, value, 1, REPEAT_MAX, &out->repeat);
    }
    return weir_fail(host, WEIR_ERR_CONFIG,
                     "args: unknown key \"%s\" (expected \"file\", \"interval.ms\" or \"repeat\")",
                     key);
}

static weir_err read_settings(weir_host *host, json_t *args, settings *out)
{
    const char *key;
    json_t *value;
    weir_err err = WEIR_OK;
    if (!json_is_object(args)) {
        return weir_fail(host, WEIR_ERR_CONFIG, "args: expected an object with \"file\"");
    }
    json_object_foreach(args, key, value)
    {
        err = read_setting(host, key, value, out);
        if (err != WEIR_OK) {
            return err;
        }
    }
    if (out->file == NULL) {
        return weir_fail(host, WEIR_ERR_CONFIG, "args: the key \"file\" is missing");
    }
    return WEIR_OK;
}

static weir_err take_settings(replay *self, const settings *said)
{
    char why[FRAMES_WHY_MAX];
    self->interval_ns = (uint64_t)said->interval_ms * NS_PER_MS;
    self->repeat = (uint64_t)said->repeat;
    weir_err err = frames_read(said->file, &self->held, why);
    if (err != WEIR_OK) {
        return weir_fail(self->host, err, "'%s': %s", said->file, why);
    }
    return WEIR_OK;
}

static weir_err init_from_args(replay *self, const char *args)
{
    json_error_t wrong;
    json_t *json = json_loads(args, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL) {
        return weir_fail(self->host, WEIR_ERR_CONFIG, "args: %s", wrong.text);
    }
    settings said = {.file = NULL, .interval_ms = 0, .repeat = 1};
    weir_err err = read_settings(self->host, json, &said);
    if (err == WEIR_OK) {
        err = take_settings(self, &said);
    }
    json_decref(json);
    return err;
}

static weir_err init_stopping(replay *self)
{
    if (uv_mutex_init(&self->lock) != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "out of memory");
    }
    if (uv_cond_init(&self->wake) != 0) {
        uv_mutex_destroy(&self->lock);
        return weir_fail(self->host, WEIR_ERR_MEMORY, "out of memory");
    }
    return WEIR_OK;
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    replay *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    weir_err err = init_from_args(made, args);
    if (err == WEIR_OK) {
        err = init_stopping(made);
    }
    if (err != WEIR_OK) {
        frames_free(&made->held);
        free(made);
        return err;
    }
    *self = made;
    return WEIR_OK;
}

/* Let the interval pass. False: the module is to stop. */
static bool wait_interval(replay *self)
{
    uint64_t until = uv_hrtime() + self->interval_ns;
    uv_mutex_lock(&self->lock);
    uint64_t now = uv_hrtime();
    while (!self->stopping && now < until) {
        uv_cond_timedwait(&self->wake, &self->lock, until - now);
        now = uv_hrtime();
    }
    bool go_on = !self->stopping;
    uv_mutex_unlock(&self->lock);
    return go_on;
}

/* False: the module is to stop. */
static bool publish(replay *self, size_t number)
{
    weir_err err = weir_publish(self->host, self->held.messages[number]);
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        weir_log(self->host, WEIR_LOG_WARN, "message %zu is not published: %s", number + 1,
                 weir_err_text(err));
    }
    return err != WEIR_ERR_CLOSED;
}

static void publish_all(void *arg)
{
    replay *self = arg;
    bool first = true;
    for (uint64_t turn = 0; turn < self->repeat && self->held.count > 0; turn++) {
        for (size_t i = 0; i < self->held.count; i++) {
            if ((!first && !wait_interval(self)) || !publish(self, i)) {
                return;
            }
            first = false;
        }
    }
    weir_log(self->host, WEIR_LOG_INFO,
             "published all messages of the file (there are %zu; repeat: %llu)", self->held.count,
             (unsigned long long)self->repeat);
}

static weir_err start(void *arg)
{
    replay *self = arg;
    int failure = uv_thread_create(&self->thread, publish_all, self);
    if (failure != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "cannot start a thread: %s",
                         uv_strerror(failure));
    }
    self->thread_started = true;
    return WEIR_OK;
}

static void destroy(void *arg)
{
    replay *self = arg;
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
    frames_free(&self->held);
    free(self);
}

static const char args_schema[] =
    "{\"type\": \"object\", \"required\": [\"file\"], \"additionalProperties\": false, "
    "\"properties\": {"
    "\"file\": {\"type\": \"string\", \"minLength\": 1}, "
    "\"interval.ms\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 86400000, "
    "\"default\": 0}, "
    "\"repeat\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000000000, "
    "\"default\": 1}}}";

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "replay",
    .summary = "publishes the messages of a file, such as that of a crash report",
    .args_schema = args_schema,
    .create = create,
    .start = start,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
