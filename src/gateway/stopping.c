/* SPDX-License-Identifier: MIT
 *
 * Stopping a gateway's modules: wave by wave, sources first, those of a wave side by side.
 *
 * Half of the grace period goes to who needs it first, the other half to all steps in equal parts:
 * one slow module may take its time, and one that does not end at all leaves the others theirs.
 * What native modules take to return from receive and to be destroyed is nobody's part: it cannot
 * be cut short, and the end of the grace period is put off by as much.
 */
#include <stdlib.h>

#include "gateway/gateway_internal.h"
#include "platform/clock.h"

typedef struct stopping {
    weir_gateway *gateway;
    wr_instance **order; /* NULL: out of memory, and they stop one by one, as they were added */
    size_t *waves;       /* the number of each one's wave, in this order */
    uint64_t deadline_ns;
    uint64_t part_ns; /* of the grace period, for each step at least */
    size_t parts;     /* steps to come */
} stopping;

/* Some of one wave, in the stopping order. */
typedef struct wave {
    size_t begin;
    size_t end;
    bool remote;        /* one of them is */
    uint64_t return_ns; /* until then they work off what is queued, and return from receive */
    uint64_t let_go_ns; /* and remote ones let go */
} wave;

static wr_instance *instance_at(const stopping *stop, size_t place)
{
    return stop->order != NULL ? stop->order[place] : stop->gateway->instances[place];
}

static bool is_remote(const stopping *stop, size_t place)
{
    return instance_at(stop, place)->proxy != NULL;
}

static bool same_wave(const stopping *stop, size_t a, size_t b)
{
    return stop->order != NULL ? stop->waves[a] == stop->waves[b] : a == b;
}

/* False: there is none after `last`. */
static bool next_wave(const stopping *stop, wave *last)
{
    wave next = {.begin = last->end, .end = last->end};
    while (next.end < stop->gateway->count && same_wave(stop, next.begin, next.end)) {
        next.remote = next.remote || is_remote(stop, next.end);
        next.end++;
    }
    *last = next;
    return next.end > next.begin;
}

/* What is queued is worked off; then remote modules let go. */
static size_t count_parts(const stopping *stop)
{
    size_t parts = 0;
    wave w = {.end = 0};
    while (next_wave(stop, &w)) {
        parts += w.remote ? 2 : 1;
    }
    return parts;
}

/* When the next step's part of the time is over: the steps after it keep theirs. */
static uint64_t take_part(stopping *stop)
{
    stop->parts--;
    uint64_t end_ns = stop->deadline_ns - stop->parts * stop->part_ns;
    uint64_t now = wr_clock_ns();
    return end_ns > now ? end_ns : now;
}

static weir_err end_kind(const stopping *stop, const wave *w, bool remote)
{
    weir_err result = WEIR_OK;
    for (size_t i = w->begin; i < w->end; i++) {
        if (is_remote(stop, i) == remote &&
            wr_instance_end(instance_at(stop, i), stop->gateway->broker, w->return_ns,
                            w->let_go_ns) != WEIR_OK) {
            result = WEIR_ERR_TIMEOUT;
        }
    }
    return result;
}

static weir_err end_native(stopping *stop, const wave *w)
{
    uint64_t before = wr_clock_ns();
    weir_err err = end_kind(stop, w, false);
    stop->deadline_ns += wr_clock_ns() - before;
    return err;
}

/* Remote ones first: they let go while the native ones are destroyed. */
static weir_err stop_wave(stopping *stop, wave *w)
{
    w->return_ns = take_part(stop);
    for (size_t i = w->begin; i < w->end; i++) {
        wr_instance_drain(instance_at(stop, i), stop->gateway->broker, w->return_ns);
    }
    w->let_go_ns = w->remote ? take_part(stop) : w->return_ns;
    weir_err ended = end_kind(stop, w, true);
    weir_err destroyed = end_native(stop, w);
    for (size_t i = w->begin; i < w->end; i++) {
        wr_instance_wait_let_go(instance_at(stop, i));
    }
    return ended != WEIR_OK ? ended : destroyed;
}

/* When the order is known: the modules have all of the time. */
static void set_times(stopping *stop)
{
    stop->deadline_ns = wr_gateway_stop_deadline(stop->gateway);
    stop->parts = count_parts(stop);
    uint64_t now = wr_clock_ns();
    if (stop->parts > 0 && stop->deadline_ns > now) {
        stop->part_ns = (stop->deadline_ns - now) / 2 / stop->parts;
    }
}

static void free_order(stopping *stop)
{
    free(stop->order);
    free(stop->waves);
    stop->order = NULL;
    stop->waves = NULL;
}

static void set_order(stopping *stop)
{
    weir_gateway *gateway = stop->gateway;
    wr_node **nodes = calloc(gateway->count + 1, sizeof(wr_node *));
    stop->order = calloc(gateway->count + 1, sizeof(wr_instance *));
    stop->waves = calloc(gateway->count + 1, sizeof(*stop->waves));
    for (size_t i = 0; nodes != NULL && i < gateway->count; i++) {
        nodes[i] = gateway->instances[i]->node;
    }
    if (nodes == NULL || stop->order == NULL || stop->waves == NULL ||
        wr_broker_order(gateway->broker, nodes, gateway->count, stop->waves) != WEIR_OK) {
        free(nodes);
        free_order(stop);
        return;
    }
    for (size_t i = 0; i < gateway->count; i++) {
        stop->order[i] = wr_gateway_find(gateway, nodes[i]->name);
    }
    free(nodes);
}

weir_err wr_gateway_stop_all(weir_gateway *gateway)
{
    stopping stop = {.gateway = gateway};
    weir_err result = WEIR_OK;
    wave w = {.end = 0};
    set_order(&stop);
    set_times(&stop);
    while (next_wave(&stop, &w)) {
        if (stop_wave(&stop, &w) != WEIR_OK) {
            gateway->stuck = true;
            result = WEIR_ERR_TIMEOUT;
        }
    }
    free_order(&stop);
    for (size_t i = 0; i < gateway->count; i++) {
        wr_instance_join(gateway->instances[i]); /* they had their grace periods side by side */
    }
    if (!gateway->stuck) {
        wr_broker_purge(gateway->broker);
    }
    return result;
}
