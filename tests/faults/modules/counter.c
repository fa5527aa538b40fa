/* SPDX-License-Identifier: MIT
 *
 * Counts and checks the numbered messages that it receives, and publishes each again.
 *
 * args: {"tally": PATH}
 */
#include <stdlib.h>

#include "tally.h"

typedef struct counter {
    weir_host *host;
    tally *counts;
    tally_order order;
} counter;

static void destroy(void *arg)
{
    counter *self = arg;
    tally_close(self->counts);
    free(self);
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    counter *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->counts = tally_open(host, args);
    if (made->counts == NULL) {
        destroy(made);
        return WEIR_ERR_CONFIG;
    }
    *self = made;
    return WEIR_OK;
}

static void receive_many(void *arg, weir_message **msgs, size_t count)
{
    counter *self = arg;
    for (size_t i = 0; i < count; i++) {
        tally_take(self->counts, &self->order, msgs[i]);
        if (weir_publish(self->host, msgs[i]) != WEIR_OK) {
            atomic_fetch_add(&self->counts->refused, 1);
        }
    }
    tally_delay(self->counts);
}

static void receive(void *arg, weir_message *msg)
{
    receive_many(arg, &msg, 1);
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "counter",
        .summary = "counts and checks numbered messages and publishes each again",
        .flags = WEIR_MODULE_BLOCKING,
        .create = create,
        .receive = receive,
        .receive_many = receive_many,
        .destroy = destroy,
    };
    return &api;
}
