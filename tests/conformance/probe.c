/* SPDX-License-Identifier: MIT
 *
 * The module that the conformance tests run in every way that there is (probe.h says what it can
 * do).
 *
 * PROBE_MANY: by receive_many. PROBE_SOURCE: it receives nothing. PROBE_BLOCKING: with that flag.
 */
#include "probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef PROBE_BLOCKING
#define PROBE_FLAGS WEIR_MODULE_BLOCKING
#else
#define PROBE_FLAGS 0u
#endif

long probe_number(const json_t *object, const char *key)
{
    return (long)json_integer_value(json_object_get(object, key));
}

bool probe_wants(const probe *self, const char *object, const char *call)
{
    const char *in = json_string_value(json_object_get(json_object_get(self->args, object), "in"));
    return in != NULL && strcmp(in, call) == 0;
}

/* The process comes to its end in the middle of a call, if it is to. */
static void end_process(const probe *self, const char *call)
{
    if (!probe_wants(self, "end", call)) {
        return;
    }
    const json_t *end = json_object_get(self->args, "end");
    if (strcmp(json_string_value(json_object_get(end, "how")), "exit") == 0) {
        _Exit((int)probe_number(end, "status"));
    }
    abort();
}

/* What happens in each call: it is written down, and is alone. */
static void enter(probe *self, const char *call)
{
    if (atomic_exchange(&self->in_call, true)) {
        probe_write(&self->trace, "%s while another call runs", call);
    }
    end_process(self, call);
    probe_publish_in(self, call);
}

static void leave(probe *self)
{
    atomic_store(&self->in_call, false);
}

static weir_err fail_if_wanted(const probe *self, const char *call)
{
    if (!probe_wants(self, "fail", call)) {
        return WEIR_OK;
    }
    const json_t *text = json_object_get(json_object_get(self->args, "fail"), "text");
    return weir_fail(self->host, WEIR_ERR_IO, "%s", json_string_value(text));
}

static void free_probe(probe *self)
{
    if (self->trace.file != NULL) {
        probe_trace_close(&self->trace);
    }
    json_decref(self->args);
    free(self);
}

static weir_err init(probe *self, weir_host *host, const char *args)
{
    self->host = host;
    self->args = json_loads(args, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    self->name = json_string_value(json_object_get(self->args, "name"));
    const char *path = json_string_value(json_object_get(self->args, "trace"));
    path = path != NULL ? path : getenv(PROBE_TRACE);
    if (path == NULL) {
        return weir_fail(host, WEIR_ERR_INVALID, "neither args nor " PROBE_TRACE " name a trace");
    }
    if (!probe_trace_open(&self->trace, path)) {
        return weir_fail(host, WEIR_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    return WEIR_OK;
}

static weir_err create(weir_host *host, const char *args, void **out)
{
    probe *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    weir_err err = init(self, host, args);
    if (err == WEIR_OK) {
        probe_write(&self->trace, "create");
        probe_write(&self->trace, "host %s", weir_host_name(host));
        probe_write(&self->trace, "args %s", args);
        enter(self, "create");
        err = fail_if_wanted(self, "create");
        leave(self);
    }
    if (err != WEIR_OK) {
        free_probe(self);
        return err;
    }
    probe_start_threads(self, "create");
    *out = self;
    return WEIR_OK;
}

static void wait_at_gate(const probe *self, const char *key)
{
    const char *path = json_string_value(json_object_get(self->args, key));
    FILE *gate = path == NULL ? NULL : fopen(path, "rb");
    if (gate != NULL) {
        (void)fclose(gate);
    }
}

static weir_err start(void *arg)
{
    probe *self = arg;
    probe_write(&self->trace, "start");
    weir_log(self->host, WEIR_LOG_INFO, "the probe starts");
    enter(self, "start");
    probe_start_threads(self, "start");
    wait_at_gate(self, "start gate");
    weir_err err = fail_if_wanted(self, "start");
    leave(self);
    probe_write(&self->trace, "started");
    return err;
}

#ifndef PROBE_SOURCE
static void echo(probe *self, weir_message *msg)
{
    const json_t *how = json_object_get(self->args, "echo");
    weir_err err = WEIR_OK;
    if (json_is_string(how)) {
        err = weir_try_publish(self->host, msg);
    } else if (json_is_true(how)) {
        err = weir_publish(self->host, msg);
    }
    if (err != WEIR_OK) {
        probe_write(&self->trace, "cannot echo: %s", weir_err_name(err));
    }
}

static void take(probe *self, weir_message *msg)
{
    enter(self, "receive");
    wait_at_gate(self, "gate");
    probe_write_message(&self->trace, msg);
    echo(self, msg);
    leave(self);
}
#endif

#ifdef PROBE_MANY
static void receive_many(void *self, weir_message **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        take(self, msgs[i]);
    }
}
#elif !defined(PROBE_SOURCE)
static void receive(void *self, weir_message *msg)
{
    take(self, msg);
}
#endif

static void destroy(void *arg)
{
    probe *self = arg;
    probe_write(&self->trace, "destroy");
    enter(self, "destroy");
    probe_join_threads(self);
    leave(self);
    probe_write(&self->trace, "gone");
    free_probe(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "probe",
    .summary = "does what its args say and writes down what happens to it",
    .flags = PROBE_FLAGS,
    .create = create,
    .start = start,
#ifdef PROBE_MANY
    .receive_many = receive_many,
#elif !defined(PROBE_SOURCE)
    .receive = receive,
#endif
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
