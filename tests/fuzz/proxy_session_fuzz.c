/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: a whole remote process, hostile or odd, as a script (script.h) against a gateway
 * that is embedded in this program: source -> remote module (we) -> sink          source -> other
 *
 * Required, whatever the script does: Weir's bytes are well-formed and its accounts consistent;
 * each link's equation is exact at any time; the other links lose nothing; where every reply agreed
 * on acknowledgement and the queue blocks, no message to the remote module is lost; a good remote
 * afterwards is served; nothing is left behind. Nothing sleeps: a step that waits does so for an
 * event, and not for long where none need come.
 */
#include <string.h>

#include "embedded.h"
#include "ends.h"
#include "peer.h"
#include "platform/clock.h"
#include "platform/poller.h"
#include "script.h"

#define WAIT_MS 1
#define SOON_MS 5
/* For what must come: only a broken gateway takes so long. */
#define DEADLINE_MS 20000u
#define PATH_SIZE 108u
#define INSTANCES 3u
#define GOOD_MESSAGES 3u

typedef struct play {
    weir_gateway *gateway;
    wr_listener *control_listener;
    wr_listener *message_listener;
    fuzz_peer control;
    fuzz_peer messages;
    char message_path[PATH_SIZE]; /* of the last create */
    wr_extension create;          /* likewise */
    bool created;                 /* a create came on this connection */
    bool replied;                 /* we said that the module is created */
    bool started;                 /* and start came */
    bool attached;                /* the message channel was opened */
    unsigned instance;
    wr_id session;         /* of the gateway, once known */
    uint64_t connection;   /* number of the message connection, for the sink */
    uint64_t place;        /* of the next message on it */
    uint64_t number_end;   /* after the highest number that was read */
    uint64_t acknowledged; /* the highest count that may have been accepted */
    bool lossy;
    bool shares; /* a reply agreed to shared memory */
    bool good;   /* from now on: good_read reads the messages */
} play;

static char control_path[PATH_SIZE];
static char fixed_path[PATH_SIZE];

static wr_id id_of(unsigned instance)
{
    wr_id id = {{(uint8_t)(1 + instance % INSTANCES), 'f', 'u', 'z', 'z'}};
    return id;
}

/* What the gateway says */

static void check_create(play *p, const wr_extension *create)
{
    static const wr_id none;
    REQUIRE(create->present);
    REQUIRE(create->position.first <= create->position.sent);
    REQUIRE(create->position.sent <= ends_published());
    REQUIRE(p->lossy || create->position.first <= p->acknowledged);
    bool known = memcmp(&p->session, &none, sizeof(none)) != 0;
    REQUIRE(!known || memcmp(&p->session, &create->session, sizeof(none)) == 0);
    p->session = create->session;
}

static void on_create(play *p, const wr_control_message *create)
{
    REQUIRE(strncmp(create->uri, "ipc://", 6) == 0);
    (void)snprintf(p->message_path, sizeof(p->message_path), "%s", create->uri + 6);
    check_create(p, &create->extension);
    p->create = create->extension;
    p->created = true;
}

static void read_control(play *p)
{
    wr_control_message message;
    fuzz_peer_read(&p->control);
    while (fuzz_peer_take_control(&p->control, &message)) {
        REQUIRE(message.type != WR_CONTROL_REPLY && message.type != WR_CONTROL_HEARTBEAT_REPLY);
        if (message.type == WR_CONTROL_CREATE) {
            on_create(p, &message);
        }
        REQUIRE(message.type != WR_CONTROL_ACKNOWLEDGE || p->replied);
        p->started = p->started || message.type == WR_CONTROL_START;
    }
}

/* The source's messages come in its order on each connection. */
static void read_messages(play *p)
{
    uint64_t source;
    uint64_t number;
    uint64_t least = 0;
    fuzz_peer_read(&p->messages);
    while (fuzz_peer_take_numbers(&p->messages, &source, &number)) {
        REQUIRE(source == 0 && number >= least && number < ends_published());
        least = number + 1;
        p->number_end = p->number_end < least ? least : p->number_end;
    }
}

