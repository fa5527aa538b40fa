/* SPDX-License-Identifier: MIT
 *
 * What a probe publishes (contract in probe.h). The content of a message says who published it,
 * where, and as which one from 0 on: "source start 2", "source 0 17" for its thread 0.
 */
#include <stdlib.h>
#include <string.h>

#include "probe.h"

static weir_err publish_text(probe *self, const char *where, long number)
{
    char content[128];
    weir_message *msg = NULL;
    int size = snprintf(content, sizeof(content), "%s %s %ld", self->name, where, number);
    weir_err err = weir_message_new(NULL, 0, content, (size_t)size, &msg);
    if (err == WEIR_OK) {
        err = weir_publish(self->host, msg);
    }
    weir_message_unref(msg);
    return err;
}

void probe_publish_in(probe *self, const char *call)
{
    long count = probe_number(json_object_get(self->args, "publish"), call);
    for (long i = 0; i < count; i++) {
        weir_err err = publish_text(self, call, i);
        if (err != WEIR_OK) {
            probe_write(&self->trace, "%s cannot publish: %s", call, weir_err_name(err));
        }
    }
}

/* Threads */

static weir_err make_sized(long number, size_t size, weir_message **out)
{
    char text[32];
    void *content = NULL;
    (void)snprintf(text, sizeof(text), "%ld", number);
    const weir_property properties[] = {
        {.name = "number", .value = text},
        {.name = "größe", .value = "grün"},
        {.name = "empty", .value = ""},
    };
    weir_err err = weir_message_reserve(properties, 3, size, &content, out);
    for (size_t i = 0; err == WEIR_OK && i < size; i++) {
        ((unsigned char *)content)[i] = (unsigned char)(i * 31u + (size_t)number);
    }
    return err;
}

static weir_err make_text(const probe_thread *thread, long number, weir_message **out)
{
    char content[128];
    int size = snprintf(content, sizeof(content), "%s %d %ld", thread->probe->name, thread->number,
                        number);
    return weir_message_new(NULL, 0, content, (size_t)size, out);
}

static weir_err make_message(const probe_thread *thread, long number, weir_message **out)
{
    json_t *sizes = json_object_get(thread->probe->args, "sizes");
    size_t count = json_array_size(sizes);
    if (count == 0) {
        return make_text(thread, number, out);
    }
    json_t *size = json_array_get(sizes, (size_t)number % count);
    return make_sized(number, (size_t)json_integer_value(size), out);
}

/* By weir_try_publish a full sink is written down once, and waited for as weir_publish does it. */
static weir_err publish(probe *self, weir_message *msg, bool try, bool *full)
{
    weir_err err = try ? weir_try_publish(self->host, msg) : weir_publish(self->host, msg);
    if (err != WEIR_ERR_FULL) {
        return err;
    }
    if (!*full) {
        *full = true;
        probe_write(&self->trace, "full");
    }
    return weir_publish(self->host, msg);
}

static weir_err publish_next(const probe_thread *thread, long number, bool try, bool *full)
{
    weir_message *msg = NULL;
    weir_err err = make_message(thread, number, &msg);
    if (err == WEIR_OK) {
        err = publish(thread->probe, msg, try, full);
    }
    weir_message_unref(msg);
    return err;
}

static void *publish_all(void *arg)
{
    const probe_thread *thread = arg;
    probe *self = thread->probe;
    const json_t *options = json_object_get(self->args, "threads");
    long wanted = probe_number(options, "messages");
    bool try = json_is_true(json_object_get(options, "try"));
    bool full = false;
    long number = 0;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK && (wanted == 0 ? !atomic_load(&self->stopping) : number < wanted)) {
        err = publish_next(thread, number, try, &full);
        number += err == WEIR_OK;
    }
    probe_write(&self->trace, "thread %d published %ld, the last: %s", thread->number, number,
                weir_err_name(err));
    return NULL;
}

void probe_start_threads(probe *self, const char *call)
{
    const json_t *options = json_object_get(self->args, "threads");
    const char *from = json_string_value(json_object_get(options, "from"));
    if (from == NULL || strcmp(from, call) != 0) {
        return;
    }
    long count = probe_number(options, "count");
    for (int i = 0; i < count && i < PROBE_THREADS_MAX; i++) {
        probe_thread *thread = &self->threads[i];
        thread->probe = self;
        thread->number = i;
        thread->started = pthread_create(&thread->thread, NULL, publish_all, thread) == 0;
        if (!thread->started) {
            probe_write(&self->trace, "thread %d cannot be started", i);
        }
    }
}

void probe_join_threads(probe *self)
{
    atomic_store(&self->stopping, true);
    for (int i = 0; i < PROBE_THREADS_MAX; i++) {
        if (self->threads[i].started) {
            (void)pthread_join(self->threads[i].thread, NULL);
        }
    }
}
