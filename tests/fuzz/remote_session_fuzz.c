/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: a whole gateway, hostile or odd, as a script (script.h) against a real remote module
 * that runs by weir_remote_poll. Real sockets, one thread, so that a script does the same each
 * time.
 *
 * Required, whatever the script does: the module contract (probe.h); Weir's bytes are well-formed;
 * after a bounded number of polls without news there is nothing to do; where every create agreed on
 * acknowledgement no published message is lost, and those not acknowledged come again in order; a
 * good gateway afterwards is served; nothing is left behind.
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <string.h>

#include "peer.h"
#include "platform/file.h"
#include "probe.h"
#include "script.h"
#include "weir/remote.h"

#define SLOTS 3u
/* A remote that is not quiet after so many polls without news is busy for nothing. */
#define POLLS_MAX 5000u
#define ROUNDS_MAX 64u
#define PATH_SIZE 108u
#define URI_SIZE 160u
#define GOOD_MESSAGES 3u

typedef struct play {
    weir_remote *remote;
    fuzz_peer control[SLOTS];
    fuzz_peer messages[SLOTS];
    uint64_t connection[SLOTS]; /* number of each message connection, for the probe */
    uint64_t places[SLOTS];     /* of the next message on it */
    uint64_t connections;       /* so far */
    wr_id instance;             /* of the remote, as far as known */
    uint64_t number_end;        /* after the highest number of its messages that was read */
    uint64_t base;              /* the probe's next number when this remote was attached */
    uint64_t acknowledged;      /* the highest count that may have been accepted */
    bool lossy;                 /* a create agreed on less than acknowledgement of all */
    bool shares;                /* one agreed on shared memory */
    char uri[URI_SIZE];
} play;

static const char *folder;
static char control_path[PATH_SIZE];
static char message_paths[2][PATH_SIZE];

/* The remote */

