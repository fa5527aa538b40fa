/* SPDX-License-Identifier: MIT
 *
 * The consumer of a native module's node (contract in instance_receive.h).
 */
#include "gateway/instance_receive.h"

bool wr_instance_can_receive(const weir_module_api *api)
{
    return api->receive != NULL || api->receive_many != NULL;
}

/* Returns how many: a module that takes long for each may be asked to end meanwhile. */
static size_t receive_each(wr_instance *instance, weir_message **msgs, size_t count)
{
    const wr_node *node = instance->node;
    bool watched = instance->watched.dog != NULL;
    void (*receive)(void *self, weir_message *msg) = instance->native.api->receive;
    void *self = instance->self;
    size_t done = 0;
    receive(self, msgs[done++]);
    while (done < count && !wr_node_is_closing(node)) {
        if (watched) {
            wr_watched_leave(&instance->watched);
            wr_watched_enter(&instance->watched);
        }
        receive(self, msgs[done++]);
    }
    return done;
}

static size_t receive_all(wr_instance *instance, weir_message **msgs, size_t count)
{
    const weir_module_api *api = instance->native.api;
    if (api->receive_many == NULL) {
        return receive_each(instance, msgs, count);
    }
    api->receive_many(instance->self, msgs, count);
    return count;
}

/* The watchdog can see each call begin and end. */
static size_t consume(void *self, weir_message **msgs, size_t count)
{
    wr_instance *instance = self;
    bool watched = instance->watched.dog != NULL;
    if (!wr_instance_can_receive(instance->native.api)) {
        wr_node_refuse(instance->node, count); /* a pure source: nobody takes it */
        return count;
    }
    if (watched) {
        wr_watched_begin(&instance->watched);
    }
    size_t done = receive_all(instance, msgs, count);
    if (watched) {
        wr_watched_leave(&instance->watched);
    }
    return done;
}

const wr_consumer wr_native_consumer = {.consume = consume};
