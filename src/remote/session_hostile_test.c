/* SPDX-License-Identifier: MIT
 *
 * Tests of the control channel: gateways that misbehave, and whoever else connects. The remote goes
 * on, and serves the next one.
 */
#include "remote/remote_internal.h"

#include "remote/remote_test.h"

/* A whole session works, so the remote is well. */
static void assert_serves(const place *at)
{
    gateway peer;
    gateway_begin(&peer, at, true);
    gateway_vanish(&peer);
}

/* What the module waits for in receive. */
static struct {
    wr_mutex mutex; /* guards open and entered */
    wr_cond changed;
    bool entered;
    bool open;
} gate;

static void gate_pass(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    wr_mutex_lock(&gate.mutex);
    gate.entered = true;
    wr_cond_signal(&gate.changed);
    while (!gate.open) {
        wr_cond_wait(&gate.changed, &gate.mutex);
    }
    wr_mutex_unlock(&gate.mutex);
}

static void gate_wait(void)
{
    wr_mutex_lock(&gate.mutex);
    while (!gate.entered) {
        wr_cond_wait(&gate.changed, &gate.mutex);
    }
    wr_mutex_unlock(&gate.mutex);
}

static void gate_open(void)
{
    wr_mutex_lock(&gate.mutex);
    gate.open = true;
    wr_cond_signal(&gate.changed);
    wr_mutex_unlock(&gate.mutex);
}

/* The remote has something to acknowledge, finds that it cannot, and has no use for the create that
 * came last. */
static void gateway_that_leaves_behind_a_create_does_no_harm(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = "ipc://x", .args = "null"};
    create.extension.present = true;
    create.extension.features = WR_FEATURE_ACKNOWLEDGE;
    gate.open = false;
    gate.entered = false;
    wr_mutex_init(&gate.mutex);
    wr_cond_init(&gate.changed);
    place_open_running(&at);
    module.on_receive = gate_pass;
    gateway_connect(&peer, &at);
    create.uri = at.uri;
    gateway_say(&peer, &create);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_START);
    gateway_send(&peer, "wait in receive");
    gateway_flush(&peer);
    gate_wait();
    create.args = "\"other ones\"";
    gateway_say(&peer, &create);
    gateway_vanish(&peer);
    gate_open();
    probe_wait(&module.destroyed, 1);
    assert_serves(&at);
    place_close(&at);
    wr_cond_deinit(&gate.changed);
    wr_mutex_deinit(&gate.mutex);
}

static void second_control_connection_is_turned_away(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    expect_turned_away(at.control);
    gateway_create(&peer, at.uri, "\"still here\"", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_vanish(&peer);
    place_close(&at);
}

static void connection_without_create_gives_way(void **state)
{
    (void)state;
    place at;
    gateway idle;
    wr_sp_frame answer;
    place_open_running(&at);
    gateway_connect(&idle, &at);
    gateway_say_type(&idle, WR_CONTROL_HEARTBEAT);
    ASSERT_OK(control_receive(idle.control, &answer));
    assert_serves(&at);
    gateway_vanish(&idle);
    place_close(&at);
}

static void start_without_a_module_and_unknown_types_are_ignored(void **state)
{
    (void)state;
    static const uint8_t unknown[] = {0xa1, 0x6c, 1, 99, 0, 0, 0, 8};
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_START);
    ASSERT_OK(wr_sp_send(peer.control, unknown, sizeof(unknown), NULL, NULL));
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.started), 0);
    gateway_vanish(&peer);
    place_close(&at);
}

/* Input that is not the protocol */

static void write_bytes(wr_stream *stream, const void *data, size_t size)
{
    size_t sent = 0;
    const wr_slice slice = {data, size};
    ASSERT_OK(wr_stream_write(stream, &slice, 1, &sent));
    assert_int_equal(sent, size);
}

static void expect_end(wr_stream *stream)
{
    char waste[256];
    size_t got = 0;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_stream_waitable(stream), WR_POLL_READ);
        err = wr_stream_read(stream, waste, sizeof(waste), &got);
    }
}

static void malformed_frames_close_the_connection_only(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\x00SP\x00\x00\x11\x00\x00", 8},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x00SP\x00\x00\x10\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00", 17},
        {"\x00SP\x00\x00\x10\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff", 17},
        {"\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", 17},
        {"\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\xa1\x6c\x01", 20},
        {"\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x08\xa1\x6c\x01\x01\x00\x00"
         "\x00\x08",
         25},
    };
    place at;
    place_open_running(&at);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wr_stream *stream = connect_to(at.control);
        write_bytes(stream, cases[i].bytes, cases[i].size);
        expect_end(stream);
        wr_stream_close(stream);
    }
    assert_serves(&at);
    place_close(&at);
}

static void connection_that_ends_within_its_greeting_makes_way(void **state)
{
    (void)state;
    place at;
    place_open_running(&at);
    wr_stream *stream = connect_to(at.control);
    write_bytes(stream, "\x00SP", 3);
    wr_stream_close(stream);
    assert_serves(&at);
    place_close(&at);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Random bytes, in three depths: from the start, after the greeting, inside a control message. */
static void send_random(wr_stream *stream, uint32_t *seed)
{
    wait_ready(wr_stream_waitable(stream), WR_POLL_READ); /* the greeting: it is accepted */
    uint8_t bytes[25 + 64] = "\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x48"
                             "\xa1\x6c\x01\x01\x00\x00\x00\x48";
    static const size_t depths[] = {0, 8, 25};
    size_t depth = depths[next_random(seed) % 3];
    for (size_t i = depth; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)next_random(seed);
    }
    size_t sent = 0;
    const wr_slice slice = {bytes, 1 + next_random(seed) % sizeof(bytes)};
    weir_err err = wr_stream_write(stream, &slice, 1, &sent);
    assert_true(err == WEIR_OK || err == WEIR_ERR_CLOSED);
}

static void drop_line(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    (void)who;
    (void)text;
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = (uint32_t)wr_clock_ns() | 1u;
    print_message("seed %" PRIu32 "\n", seed);
    place at;
    place_open(&at);
    weir_log_set_sink(drop_line, NULL);
    ASSERT_OK(weir_remote_start(at.remote));
    for (int i = 0; i < 500; i++) {
        wr_stream *stream = connect_to(at.control);
        send_random(stream, &seed);
        wr_stream_close(stream);
    }
    assert_serves(&at);
    place_close(&at);
    weir_log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateway_that_leaves_behind_a_create_does_no_harm),
        cmocka_unit_test(second_control_connection_is_turned_away),
        cmocka_unit_test(connection_without_create_gives_way),
        cmocka_unit_test(start_without_a_module_and_unknown_types_are_ignored),
        cmocka_unit_test(malformed_frames_close_the_connection_only),
        cmocka_unit_test(connection_that_ends_within_its_greeting_makes_way),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