static bool has_work(const play *p)
{
    struct pollfd fd = {.fd = weir_remote_fd(p->remote), .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static void run_once(play *p)
{
    weir_err err = weir_remote_poll(p->remote);
    REQUIRE(err == WEIR_OK || err == WEIR_ERR_CLOSED);
}

/* Until there is nothing to do; required to come. */
static void settle(play *p)
{
    run_once(p);
    for (unsigned i = 0; has_work(p); i++) {
        REQUIRE(i < POLLS_MAX);
        run_once(p);
    }
}

static void attach(play *p)
{
    REQUIRE(weir_remote_attach(&fuzz_probe_api, control_path, &p->remote) == WEIR_OK);
    p->base = fuzz_probe_module.published;
    p->acknowledged = 0;
    p->number_end = p->base;
    p->lossy = false;
    p->shares = false;
}

static void detach(play *p)
{
    weir_remote_detach(p->remote);
    p->remote = NULL;
    REQUIRE(fuzz_probe_module.state == FUZZ_PROBE_NONE);
    REQUIRE(fuzz_probe_module.created == fuzz_probe_module.destroyed);
    REQUIRE(!wr_file_exists(control_path));
}

/* Connections */

static void connect_peer(fuzz_peer *peer, const char *path)
{
    wr_stream *stream = NULL;
    if (wr_stream_connect(path, &stream, NULL) == WEIR_OK) {
        fuzz_peer_open(peer, stream);
    }
}

static void connect_messages(play *p, size_t slot, const char *path)
{
    connect_peer(&p->messages[slot], path);
    if (p->shares) {
        fuzz_peer_share(&p->messages[slot]);
    }
    p->connection[slot] = FUZZ_PROBE_CONNECTIONS + ++p->connections;
    p->places[slot] = 0;
}

static void read_control(play *p, fuzz_peer *peer)
{
    wr_control_message message;
    fuzz_peer_read(peer);
    while (fuzz_peer_take_control(peer, &message)) {
        REQUIRE(message.type == WR_CONTROL_REPLY || message.type == WR_CONTROL_HEARTBEAT_REPLY ||
                message.type == WR_CONTROL_ACKNOWLEDGE);
        if (message.type == WR_CONTROL_REPLY && message.extension.present) {
            p->instance = message.extension.instance;
        }
    }
}

/* What the module published comes in its order on each connection. */
static void read_messages(play *p, fuzz_peer *peer)
{
    uint64_t number;
    uint64_t life;
    uint64_t least = 0;
    fuzz_peer_read(peer);
    while (fuzz_peer_take_numbers(peer, &number, &life)) {
        REQUIRE(number >= least && number < fuzz_probe_module.published);
        least = number + 1;
        p->number_end = p->number_end < least ? least : p->number_end;
    }
}

/* Steps. Each does something, whatever the state; the slot's connection may not exist. */

static fuzz_peer *control_of(play *p, const fuzz_step *step)
{
    return &p->control[(step->slot & 3) % SLOTS];
}

static fuzz_peer *messages_of(play *p, const fuzz_step *step)
{
    return &p->messages[(step->slot & 3) % SLOTS];
}

static void step_run(play *p, const fuzz_step *step)
{
    for (unsigned i = 0; i <= (step->number & 7u); i++) {
        run_once(p);
    }
}

static void step_settle(play *p, const fuzz_step *step)
{
    (void)step;
    settle(p);
}

static void step_connect(play *p, const fuzz_step *step)
{
    connect_peer(control_of(p, step), control_path);
}

static void step_close(play *p, const fuzz_step *step)
{
    fuzz_peer_close((step->kind & 1) != 0 ? messages_of(p, step) : control_of(p, step));
}

static void step_greet(play *p, const fuzz_step *step)
{
    fuzz_peer *peer = (step->kind & 1) != 0 ? messages_of(p, step) : control_of(p, step);
    if ((step->kind & 14) != 14) {
        fuzz_peer_greet(peer);
        return;
    }
    fuzz_peer_write(peer, "\x00SP\x00\x00\x10\x00\x01", 1 + step->number % 8);
}

static const char *choose_uri(play *p, unsigned choice)
{
    static const struct {
        const char *before, *after;
    } uris[] = {{"ipc://", "/m0"},        {"ipc://", "/m1"}, {"ipc://", "/m0"},
                {"ipc://", "/nowhere/m"}, {"tcp://", "/m0"}, {"", ""},
                {"ipc://", "/control"},   {"ipc://", ""}};
    int size = snprintf(p->uri, sizeof(p->uri), "%s%s%s", uris[choice % 8].before, folder,
                        uris[choice % 8].after);
    if (choice % 8 == 7) { /* too long for an address */
        memset(p->uri + size, 'x', sizeof(p->uri) - (size_t)size - 1);
        p->uri[sizeof(p->uri) - 1] = '\0';
    }
    return p->uri;
}

static uint64_t choose_count(const play *p, unsigned choice)
{
    uint64_t published = fuzz_probe_module.published - p->base;
    const uint64_t choices[] = {
        0,          p->number_end - p->base, published,       (p->number_end - p->base) / 2,
        UINT64_MAX, published + 1,           p->acknowledged, 1,
    };
    return choices[choice % 8];
}

/* A peer that says so much has acknowledged, if it is true when the remote reads it. */
static void note_count(play *p, uint64_t count)
{
    if (count != UINT64_MAX && count > p->acknowledged) {
        p->acknowledged = count;
    }
}

static void fill_position(play *p, const fuzz_step *step, wr_position *position)
{
    static const wr_position choices[] = {
        {0, 0, 0}, {0, 0, 100}, {0, 5, 5}, {0, UINT64_MAX, UINT64_MAX}};
    *position = choices[(step->slot >> 2) & 3];
    position->received = choose_count(p, (step->number >> 3) & 7);
    note_count(p, position->received);
}

/* Versions of the protocol: ours, more than ours, and none of ours. */
static const wr_protocol_range protocols[] = {{0, 0}, {1, 1}, {1, 99}, {50, 99}};

static void fill_extension(play *p, const fuzz_step *step, wr_extension *extension)
{
    static const uint32_t features[] = {0, 0, WR_FEATURE_ACKNOWLEDGE,
                                        WR_FEATURE_ACKNOWLEDGE | WR_FEATURE_HEARTBEAT};
    extension->features = features[step->kind & 3];
    extension->present = (step->kind & 3) != 0;
    bool small = (step->number & 0xc0) == 0xc0;
    extension->message_limit = extension->present && small ? 40 : 0;
    if (extension->present) {
        extension->protocol = protocols[step->kind >> 6];
    }
    if (extension->present && (step->number & 4) != 0) {
        extension->features |= WR_FEATURE_SHARED_MEMORY;
        p->shares = true;
    }
    if ((extension->features & WR_FEATURE_ACKNOWLEDGE) == 0) {
        p->lossy = true;
        return;
    }
    p->lossy = p->lossy || small;
    extension->session.bytes[0] = (uint8_t)(1 + (step->number & 1));
    if ((step->number & 2) == 0) {
        extension->instance = p->instance;
    } else {
        extension->instance.bytes[0] = step->number;
    }
    fill_position(p, step, &extension->position);
}

static void step_create(play *p, const fuzz_step *step)
{
    wr_control_message create = {.type = WR_CONTROL_CREATE};
    create.uri = choose_uri(p, (step->kind >> 2) & 7);
    create.args = (step->kind & 0x20) != 0 ? "{\"other\":1}" : "null";
    fill_extension(p, step, &create.extension);
    fuzz_peer_control(control_of(p, step), &create);
}

static void step_start(play *p, const fuzz_step *step)
{
    fuzz_peer_control(control_of(p, step), &(wr_control_message){.type = WR_CONTROL_START});
}

static void step_destroy(play *p, const fuzz_step *step)
{
    fuzz_peer_control(control_of(p, step), &(wr_control_message){.type = WR_CONTROL_DESTROY});
}

static void step_acknowledge(play *p, const fuzz_step *step)
{
    wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE};
    message.count = choose_count(p, step->kind);
    note_count(p, message.count);
    fuzz_peer_control(control_of(p, step), &message);
}

/* What a gateway does not say, and heartbeats, many of them. */
static void step_odd_control(play *p, const fuzz_step *step)
{
    static const wr_control_type types[] = {WR_CONTROL_HEARTBEAT, WR_CONTROL_HEARTBEAT_REPLY,
                                            WR_CONTROL_REPLY};
    wr_control_message message = {.type = types[step->kind % 3], .count = step->number};
    for (unsigned i = 0; i <= (step->number & 31u); i++) {
        fuzz_peer_control(control_of(p, step), &message);
    }
}

static void step_raw(play *p, const fuzz_step *step)
{
    fuzz_peer *peer = (step->slot & 4) != 0 ? messages_of(p, step) : control_of(p, step);
    fuzz_peer_raw(peer, step->kind, step->number);
}

static void step_connect_messages(play *p, const fuzz_step *step)
{
    connect_messages(p, (step->slot & 3) % SLOTS, message_paths[step->kind & 1]);
}

static void send_numbers(play *p, size_t slot, size_t count, size_t extra)
{
    for (size_t i = 0; i < count; i++) {
        fuzz_peer_numbers(&p->messages[slot], p->connection[slot], p->places[slot]++, extra);
    }
}

static void step_send(play *p, const fuzz_step *step)
{
    static const size_t extras[] = {0, 0, 100, 5000, 20000, 200000};
    size_t extra = extras[step->kind % 6];
    send_numbers(p, (step->slot & 3) % SLOTS, extra > 5000 ? 2 : 1 + step->number % 100u, extra);
}

static void step_read(play *p, const fuzz_step *step)
{
    read_control(p, control_of(p, step));
    read_messages(p, messages_of(p, step));
}

static void step_publish(play *p, const fuzz_step *step)
{
    (void)p;
    fuzz_probe_publish(step->number, (step->kind & 1) != 0 ? 3000 : 0);
}

static void step_behave(play *p, const fuzz_step *step)
{
    (void)p;
    fuzz_probe_module.behaviour = step->number & 63u;
}

/* A remote that leaves waits a second for a gateway that does not read; we have seldom so long. */
static void step_attach_again(play *p, const fuzz_step *step)
{
    for (size_t i = 0; i < SLOTS && step->number != 255; i++) {
        fuzz_peer_close(&p->messages[i]);
    }
    detach(p);
    attach(p);
}

/* The message channel's place goes, or is taken by a file. */
static void step_spoil_path(play *p, const fuzz_step *step)
{
    (void)p;
    const char *path = message_paths[step->kind & 1];
    wr_file_remove(path);
    FILE *file = (step->kind & 2) != 0 ? fopen(path, "w") : NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* With shared memory, whether or not it was agreed on. */
static void step_play(play *p, const fuzz_step *step)
{
    fuzz_peer *peer = messages_of(p, step);
    fuzz_lender_play(&peer->lender, peer, step);
}

/* Acknowledge in shared memory, as far as that is possible. */
static void step_say(play *p, const fuzz_step *step)
{
    fuzz_peer *peer = messages_of(p, step);
    uint64_t count = choose_count(p, step->kind);
    note_count(p, count);
    fuzz_lender_say(&peer->lender, peer, count, (step->number & 1) != 0);
}

/* A whole session up to start, so that scripts get deep soon. */
static void step_session(play *p, const fuzz_step *step)
{
    fuzz_step create = *step;
    create.kind = (uint8_t)((step->kind & 3) | (step->kind & 4)); /* m0 or m1 */
    step_connect(p, step);
    fuzz_peer_greet(control_of(p, step));
    step_create(p, &create);
    settle(p);
    connect_messages(p, (step->slot & 3) % SLOTS, message_paths[(step->kind >> 2) & 1]);
    fuzz_peer_greet(messages_of(p, step));
    settle(p);
    step_start(p, step);
}

static void (*const operations[])(play *, const fuzz_step *) = {
    step_run,          step_settle,  step_connect,     step_close,   step_greet,
    step_create,       step_start,   step_destroy,     step_raw,     step_acknowledge,
    step_send,         step_read,    step_odd_control, step_publish, step_behave,
    step_session,      step_session, step_spoil_path,  step_settle,  step_connect_messages,
    step_attach_again, step_play,    step_play,        step_say,
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* The end: a good gateway */

static void close_all(play *p)
{
    for (size_t i = 0; i < SLOTS; i++) {
        fuzz_peer_close(&p->control[i]);
        fuzz_peer_close(&p->messages[i]);
    }
}

static wr_control_message good_reply(play *p)
{
    wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE};
    settle(p);
    fuzz_peer_read(&p->control[0]);
    while (message.type == WR_CONTROL_ACKNOWLEDGE) {
        REQUIRE(fuzz_peer_take_control(&p->control[0], &message));
    }
    REQUIRE(message.type == WR_CONTROL_REPLY && message.status == WR_REPLY_CREATED);
    return message;
}

/* Connect, create and start; returns where the remote stands. */
static wr_position good_begin(play *p, bool shares)
{
    wr_control_message create = {.type = WR_CONTROL_CREATE, .args = "\"good\""};
    create.uri = choose_uri(p, 0);
    create.extension.present = true;
    create.extension.features = WR_FEATURE_ACKNOWLEDGE;
    if (shares) {
        create.extension.features |= WR_FEATURE_SHARED_MEMORY;
    }
    create.extension.session.bytes[0] = 77;
    connect_peer(&p->control[0], control_path);
    fuzz_peer_greet(&p->control[0]);
    fuzz_peer_control(&p->control[0], &create);
    wr_control_message reply = good_reply(p);
    p->shares = (reply.extension.features & WR_FEATURE_SHARED_MEMORY) != 0;
    REQUIRE(shares || !p->shares);
    connect_messages(p, 0, message_paths[0]);
    fuzz_peer_greet(&p->messages[0]);
    fuzz_peer_control(&p->control[0], &(wr_control_message){.type = WR_CONTROL_START});
    settle(p);
    REQUIRE(fuzz_probe_module.state == FUZZ_PROBE_STARTED);
    return reply.extension.position;
}

/* Read all that was published, acknowledging it; `count`: of what came before. With losses the
 * numbers are others. */
static void good_read(play *p, uint64_t count)
{
    uint64_t next = p->base + (p->lossy ? 0 : count);
    uint64_t number;
    uint64_t life;
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        settle(p);
        fuzz_peer_read(&p->messages[0]);
        while (fuzz_peer_take_numbers(&p->messages[0], &number, &life)) {
            REQUIRE(p->lossy ? number >= next : number == next);
            next = number + 1;
            count++;
        }
        wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE, .count = count};
        fuzz_peer_control(&p->control[0], &message);
        if (next == fuzz_probe_module.published) {
            return;
        }
    }
    REQUIRE(p->lossy && "all that was published arrives");
}

