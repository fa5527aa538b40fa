/* SPDX-License-Identifier: MIT
 *
 * A sink that is done with each message at once.
 */
#include "weir/module.h"

static weir_err create(weir_host *host, const char *args, void **self)
{
    (void)args;
    *self = host;
    return WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    (void)self;
    (void)msg;
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "swallow",
    .summary = "is done with each message at once",
    .create = create,
    .receive = receive,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
