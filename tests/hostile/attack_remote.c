/* SPDX-License-Identifier: MIT
 *
 * Attacks of a gateway on a remote module, which echoes. In between a good gateway comes, and must
 * be served.
 */
#include "attack.h"

#include "bursts.h"
#include "wire.h"

/* Connections between two good sessions. */
#define GOOD_EVERY 100u
#define GOOD_MESSAGES 20u
#define MESSAGE_CONNECTIONS_MAX 8u
#define BUSY_MS 10

typedef struct stage {
    attacker *a;
    wire wire;
    burst burst;
    char uri[128];
    char messages_path[108];
} stage;

static void begin_stage(stage *s, attacker *a)
{
    *s = (stage){.a = a};
    (void)snprintf(s->messages_path, sizeof(s->messages_path), "%s/m", a->folder);
    (void)snprintf(s->uri, sizeof(s->uri), "%sm", WR_IPC_SCHEME); /* in its working folder */
}

static void connect_control(stage *s)
{
    wr_stream *stream = NULL;
    wire_close(&s->wire);
    REQUIRE(wr_stream_connect(s->a->control_path, &stream, NULL) == WEIR_OK);
    wire_open_control(&s->wire, stream);
}

/* Created and started. False: it turned us away, as the last connection is not yet over for it. */
static bool begin_session(stage *s, bool extended)
{
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = s->uri, .args = s->a->args};
    create.extension.present = extended;
    connect_control(s);
    if (!wire_send_control(&s->wire, &create) || !wire_wait_count(&s->wire, &s->wire.creates, 1)) {
        return false;
    }
    REQUIRE(s->wire.last.type == WR_CONTROL_REPLY && s->wire.last.status == WR_REPLY_CREATED);
    return wire_send_control(&s->wire, &(wr_control_message){.type = WR_CONTROL_START});
}

static void connect_messages(stage *s)
{
    wr_stream *stream = NULL;
    REQUIRE(wr_stream_connect(s->messages_path, &stream, NULL) == WEIR_OK);
    wire_open_messages(&s->wire, stream);
}

/* What earlier sessions left in the remote's queue may come first. */
static bool try_good_session(stage *s)
{
    if (!begin_session(s, true)) {
        return false;
    }
    connect_messages(s);
    s->wire.good = fuzz_next(&s->a->random) | 1;
    for (uint64_t i = 0; i < GOOD_MESSAGES; i++) {
        fuzz_peer_numbers(&s->wire.messages, s->wire.good, i, 0);
    }
    while (s->wire.echoed < GOOD_MESSAGES) {
        REQUIRE(!s->wire.messages.ended);
        wire_wait(&s->wire, WIRE_PATIENCE_MS);
    }
    (void)wire_send_control(&s->wire, &(wr_control_message){.type = WR_CONTROL_DESTROY});
    wire_wait_end(&s->wire, &s->wire.messages);
    return true;
}

static void good_session(stage *s)
{
    while (!try_good_session(s)) {
        wire_wait(&s->wire, BUSY_MS);
    }
    atomic_fetch_add(&s->a->plan->served, 1);
}

static void count(stage *s)
{
    attack_plan *plan = s->a->plan;
    atomic_fetch_add(&plan->counted, s->burst.counted);
    atomic_fetch_add(&plan->accepted, s->burst.accepted);
    if (atomic_fetch_add(&plan->connections, 1) % GOOD_EVERY == 0) {
        good_session(s);
        wire_close(&s->wire);
    }
}

static void end_stage(stage *s)
{
    good_session(s);
    wire_close(&s->wire);
    burst_deinit(&s->burst);
    atomic_fetch_sub(&s->a->plan->running, 1);
}

/* One message connection after the other, as the control connection stays. */
static void attack_session(stage *s)
{
    size_t left = MESSAGE_CONNECTIONS_MAX;
    while (left > 0 && s->wire.control.stream != NULL && !s->wire.control.ended) {
        connect_messages(s);
        burst_messages(&s->burst, &s->a->random);
        (void)wire_send(&s->wire, &s->wire.messages, s->burst.bytes.data, s->burst.bytes.size);
        wire_wait_end(&s->wire, &s->wire.messages);
        count(s);
        left--;
    }
}

void attack_remote_messages(void *arg)
{
    stage s;
    begin_stage(&s, arg);
    while (!attack_is_over(s.a->plan)) {
        if (begin_session(&s, fuzz_one_in(&s.a->random, 2))) {
            attack_session(&s);
        }
    }
    end_stage(&s);
}

void attack_remote_control(void *arg)
{
    stage s;
    begin_stage(&s, arg);
    while (!attack_is_over(s.a->plan)) {
        connect_control(&s);
        burst_orders(&s.burst, &s.a->random, s.uri, s.a->args);
        (void)wire_send(&s.wire, &s.wire.control, s.burst.bytes.data, s.burst.bytes.size);
        wire_wait_end(&s.wire, &s.wire.control);
        if (s.wire.control.greeted) { /* else it turned us away */
            count(&s);
        }
    }
    end_stage(&s);
}
