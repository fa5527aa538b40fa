/* SPDX-License-Identifier: MIT
 *
 * A module of which the step fails that args name, "create" or "start", without a reason and with
 * an error that is not about modules. It says in the log when it is started.
 */
#include <stdlib.h>
#include <string.h>

#include "weir/module.h"

typedef struct fails {
    weir_host *host;
    bool at_start;
} fails;

static weir_err create(weir_host *host, const char *args, void **self)
{
    if (strcmp(args, "\"create\"") == 0) {
        return WEIR_ERR_FULL;
    }
    fails *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->at_start = strcmp(args, "\"start\"") == 0;
    *self = made;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    fails *self = arg;
    weir_log(self->host, WEIR_LOG_INFO, "starts");
    return self->at_start ? WEIR_ERR_FULL : WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    (void)self;
    (void)msg;
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "fails",
    .summary = "fails where it is told to",
    .create = create,
    .start = start,
    .receive = receive,
    .destroy = free,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
