/* SPDX-License-Identifier: MIT
 *
 * A sink whose receive returns from its first message only when somebody opens the named pipe of
 * args, a string, for writing. With STAY_BLOCKING it says of itself that it blocks.
 */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/module.h"

#ifdef STAY_BLOCKING
#define FLAGS WEIR_MODULE_BLOCKING
#else
#define FLAGS 0
#endif

typedef struct stay {
    weir_host *host;
    char *pipe;
    bool stayed;
} stay;

static weir_err create(weir_host *host, const char *args, void **self)
{
    size_t size = strlen(args);
    if (size < 3 || args[0] != '"') {
        return weir_fail(host, WEIR_ERR_CONFIG, "args: expected the path of a named pipe");
    }
    stay *made = calloc(1, sizeof(*made));
    char *pipe = calloc(1, size);
    if (made == NULL || pipe == NULL) {
        free(made);
        free(pipe);
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    memcpy(pipe, args + 1, size - 2);
    made->host = host;
    made->pipe = pipe;
    *self = made;
    return WEIR_OK;
}

static void receive(void *arg, weir_message *msg)
{
    (void)msg;
    stay *self = arg;
    if (self->stayed) {
        return;
    }
    self->stayed = true;
    weir_log(self->host, WEIR_LOG_INFO, "stays");
    int fd = open(self->pipe, O_RDONLY | O_CLOEXEC); /* waits for the other end */
    if (fd >= 0) {
        (void)close(fd);
    } else {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot open %s", self->pipe);
    }
}

static void destroy(void *arg)
{
    stay *self = arg;
    free(self->pipe);
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "stay",
    .summary = "stays in receive until it is let go",
    .flags = FLAGS,
    .create = create,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