static void serve_good_gateway(play *p, bool shares)
{
    close_all(p);
    fuzz_probe_module.behaviour = FUZZ_PROBE_ECHO;
    settle(p);
    wr_file_remove(message_paths[0]);
    wr_position position = good_begin(p, shares);
    REQUIRE(p->lossy || position.first <= p->acknowledged);
    uint64_t received = fuzz_probe_module.received;
    send_numbers(p, 0, GOOD_MESSAGES, shares ? 3000 : 0);
    good_read(p, position.first);
    REQUIRE(fuzz_probe_module.received == received + GOOD_MESSAGES);
    fuzz_peer_control(&p->control[0], &(wr_control_message){.type = WR_CONTROL_DESTROY});
    settle(p);
    REQUIRE(fuzz_probe_module.state == FUZZ_PROBE_NONE);
}

static void prepare(void)
{
    if (control_path[0] != '\0') {
        return;
    }
    folder = fuzz_folder();
    (void)snprintf(control_path, PATH_SIZE, "%s/control", folder);
    (void)snprintf(message_paths[0], PATH_SIZE, "%s/m0", folder);
    (void)snprintf(message_paths[1], PATH_SIZE, "%s/m1", folder);
    fuzz_silence();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_step steps[FUZZ_STEPS_MAX];
    size_t count = fuzz_script_read(data, size, steps);
    play p = {.remote = NULL};
    prepare();
    fuzz_probe_module = (fuzz_probe){.behaviour = FUZZ_PROBE_ECHO};
    attach(&p);
    for (size_t i = 0; i < count; i++) {
        operations[steps[i].op % OPERATIONS](&p, &steps[i]);
    }
    serve_good_gateway(&p, count % 2 != 0);
    close_all(&p);
    detach(&p);
    wr_file_remove(message_paths[0]); /* what a script made itself */
    wr_file_remove(message_paths[1]);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    return fuzz_script_mutate(data, size, max_size, seed, OPERATIONS);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max_size,
                                 unsigned int seed)
{
    return fuzz_script_cross(first, first_size, second, second_size, out, max_size, seed);
}
