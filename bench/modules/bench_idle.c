/* SPDX-License-Identifier: MIT
 *
 * A module that does nothing and allocates nothing, to see what a module costs the gateway.
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

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "bench_idle",
        .summary = "does nothing",
        .create = create,
        .receive = receive,
    };
    return &api;
}