/* Accept and read what is there. */
static void take_all(play *p)
{
    wr_stream *stream = NULL;
    if (p->control_listener != NULL &&
        wr_listener_accept(p->control_listener, &stream) == WEIR_OK) {
        fuzz_peer_open(&p->control, stream);
        p->created = false;
        p->replied = false;
        p->started = false;
        p->attached = false;
    }
    if (p->message_listener != NULL &&
        wr_listener_accept(p->message_listener, &stream) == WEIR_OK) {
        fuzz_peer_open(&p->messages, stream);
        if (p->shares) {
            fuzz_peer_share(&p->messages);
        }
        p->attached = true;
        p->connection++;
        p->place = 0;
    }
    read_control(p);
    if (!p->good) {
        read_messages(p);
    }
}

static void watch(wr_poller *poller, wr_waitable what)
{
    REQUIRE(wr_poller_set(poller, what, WR_POLL_READ, poller) == WEIR_OK);
}

/* Wait, for at most so long, until the gateway has done something that we can see. */
static void wait_for_news(play *p, int timeout_ms)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    REQUIRE(wr_poller_create(&poller) == WEIR_OK);
    if (p->control_listener != NULL) {
        watch(poller, wr_listener_waitable(p->control_listener));
    }
    if (p->message_listener != NULL) {
        watch(poller, wr_listener_waitable(p->message_listener));
    }
    if (p->control.stream != NULL && !p->control.ended) {
        watch(poller, wr_stream_waitable(p->control.stream));
    }
    if (p->messages.stream != NULL && !p->messages.ended) {
        watch(poller, wr_stream_waitable(p->messages.stream));
    }
    (void)wr_poller_wait(poller, &event, 1, timeout_ms);
    wr_poller_destroy(poller);
    take_all(p);
}

/* Our side */

static void close_listener(wr_listener **listener)
{
    wr_listener_close(*listener);
    *listener = NULL;
}

static void bind_at(wr_listener **listener, const char *path)
{
    close_listener(listener);
    if (wr_listener_open(path, listener, NULL) != WEIR_OK) {
        *listener = NULL;
    }
}

static void close_control(play *p)
{
    fuzz_peer_close(&p->control);
    p->created = false;
    p->replied = false;
    p->started = false;
    p->attached = false;
}

/* Whoever says so much has acknowledged, if it is true when the gateway reads it. */
static void note_count(play *p, uint64_t count)
{
    if (count != UINT64_MAX && count > p->acknowledged) {
        p->acknowledged = count;
    }
}

static uint64_t choose_count(const play *p, unsigned choice)
{
    const uint64_t choices[] = {0,
                                p->number_end,
                                p->create.position.first,
                                p->create.position.sent,
                                p->number_end / 2,
                                UINT64_MAX,
                                ends_published() + 1,
                                ends_published()};
    return choices[choice % 8];
}

static void reply(play *p, uint8_t status, const wr_extension *extension)
{
    wr_control_message message = {.type = WR_CONTROL_REPLY, .status = status};
    if (extension != NULL) {
        message.extension = *extension;
    }
    p->replied = p->replied || status == WR_REPLY_CREATED;
    if (status == WR_REPLY_CREATED) {
        bool agrees = (message.extension.features & WR_FEATURE_ACKNOWLEDGE) != 0;
        p->lossy = p->lossy || !agrees || message.extension.message_limit != 0;
        p->shares = p->shares || (message.extension.features & WR_FEATURE_SHARED_MEMORY) != 0;
    }
    fuzz_peer_control(&p->control, &message);
}

/* Steps */

static void step_wait(play *p, const fuzz_step *step)
{
    for (unsigned i = 0; i <= (step->number & 1u); i++) {
        wait_for_news(p, WAIT_MS);
    }
}

static void step_bind(play *p, const fuzz_step *step)
{
    (void)step;
    bind_at(&p->control_listener, control_path);
}

static void step_vanish(play *p, const fuzz_step *step)
{
    if ((step->kind & 1) != 0) {
        close_control(p);
    }
    if ((step->kind & 2) != 0) {
        fuzz_peer_close(&p->messages);
    }
    if ((step->kind & 4) != 0) {
        close_listener(&p->control_listener);
    }
    if ((step->kind & 8) != 0) {
        close_listener(&p->message_listener);
    }
}

