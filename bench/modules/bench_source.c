/* SPDX-License-Identifier: MIT
 *
 * A source that publishes numbered messages on threads of its own. It sends a probe down each
 * stream, and begins when the harness says so.
 *
 * args: {"go": PATH of its socket, "size": BYTES, "seconds": S, "rate": MESSAGES/S (0: no limit),
 *        "threads": N, "stream": NUMBER of the first, "stamps": BOOL}
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "../common/generator.h"
#include "../common/report.h"
#include "weir/module.h"

#define THREADS_MAX 8

typedef struct source source;

typedef struct lane {
    source *owner;
    bench_plan plan;
    pthread_t thread;
} lane;

struct source {
    weir_host *host;
    int go;
    int threads;
    int started;
    lane lanes[THREADS_MAX];
};

static bool emit(void *arg, uint64_t id, uint64_t second)
{
    lane *from = arg;
    void *content;
    weir_message *msg;
    if (weir_message_reserve(NULL, 0, from->plan.size, &content, &msg) != WEIR_OK) {
        return false;
    }
    bench_fill(content, from->plan.size, id, second);
    weir_err err = weir_publish(from->owner->host, msg);
    weir_message_unref(msg);
    return err == WEIR_OK;
}

static bool flush(void *arg)
{
    (void)arg;
    return true;
}

static void generate(lane *from)
{
    bench_sender sender = {emit, flush, from};
    if (!bench_generate(&from->plan, &sender)) {
        weir_log(from->owner->host, WEIR_LOG_WARN, "stream %u was cut short", from->plan.stream);
    }
}

static void *run_lane(void *arg)
{
    generate(arg);
    return NULL;
}

static void *run_first(void *arg)
{
    source *self = arg;
    for (int i = 0; i < self->threads; i++) {
        if (!emit(&self->lanes[i], bench_id(BENCH_PROBE, self->lanes[i].plan.stream, 0), 0)) {
            return NULL;
        }
    }
    if (!bench_wait_for_go(self->go)) {
        return NULL;
    }
    int others = 1;
    while (others < self->threads &&
           pthread_create(&self->lanes[others].thread, NULL, run_lane, &self->lanes[others]) == 0) {
        others++;
    }
    generate(&self->lanes[0]);
    while (--others > 0) {
        (void)pthread_join(self->lanes[others].thread, NULL);
    }
    return NULL;
}

static weir_err read_args(source *self, const char *args)
{
    json_t *json = json_loads(args, 0, NULL);
    const char *go;
    json_int_t size;
    double seconds;
    json_int_t rate;
    json_int_t stream;
    int stamps;
    int wrong = json_unpack(json, "{s:s, s:I, s:F, s:I, s:i, s:I, s:b}", "go", &go, "size", &size,
                            "seconds", &seconds, "rate", &rate, "threads", &self->threads, "stream",
                            &stream, "stamps", &stamps);
    if (wrong != 0 || self->threads < 1 || self->threads > THREADS_MAX ||
        size < (json_int_t)BENCH_SIZE_MIN) {
        json_decref(json);
        return weir_fail(self->host, WEIR_ERR_CONFIG, "args are not as bench_source wants them");
    }
    for (int i = 0; i < self->threads; i++) {
        bench_plan plan = {.duration_ns = (uint64_t)(seconds * 1e9),
                           .rate = (uint64_t)rate,
                           .size = (size_t)size,
                           .stream = (unsigned)stream + (unsigned)i,
                           .stamps = stamps != 0};
        self->lanes[i].owner = self;
        self->lanes[i].plan = plan;
    }
    self->go = bench_listen(go);
    json_decref(json);
    return self->go >= 0 ? WEIR_OK : weir_fail(self->host, WEIR_ERR_IO, "cannot bind \"go\"");
}

static weir_err create(weir_host *host, const char *args, void **out)
{
    source *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    self->host = host;
    weir_err err = read_args(self, args);
    if (err != WEIR_OK) {
        free(self);
        return err;
    }
    *out = self;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    source *self = arg;
    self->started = pthread_create(&self->lanes[0].thread, NULL, run_first, self) == 0;
    return self->started ? WEIR_OK : weir_fail(self->host, WEIR_ERR_MEMORY, "no thread");
}

static void destroy(void *arg)
{
    source *self = arg;
    (void)shutdown(self->go, SHUT_RDWR);
    if (self->started) {
        (void)pthread_join(self->lanes[0].thread, NULL);
    }
    (void)close(self->go);
    free(self);
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "bench_source",
        .summary = "publishes numbered messages",
        .create = create,
        .start = start,
        .destroy = destroy,
    };
    return &api;
}
