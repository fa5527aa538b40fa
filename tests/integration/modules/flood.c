/* SPDX-License-Identifier: MIT
 *
 * A source that publishes as fast as it can, on a thread of its own: args is the number of
 * messages, or null for no end. Each message is 1 KiB of text that begins with its number, counted
 * from 0.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/module.h"

#define CONTENT_SIZE 1024

typedef struct flood {
    weir_host *host;
    unsigned long long count; /* 0: no end */
    pthread_t thread;
    bool started;
    _Atomic bool stopping; /* set by destroy */
} flood;

static weir_err create(weir_host *host, const char *args, void **self)
{
    flood *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->count = strtoull(args, NULL, 10); /* "null" is no number */
    *self = made;
    return WEIR_OK;
}

static weir_err publish_number(flood *self, unsigned long long number)
{
    char content[CONTENT_SIZE];
    memset(content, ' ', sizeof(content));
    int digits = snprintf(content, sizeof(content), "%llu", number);
    content[digits] = ' ';
    weir_message *msg = NULL;
    weir_err err = weir_message_new(NULL, 0, content, sizeof(content), &msg);
    if (err == WEIR_OK) {
        err = weir_publish(self->host, msg);
    }
    weir_message_unref(msg);
    return err;
}

static void *publish_all(void *arg)
{
    flood *self = arg;
    weir_err err = WEIR_OK;
    unsigned long long number = 0;
    while (err == WEIR_OK && !atomic_load(&self->stopping) &&
           (self->count == 0 || number < self->count)) {
        err = publish_number(self, number++);
    }
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
    return NULL;
}

static weir_err start(void *arg)
{
    flood *self = arg;
    int failure = pthread_create(&self->thread, NULL, publish_all, self);
    if (failure != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "cannot start a thread: %s",
                         strerror(failure));
    }
    self->started = true;
    return WEIR_OK;
}

static void destroy(void *arg)
{
    flood *self = arg;
    atomic_store(&self->stopping, true);
    if (self->started) {
        (void)pthread_join(self->thread, NULL);
    }
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "flood",
    .summary = "publishes as fast as it can",
    .create = create,
    .start = start,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