static void step_greet(play *p, const fuzz_step *step)
{
    fuzz_peer *peer = (step->kind & 1) != 0 ? &p->messages : &p->control;
    if ((step->kind & 14) != 14) {
        fuzz_peer_greet(peer);
        return;
    }
    fuzz_peer_write(peer, "\x00SP\x00\x00\x10\x00\x01", 1 + step->number % 8u);
}

/* Versions of the protocol: ours, more than ours, and none of ours. */
static const wr_protocol_range protocols[] = {{0, 0}, {1, 1}, {1, 99}, {50, 99}};

static void fill_extension(play *p, const fuzz_step *step, wr_extension *extension)
{
    static const uint32_t features[] = {0, WR_FEATURE_ACKNOWLEDGE,
                                        WR_FEATURE_ACKNOWLEDGE | WR_FEATURE_HEARTBEAT,
                                        WR_FEATURE_HEARTBEAT};
    static const uint64_t ours[][2] = {{0, 0}, {0, 100}, {5, 5}, {UINT64_MAX, UINT64_MAX}};
    extension->present = true;
    extension->features = features[step->kind & 3];
    if ((step->slot & 1) != 0) {
        extension->features |= WR_FEATURE_SHARED_MEMORY; /* whether or not it was offered */
    }
    extension->message_limit = (step->number & 0xc0) == 0xc0 ? 40 : 0;
    extension->instance = id_of(p->instance);
    extension->protocol = protocols[step->kind >> 6];
    extension->position =
        (wr_position){choose_count(p, step->number & 7), ours[(step->number >> 3) & 3][0],
                      ours[(step->number >> 3) & 3][1]};
    if ((step->number & 0x20) != 0) {
        (void)snprintf(extension->reason, sizeof(extension->reason), "no reason");
    }
    if ((extension->features & WR_FEATURE_ACKNOWLEDGE) != 0) {
        note_count(p, extension->position.received);
    }
}

static void step_reply(play *p, const fuzz_step *step)
{
    static const uint8_t statuses[] = {WR_REPLY_CREATED,       WR_REPLY_CREATED,
                                       WR_REPLY_CREATED,       WR_REPLY_CONNECTION_ERROR,
                                       WR_REPLY_MODULE_FAILED, 77,
                                       WR_REPLY_DETACHED,      WR_REPLY_CREATED};
    wr_extension extension = {.present = false};
    fill_extension(p, step, &extension);
    bool old = (step->kind & 0x20) != 0;
    reply(p, statuses[(step->kind >> 2) & 7], old ? NULL : &extension);
}

static void step_bind_messages(play *p, const fuzz_step *step)
{
    (void)step;
    bind_at(&p->message_listener, p->message_path);
}

static void step_acknowledge(play *p, const fuzz_step *step)
{
    wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE};
    message.count = choose_count(p, step->kind);
    note_count(p, message.count);
    fuzz_peer_control(&p->control, &message);
}

/* What a remote module does not say, and answers to heartbeats that nobody sent. */
static void step_odd_control(play *p, const fuzz_step *step)
{
    static const wr_control_type types[] = {WR_CONTROL_CREATE, WR_CONTROL_START, WR_CONTROL_DESTROY,
                                            WR_CONTROL_HEARTBEAT, WR_CONTROL_HEARTBEAT_REPLY};
    wr_control_message message = {
        .type = types[step->kind % 5], .uri = "ipc://x", .args = "null", .count = step->number};
    for (unsigned i = 0; i <= (step->number & 31u); i++) {
        fuzz_peer_control(&p->control, &message);
    }
}

static void step_raw(play *p, const fuzz_step *step)
{
    fuzz_peer_raw((step->slot & 1) != 0 ? &p->messages : &p->control, step->kind, step->number);
}

static void send_numbers(play *p, size_t count, size_t extra)
{
    for (size_t i = 0; i < count; i++) {
        fuzz_peer_numbers(&p->messages, p->connection, p->place++, extra);
    }
}

static void step_send(play *p, const fuzz_step *step)
{
    static const size_t extras[] = {0, 0, 100, 5000, 20000, 100000};
    size_t extra = extras[step->kind % 6];
    send_numbers(p, extra > 5000 ? 2 : 1 + step->number % 100u, extra);
}

