/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives: a link of a chain, and an echo in a process of its own.
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
    weir_err err = weir_publish(self, msg);
    if (err != WEIR_OK) {
        weir_log(self, WEIR_LOG_ERROR, "a message is not passed on: %s", weir_err_text(err));
    }
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "bench_forward",
        .summary = "publishes each message that it receives",
        .create = create,
        .receive = receive,
    };
    return &api;
}
