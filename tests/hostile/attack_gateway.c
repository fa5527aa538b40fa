/* SPDX-License-Identifier: MIT
 *
 * Attacks of a remote module on its gateway.
 */
#include "attack.h"

#include <string.h>

#include "bursts.h"
#include "platform/poller.h"
#include "wire.h"

/* The socket is made anew each time, which the gateway watches for; if it was not yet waiting, once
 * more after so long. */
#define COME_BACK_MS 10

typedef struct stage {
    wr_listener *control;
    wr_listener *messages;
    wire wire;
    burst burst;
} stage;

static void close_listener(wr_listener **listener)
{
    wr_listener_close(*listener);
    *listener = NULL;
}

static void wait_for_connection(const wr_listener *listener, wire *w, int timeout_ms)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    REQUIRE(wr_poller_create(&poller) == WEIR_OK);
    REQUIRE(wr_poller_set(poller, wr_listener_waitable(listener), WR_POLL_READ, &event) == WEIR_OK);
    if (w->control.stream != NULL) {
        wr_waitable control = wr_stream_waitable(w->control.stream);
        REQUIRE(wr_poller_set(poller, control, WR_POLL_READ, &event) == WEIR_OK);
    }
    (void)wr_poller_wait(poller, &event, 1, timeout_ms);
    wr_poller_destroy(poller);
}

static void come_back(stage *s, const char *path)
{
    wr_stream *stream = NULL;
    wire_close(&s->wire);
    while (stream == NULL) {
        close_listener(&s->control);
        REQUIRE(wr_listener_open(path, &s->control, NULL) == WEIR_OK);
        wait_for_connection(s->control, &s->wire, COME_BACK_MS);
        if (wr_listener_accept(s->control, &stream) != WEIR_OK) {
            stream = NULL;
        }
    }
    wire_open_control(&s->wire, stream);
}

/* The gateway opens the message channel. False: it went. */
static bool accept_messages(stage *s)
{
    wr_stream *stream = NULL;
    while (wr_listener_accept(s->messages, &stream) != WEIR_OK) {
        if (s->wire.control.ended) {
            return false;
        }
        wait_for_connection(s->messages, &s->wire, WIRE_PATIENCE_MS);
        wire_wait(&s->wire, 0);
    }
    wire_open_messages(&s->wire, stream);
    return true;
}

/* As a new instance, so that the gateway counts our messages from 0 on. */
static bool attach(stage *s, attacker *a)
{
    wr_control_message reply = {.type = WR_CONTROL_REPLY, .status = WR_REPLY_CREATED};
    come_back(s, a->control_path);
    if (!wire_wait_count(&s->wire, &s->wire.creates, 1)) {
        return false;
    }
    close_listener(&s->messages);
    REQUIRE(wr_listener_open(s->wire.uri + strlen(WR_IPC_SCHEME), &s->messages, NULL) == WEIR_OK);
    reply.extension.present = true;
    reply.extension.features = WR_FEATURE_ACKNOWLEDGE;
    uint64_t id[2] = {fuzz_next(&a->random), fuzz_next(&a->random)};
    memcpy(&reply.extension.instance, id, sizeof(id));
    reply.extension.position.received = s->wire.last.extension.position.sent;
    return wire_send_control(&s->wire, &reply) && accept_messages(s);
}

static void count(attack_plan *plan, const burst *b)
{
    atomic_fetch_add(&plan->counted, b->counted);
    atomic_fetch_add(&plan->accepted, b->accepted);
    atomic_fetch_add(&plan->connections, 1);
}

static void close_stage(stage *s)
{
    wire_close(&s->wire);
    close_listener(&s->control);
    close_listener(&s->messages);
    burst_deinit(&s->burst);
}

/* The gateway acknowledges what its broker accepted, to the last before it closes: exactly the
 * well-formed ones. */
void attack_gateway_messages(void *arg)
{
    attacker *a = arg;
    stage s = {.control = NULL};
    while (!attack_is_over(a->plan)) {
        if (!attach(&s, a)) {
            continue;
        }
        burst_messages(&s.burst, &a->random);
        (void)wire_send(&s.wire, &s.wire.messages, s.burst.bytes.data, s.burst.bytes.size);
        wire_wait_end(&s.wire, &s.wire.control);
        REQUIRE(s.wire.told == s.burst.accepted);
        count(a->plan, &s.burst);
    }
    close_stage(&s);
    atomic_fetch_sub(&a->plan->running, 1);
}

void attack_gateway_control(void *arg)
{
    attacker *a = arg;
    stage s = {.control = NULL};
    while (!attack_is_over(a->plan)) {
        come_back(&s, a->control_path);
        if (fuzz_one_in(&a->random, 2) && !wire_wait_count(&s.wire, &s.wire.creates, 1)) {
            continue;
        }
        burst_replies(&s.burst, &a->random);
        (void)wire_send(&s.wire, &s.wire.control, s.burst.bytes.data, s.burst.bytes.size);
        wire_wait_end(&s.wire, &s.wire.control);
        count(a->plan, &s.burst);
    }
    close_stage(&s);
    atomic_fetch_sub(&a->plan->running, 1);
}
