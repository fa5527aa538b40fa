/* SPDX-License-Identifier: MIT
 *
 * The native modules of proxy_session_fuzz, see ends.h.
 */
#include "ends.h"

#include <string.h>

#include "fuzz.h"
#include "peer.h"
#include "platform/clock.h"
#include "platform/thread.h"

#define DEADLINE_MS 60000u

/* One of the sinks. */
typedef struct end {
    ends_sink which;
    uint64_t received;
    uint64_t connection; /* of the last message; of the source's messages always 0 */
    uint64_t place;
} end;

static struct {
    wr_once once;
    wr_mutex mutex; /* guards all that follows */
    wr_cond changed;
    weir_host *source;
    uint64_t published;
    end sinks[2];
} ends = {.once = WR_ONCE_INIT};

static void init_once(void)
{
    wr_mutex_init(&ends.mutex);
    wr_cond_init(&ends.changed);
}

void ends_reset(void)
{
    wr_once_run(&ends.once, init_once);
    wr_mutex_lock(&ends.mutex);
    ends.source = NULL;
    ends.published = 0;
    ends.sinks[ENDS_SINK] = (end){.which = ENDS_SINK};
    ends.sinks[ENDS_OTHER] = (end){.which = ENDS_OTHER};
    wr_mutex_unlock(&ends.mutex);
}

weir_err ends_publish(size_t extra)
{
    weir_message *msg = fuzz_numbers_new(0, ends_published(), extra);
    weir_err err = weir_try_publish(ends.source, msg); /* the target's thread is the only one */
    weir_message_unref(msg);
    if (err == WEIR_OK) {
        wr_mutex_lock(&ends.mutex);
        ends.published++;
        wr_mutex_unlock(&ends.mutex);
    }
    return err;
}

uint64_t ends_published(void)
{
    wr_mutex_lock(&ends.mutex);
    uint64_t count = ends.published;
    wr_mutex_unlock(&ends.mutex);
    return count;
}

uint64_t ends_received(ends_sink sink)
{
    wr_mutex_lock(&ends.mutex);
    uint64_t count = ends.sinks[sink].received;
    wr_mutex_unlock(&ends.mutex);
    return count;
}

void ends_wait(ends_sink sink, uint64_t count)
{
    uint64_t deadline = wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
    wr_mutex_lock(&ends.mutex);
    while (ends.sinks[sink].received < count) {
        REQUIRE(wr_cond_wait_until(&ends.changed, &ends.mutex, deadline));
    }
    wr_mutex_unlock(&ends.mutex);
}

/* The module */

static weir_err create(weir_host *host, const char *args, void **self)
{
    if (strcmp(args, "\"source\"") == 0) {
        ends.source = host; /* before any of its messages */
        *self = NULL;
        return WEIR_OK;
    }
    *self = &ends.sinks[strcmp(args, "\"sink\"") == 0 ? ENDS_SINK : ENDS_OTHER];
    return WEIR_OK;
}

/* From each connection, and from the source, one after the other, from the first on. */
static void check_place(end *sink, uint64_t connection, uint64_t place)
{
    bool goes_on = sink->received > 0 && connection == sink->connection;
    REQUIRE(place == (goes_on ? sink->place + 1 : 0));
    sink->connection = connection;
    sink->place = place;
}

static void receive(void *self, weir_message *msg)
{
    end *sink = self;
    uint64_t connection;
    uint64_t place;
    bool ours = fuzz_numbers_of(msg, &connection, &place);
    if (!ours || (sink->which == ENDS_SINK && connection == 0)) {
        return; /* the latter: one of the source's, given back */
    }
    wr_mutex_lock(&ends.mutex);
    check_place(sink, connection, place);
    sink->received++;
    wr_cond_broadcast(&ends.changed);
    wr_mutex_unlock(&ends.mutex);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "ends",
    .summary = "source and sinks of a fuzzed gateway",
    .create = create,
    .receive = receive,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
