/* SPDX-License-Identifier: MIT
 *
 * See port.h. It is not linked with libweir: the program that loads it has all of that inside.
 */
#include "port.h"

static weir_err create(weir_host *host, const char *args, void **self)
{
    *self = port_opened(args, host) ? host : NULL;
    return WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    if (self != NULL) {
        port_received(msg);
    }
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "port",
        .summary = "a way in and out",
        .create = create,
        .receive = receive,
    };
    return &api;
}