static void step_publish(play *p, const fuzz_step *step)
{
    (void)p;
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i <= step->number && err == WEIR_OK; i++) {
        err = ends_publish((step->kind & 1) != 0 ? 3000 : 0);
    }
    REQUIRE(err == WEIR_OK || err == WEIR_ERR_FULL);
}

/* With shared memory, whether or not it was agreed on. */
static void step_play(play *p, const fuzz_step *step)
{
    fuzz_lender_play(&p->messages.lender, &p->messages, step);
}

/* Acknowledge in shared memory, as far as that is possible. */
static void step_say(play *p, const fuzz_step *step)
{
    uint64_t count = choose_count(p, step->kind);
    note_count(p, count);
    fuzz_lender_say(&p->messages.lender, &p->messages, count, (step->number & 1) != 0);
}

static void step_be_another(play *p, const fuzz_step *step)
{
    p->instance = step->number;
}

/* Come back, and be connected. The gateway may not have noticed yet that we were away, so the
 * socket is made anew, which it watches for, until it comes. */
static void come_back(play *p)
{
    uint64_t deadline = wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
    close_control(p);
    close_listener(&p->message_listener); /* an old connection may wait there */
    fuzz_peer_close(&p->messages);
    while (p->control.stream == NULL) {
        REQUIRE(wr_clock_ns() < deadline);
        bind_at(&p->control_listener, control_path);
        wait_for_news(p, SOON_MS);
    }
    fuzz_peer_greet(&p->control);
}

static void wait_soon(play *p, const bool *truth)
{
    for (unsigned i = 0; i < 3 && !*truth && !p->control.ended; i++) {
        wait_for_news(p, SOON_MS);
    }
}

/* A whole session up to start, so that scripts get deep soon. */
static void step_session(play *p, const fuzz_step *step)
{
    fuzz_step created = *step;
    created.kind = (uint8_t)(step->kind & 3);
    come_back(p);
    wait_soon(p, &p->created);
    step_bind_messages(p, step);
    step_reply(p, &created);
    wait_soon(p, &p->attached);
    fuzz_peer_greet(&p->messages);
}

static void (*const operations[])(play *, const fuzz_step *) = {
    step_wait,    step_wait,    step_bind,        step_vanish,        step_greet,
    step_reply,   step_reply,   step_send,        step_bind_messages, step_acknowledge,
    step_publish, step_raw,     step_odd_control, step_be_another,    step_session,
    step_session, step_publish, step_play,        step_play,          step_say,
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* The end: a good remote */

/* False: the gateway ended the connection; one in haste may do that. */
static bool wait_until(play *p, const bool *truth)
{
    uint64_t deadline = wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
    while (!*truth && !p->control.ended) {
        REQUIRE(wr_clock_ns() < deadline);
        wait_for_news(p, (int)DEADLINE_MS);
    }
    return *truth;
}

static bool try_to_attach(play *p, bool shares)
{
    wr_extension extension = {.present = true, .features = WR_FEATURE_ACKNOWLEDGE};
    extension.instance = (wr_id){{99}};
    come_back(p);
    p->shares = false;
    if (!wait_until(p, &p->created)) {
        return false;
    }
    if (shares) { /* if it was offered: not where sharing has failed before */
        extension.features |= p->create.features & WR_FEATURE_SHARED_MEMORY;
    }
    extension.position.received = p->create.position.first;
    bind_at(&p->message_listener, p->message_path);
    REQUIRE(p->message_listener != NULL);
    reply(p, WR_REPLY_CREATED, &extension);
    if (!wait_until(p, &p->attached)) {
        return false;
    }
    fuzz_peer_greet(&p->messages);
    return wait_until(p, &p->started);
}

/* Attach; returns the first number that will come, if none was lost. */
static uint64_t good_begin(play *p, bool shares)
{
    uint64_t deadline = wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
    while (!try_to_attach(p, shares)) {
        REQUIRE(wr_clock_ns() < deadline);
    }
    return p->create.position.first;
}

/* Where reading stands. */
typedef struct progress {
    uint64_t next;  /* the number that comes next, if none was lost */
    uint64_t count; /* to acknowledge; with losses not the numbers */
} progress;

/* Read what is there, acknowledging it. */
static void good_read(play *p, progress *at)
{
    uint64_t source;
    uint64_t number;
    fuzz_peer_read(&p->messages);
    while (fuzz_peer_take_numbers(&p->messages, &source, &number)) {
        REQUIRE(p->lossy ? number >= at->next : number == at->next);
        at->next = number + 1;
        at->count++;
    }
    wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE, .count = at->count};
    fuzz_peer_control(&p->control, &message);
}

