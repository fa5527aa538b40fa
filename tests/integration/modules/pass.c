/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives.
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
    weir_host *host = self;
    weir_err err = weir_publish(host, msg);
    if (err != WEIR_OK) {
        weir_log(host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "pass",
    .summary = "publishes each message that it receives",
    .create = create,
    .receive = receive,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
