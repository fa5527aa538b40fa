/* SPDX-License-Identifier: MIT
 *
 * A module from outside: prints the content and the property "seen.by" of each message.
 */
#include <stdio.h>

#include <weir/module.h>

static weir_err create(weir_host *host, const char *args, void **self)
{
    (void)args;
    *self = host;
    return WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    (void)self;
    size_t size = 0;
    const char *content = weir_message_content(msg, &size);
    const char *seen_by = weir_message_property(msg, "seen.by");
    (void)printf("%.*s, seen by %s\n", (int)size, content, seen_by != NULL ? seen_by : "nobody");
    (void)fflush(stdout);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "print",
    .summary = "prints each message",
    .create = create,
    .receive = receive,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void);

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