static void wait_for_messages(play *p, uint64_t deadline)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    REQUIRE(!p->messages.ended);
    REQUIRE(wr_clock_ns() < deadline);
    REQUIRE(wr_poller_create(&poller) == WEIR_OK);
    watch(poller, wr_stream_waitable(p->messages.stream));
    (void)wr_poller_wait(poller, &event, 1, (int)DEADLINE_MS);
    wr_poller_destroy(poller);
}

/* Publish one more as soon as there is room, and read until it comes. */
static void good_read_all(play *p, progress *at)
{
    uint64_t deadline = wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
    good_read(
        p, at); /* what came while it attached; nothing more may come before it is acknowledged */
    while (ends_publish(p->shares ? 3000 : 0) == WEIR_ERR_FULL) {
        wait_for_messages(p, deadline);
        good_read(p, at);
    }
    while (at->next < ends_published()) {
        wait_for_messages(p, deadline);
        good_read(p, at);
    }
}

static void close_all(play *p)
{
    close_control(p);
    fuzz_peer_close(&p->messages);
    close_listener(&p->control_listener);
    close_listener(&p->message_listener);
}

static void serve_good_remote(play *p, bool shares)
{
    p->good = true;
    progress at = {.count = good_begin(p, shares)};
    at.next = p->lossy ? 0 : at.count;
    uint64_t received = ends_received(ENDS_SINK);
    good_read_all(p, &at);
    send_numbers(p, GOOD_MESSAGES, shares ? 3000 : 0);
    ends_wait(ENDS_SINK, received + GOOD_MESSAGES);
    ends_wait(ENDS_OTHER, ends_published());
    close_listener(&p->control_listener); /* it is not to come again */
    reply(p, WR_REPLY_DETACHED, NULL);
    (void)wait_until(p, &p->control.ended);
    close_all(p);
}

static void prepare(void)
{
    if (control_path[0] != '\0') {
        return;
    }
    (void)snprintf(control_path, PATH_SIZE, "%s/control", fuzz_folder());
    (void)snprintf(fixed_path, PATH_SIZE, "%s/messages", fuzz_folder());
    fuzz_silence();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_step steps[FUZZ_STEPS_MAX];
    unsigned mode = size > 0 ? data[0] : 0;
    size_t count = size > 0 ? fuzz_script_read(data + 1, size - 1, steps) : 0;
    play p = {.gateway = NULL};
    prepare();
    p.gateway = embedded_open(mode, control_path, fixed_path);
    p.lossy = (mode & EMBEDDED_DROP) != 0;
    for (size_t i = 0; i < count; i++) {
        operations[steps[i].op % OPERATIONS](&p, &steps[i]);
        embedded_check(p.gateway);
    }
    serve_good_remote(&p, count % 2 != 0);
    embedded_check(p.gateway);
    weir_gateway_destroy(p.gateway);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    fuzz_random random = fuzz_random_from(seed + 1);
    if (size == 0 && max_size > 0) {
        data[size++] = 0;
    }
    if (fuzz_one_in(&random, 16)) {
        data[0] = (uint8_t)fuzz_below(&random, EMBEDDED_MODES);
    }
    return 1 + fuzz_script_mutate(data + 1, size - 1, max_size - 1, seed, OPERATIONS);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max_size,
                                 unsigned int seed)
{
    if (first_size == 0 || second_size == 0 || max_size == 0) {
        return 0;
    }
    out[0] = first[0];
    return 1 + fuzz_script_cross(first + 1, first_size - 1, second + 1, second_size - 1, out + 1,
                                 max_size - 1, seed);
}
