/* SPDX-License-Identifier: MIT
 *
 * A sink that checks each message, and reports to the harness when the probes and when the ends of
 * all streams have come.
 *
 * args: {"name": TEXT, "report": PATH of the harness's socket, "streams": N, "stamps": BOOL,
 *        "gaps": BOOL}
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdlib.h>

#include "../common/checker.h"
#include "weir/module.h"

typedef struct sink {
    bench_checker checker;
    json_t *args; /* owns the checker's texts */
} sink;

static weir_err create(weir_host *host, const char *args, void **out)
{
    sink *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    self->args = json_loads(args, 0, NULL);
    int streams = 0;
    int stamps = 0;
    int gaps = 0;
    int wrong =
        json_unpack(self->args, "{s:s, s:s, s:i, s:b, s:b}", "name", &self->checker.name, "report",
                    &self->checker.report, "streams", &streams, "stamps", &stamps, "gaps", &gaps);
    if (wrong != 0 || streams < 1 || streams > (int)BENCH_STREAMS_MAX) {
        json_decref(self->args);
        free(self);
        return weir_fail(host, WEIR_ERR_CONFIG, "args are not as bench_sink wants them");
    }
    self->checker.streams = (unsigned)streams;
    self->checker.stamps = stamps != 0;
    self->checker.gaps = gaps != 0;
    *out = self;
    return WEIR_OK;
}

static void receive_many(void *arg, weir_message **msgs, size_t count)
{
    sink *self = arg;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const void *content = weir_message_content(msgs[i], &size);
        bench_checker_take(&self->checker, content, size);
    }
}

static void receive(void *arg, weir_message *msg)
{
    receive_many(arg, &msg, 1);
}

static void destroy(void *arg)
{
    sink *self = arg;
    json_decref(self->args);
    free(self);
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "bench_sink",
        .summary = "checks numbered messages",
        .create = create,
        .receive = receive,
        .receive_many = receive_many,
        .destroy = destroy,
    };
    return &api;
}
