/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives. Before that it stays in the function that args, a
 * string, name, "create" or "start", until somebody opens the named pipe late.pipe for writing.
 */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/module.h"

typedef struct late {
    weir_host *host;
    bool in_start;
} late;

static weir_err stay(weir_host *host, const char *where)
{
    weir_log(host, WEIR_LOG_INFO, "stays in %s", where);
    int fd = open("late.pipe", O_RDONLY | O_CLOEXEC); /* waits for the other end */
    if (fd < 0) {
        return weir_fail(host, WEIR_ERR_IO, "cannot open late.pipe");
    }
    (void)close(fd);
    return WEIR_OK;
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    bool in_start = strcmp(args, "\"start\"") == 0;
    weir_err err = in_start ? WEIR_OK : stay(host, "create");
    if (err != WEIR_OK) {
        return err;
    }
    late *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->in_start = in_start;
    *self = made;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    late *self = arg;
    return self->in_start ? stay(self->host, "start") : WEIR_OK;
}

static void receive(void *arg, weir_message *msg)
{
    late *self = arg;
    weir_err err = weir_publish(self->host, msg);
    if (err != WEIR_OK) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
}

static void destroy(void *self)
{
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "late",
    .summary = "stays in create or start until it is let go",
    .create = create,
    .start = start,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
