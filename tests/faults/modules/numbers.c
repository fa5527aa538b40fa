/* SPDX-License-Identifier: MIT
 *
 * A source of numbered messages at a rate, on a thread of its own.
 *
 * args: {"tally": PATH, "rate": MESSAGES/S}. It begins where the tally says, and waits at its
 * limit.
 */
#define _POSIX_C_SOURCE 200809L
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tally.h"

#define NS_PER_S UINT64_C(1000000000)
#define STEP_NS UINT64_C(1000000)
#define CATCH_UP_NS (20 * STEP_NS)

typedef struct numbers {
    weir_host *host;
    tally *counts;
    uint64_t rate;
    pthread_t thread;
    bool started;
    _Atomic bool stopping; /* set by destroy */
} numbers;

/* A message that is not taken was dropped by nobody yet: the number is tried again. */
static void publish_next(numbers *self)
{
    weir_message *msg = NULL;
    uint64_t number = atomic_load(&self->counts->published);
    weir_err err = tally_make_message(self->counts, number, &msg);
    if (err == WEIR_OK) {
        err = weir_publish(self->host, msg);
        weir_message_unref(msg);
    }
    if (err == WEIR_OK) {
        atomic_store(&self->counts->published, number + 1);
    } else {
        atomic_fetch_add(&self->counts->refused, 1);
    }
}

static bool may_publish(const numbers *self)
{
    return !atomic_load(&self->stopping) &&
           atomic_load(&self->counts->published) < atomic_load(&self->counts->limit);
}

/* About a millisecond's messages at a time. A source that was held up catches up a little only. */
static void *publish_all(void *arg)
{
    numbers *self = arg;
    uint64_t due_ns = tally_now_ns();
    while (!atomic_load(&self->stopping)) {
        uint64_t now = tally_now_ns();
        due_ns = due_ns + CATCH_UP_NS < now ? now - CATCH_UP_NS : due_ns;
        for (; due_ns < now && may_publish(self); due_ns += NS_PER_S / self->rate) {
            publish_next(self);
        }
        struct timespec pause = {0, (long)STEP_NS};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void destroy(void *arg)
{
    numbers *self = arg;
    atomic_store(&self->stopping, true);
    if (self->started) {
        (void)pthread_join(self->thread, NULL);
    }
    tally_close(self->counts);
    free(self);
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    numbers *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->counts = tally_open(host, args);
    if (made->counts == NULL) {
        destroy(made);
        return WEIR_ERR_CONFIG;
    }
    json_t *json = json_loads(args, 0, NULL);
    made->rate = (uint64_t)json_integer_value(json_object_get(json, "rate"));
    json_decref(json);
    if (made->rate == 0 || made->rate > NS_PER_S) {
        destroy(made);
        return weir_fail(host, WEIR_ERR_CONFIG, "args.rate: expected a number from 1 on");
    }
    *self = made;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    numbers *self = arg;
    int failure = pthread_create(&self->thread, NULL, publish_all, self);
    if (failure != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "cannot start a thread: %s",
                         strerror(failure));
    }
    self->started = true;
    return WEIR_OK;
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "numbers",
        .summary = "publishes numbered messages at a rate",
        .create = create,
        .start = start,
        .destroy = destroy,
    };
    return &api;
}
