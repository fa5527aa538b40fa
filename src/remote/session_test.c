/* SPDX-License-Identifier: MIT
 *
 * Tests of the control channel: what each message of a gateway does, and what becomes of the module
 * when a gateway misbehaves or goes.
 */
#include "remote/remote_internal.h"

#include "remote/remote_test.h"

static void create_is_answered_when_the_module_exists(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "{\"a\":1}", true);
    wr_control_message reply = gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.created), 1);
    assert_string_equal(module.args, "{\"a\":1}");
    assert_true(reply.extension.present);
    assert_int_equal(reply.extension.message_limit, WR_MESSAGE_LIMIT_DEFAULT);
    assert_true(wr_file_exists(at.messages));
    gateway_vanish(&peer);
    place_close(&at);
}

static void gateway_without_extension_gets_the_plain_reply(void **state)
{
    (void)state;
    static const uint8_t plain[] = {0xa1, 0x6c, 1, 2, 0, 0, 0, 9, 0};
    place at;
    gateway peer;
    wr_sp_frame frame;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", false);
    ASSERT_OK(control_receive(peer.control, &frame));
    assert_int_equal(frame.size, sizeof(plain));
    assert_memory_equal(frame.data, plain, sizeof(plain));
    gateway_vanish(&peer);
    place_close(&at);
}

static void failed_create_is_answered_with_the_modules_reason(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open(&at);
    module.fail_create = true;
    ASSERT_OK(weir_remote_start(at.remote));
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", true);
    wr_control_message reply = gateway_expect_reply(&peer, WR_REPLY_MODULE_FAILED);
    assert_string_equal(reply.extension.reason, "cannot open the probe");
    assert_false(wr_file_exists(at.messages));
    gateway_vanish(&peer);
    place_close(&at);
}

static void message_channel_that_cannot_be_bound_is_a_connection_error(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, "ipc:///nowhere/at/all", "null", true);
    wr_control_message reply = gateway_expect_reply(&peer, WR_REPLY_CONNECTION_ERROR);
    assert_non_null(strstr(reply.extension.reason, "/nowhere/at/all"));
    gateway_create(&peer, "tcp://127.0.0.1:1", "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CONNECTION_ERROR);
    assert_int_equal(probe_get(&module.created), 0);
    gateway_vanish(&peer);
    place_close(&at);
}

static void long_reason_is_cut_between_two_characters(void **state)
{
    (void)state;
    place at;
    gateway peer;
    char uri[1024] = "ipc://x";
    place_open_running(&at);
    for (size_t used = strlen(uri); used + 2 < sizeof(uri); used += 2) {
        memcpy(uri + used, "\xc3\xa4", 3);
    }
    gateway_connect(&peer, &at);
    gateway_create(&peer, uri, "null", true);
    wr_control_message reply = gateway_expect_reply(&peer, WR_REPLY_CONNECTION_ERROR);
    size_t size = strlen(reply.extension.reason);
    assert_true(size == 254 || size == 255);
    assert_int_equal((uint8_t)reply.extension.reason[size - 1], 0xa4);
    gateway_vanish(&peer);
    place_close(&at);
}

static void repeated_create_is_answered_and_not_executed(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", true);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.created), 1);
    gateway_vanish(&peer);
    place_close(&at);
}

static void other_create_replaces_the_module(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "1", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_create(&peer, at.uri, "2", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.created), 2);
    assert_int_equal(probe_get(&module.destroyed), 1);
    assert_string_equal(module.args, "2");
    gateway_vanish(&peer);
    place_close(&at);
}

static void create_for_a_started_module_replaces_it(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.created), 2);
    assert_int_equal(probe_get(&module.destroyed), 1);
    gateway_vanish(&peer);
    place_close(&at);
}

static void failed_start_destroys_the_module_and_says_so(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open(&at);
    module.fail_start = true;
    ASSERT_OK(weir_remote_start(at.remote));
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_say_type(&peer, WR_CONTROL_START);
    wr_control_message reply = gateway_expect_reply(&peer, WR_REPLY_MODULE_FAILED);
    assert_string_equal(reply.extension.reason, "the probe does not start");
    assert_int_equal(probe_get(&module.destroyed), 1);
    gateway_vanish(&peer);
    place_close(&at);
}

static void messages_before_start_are_held(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    for (int i = 0; i < 200; i++) {
        gateway_send(&peer, "early");
    }
    gateway_flush(&peer);
    /* The answer shows that the remote had its turn. */
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(module.received, 0);
    gateway_say_type(&peer, WR_CONTROL_START);
    probe_wait_received(200);
    gateway_vanish(&peer);
    place_close(&at);
}

/* Both ends on this thread, by turns, so often that nothing moves any more. */
static void large_messages_before_start_are_held_up_to_a_number_of_bytes(void **state)
{
    (void)state;
    enum { TURNS = 1000, SENT = 4 };
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    wait_greeting(peer.channel);
    weir_remote_stop(at.remote);
    weir_message *msg = message_of_size(WR_INTAKE_BATCH_BYTES * 3 / 4);
    for (int i = 0; i < SENT; i++) {
        ASSERT_OK(wr_channel_send(peer.channel, msg));
    }
    weir_message_unref(msg);
    for (int i = 0; i < TURNS; i++) {
        weir_err err = wr_channel_flush(peer.channel);
        assert_true(err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK);
        ASSERT_OK(weir_remote_poll(at.remote));
    }
    assert_int_equal(at.remote->intake.count, 2);
    gateway_vanish(&peer);
    place_close(&at);
}

static void destroy_delivers_first_what_was_sent_before(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    wait_greeting(peer.channel);
    weir_remote_stop(at.remote); /* so that all of it waits in the sockets */
    for (int i = 0; i < 1000; i++) {
        gateway_send(&peer, "late");
    }
    gateway_flush(&peer);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    assert_int_equal(weir_remote_poll(at.remote), WEIR_ERR_CLOSED);
    for (int i = 0; i < 1000; i++) {
        gateway_expect(&peer, "late");
    }
    weir_message *msg = NULL;
    assert_int_equal(channel_receive(peer.channel, &msg), WEIR_ERR_CLOSED);
    assert_int_equal(module.received, 1000);
    gateway_vanish(&peer);
    place_close(&at);
}

static void module_survives_its_gateway_until_the_next_ones_create(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    gateway_vanish(&peer);
    gateway_connect(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_REPLY); /* ignored; what follows shows that it was read */
    assert_int_equal(probe_get(&module.destroyed), 0);
    gateway_create(&peer, at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.destroyed), 1);
    gateway_open_messages(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_START);
    gateway_send(&peer, "again");
    gateway_flush(&peer);
    gateway_expect(&peer, "again");
    gateway_vanish(&peer);
    place_close(&at);
}

/* Another process may have been faster than the gateway, and have got what was meant for it. */
static void what_a_lost_message_channel_got_goes_to_the_next_one(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_connect(&peer, &at);
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = at.uri, .args = "null"};
    create.extension.present = true;
    create.extension.features = WR_FEATURE_ACKNOWLEDGE;
    gateway_say(&peer, &create);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_START);
    gateway_send(&peer, "once");
    gateway_flush(&peer);
    gateway_expect(&peer, "once");
    gateway_open_messages(&peer, &at);
    gateway_expect(&peer, "once");
    gateway_vanish(&peer);
    place_close(&at);
}

static void be_slow(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    uint64_t end_ns = wr_clock_ns() + WR_INTAKE_SLOW_NS;
    while (wr_clock_ns() < end_ns) {
    }
}

static void poll_until_answered(gateway *from, const place *at)
{
    wr_sp_frame frame;
    wr_control_message answer;
    weir_err err = WEIR_ERR_WOULD_BLOCK;
    while (err == WEIR_ERR_WOULD_BLOCK) {
        ASSERT_OK(weir_remote_poll(at->remote));
        err = wr_sp_receive(from->control, &frame, NULL);
    }
    ASSERT_OK(err);
    ASSERT_OK(wr_control_decode(frame.data, frame.size, &answer, NULL));
    assert_int_equal(answer.type, WR_CONTROL_HEARTBEAT_REPLY);
}

/* Else the gateway takes a slow module for one that hangs. */
static void heartbeats_are_answered_while_another_message_connection_waits(void **state)
{
    (void)state;
    enum { SENT = 20 };
    place at;
    gateway peer;
    char greeting[WR_SP_GREETING_SIZE];
    size_t got = 0;
    place_open_running(&at);
    module.on_receive = be_slow;
    gateway_begin(&peer, &at, true);
    wait_greeting(peer.channel);
    weir_remote_stop(at.remote);
    for (int i = 0; i < SENT; i++) {
        gateway_send(&peer, "slow");
    }
    gateway_flush(&peer);
    wr_stream *second = connect_to(at.messages);
    ASSERT_OK(weir_remote_poll(at.remote));
    gateway_say_type(&peer, WR_CONTROL_HEARTBEAT);
    poll_until_answered(&peer, &at);
    assert_true(module.received < SENT);
    while (wr_stream_read(second, greeting, sizeof(greeting), &got) == WEIR_ERR_WOULD_BLOCK) {
        ASSERT_OK(weir_remote_poll(at.remote));
    }
    assert_int_equal(got, 0); /* it is turned away, after all that was sent before it came */
    assert_int_equal(module.received, SENT);
    wr_stream_close(second);
    gateway_vanish(&peer);
    place_close(&at);
}

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

static void create_with_large_args_arrives_whole(void **state)
{
    (void)state;
    place at;
    gateway peer;
    static char args[500001];
    memset(args, '7', sizeof(args) - 1);
    place_open_running(&at);
    gateway_connect(&peer, &at);
    wait_ready(wr_stream_waitable(wr_sp_inner(peer.control)), WR_POLL_READ);
    wr_sp_frame none;
    assert_int_equal(wr_sp_receive(peer.control, &none, NULL), WEIR_ERR_WOULD_BLOCK);
    wr_buffer image = WR_BUFFER_INIT;
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = at.uri, .args = args};
    ASSERT_OK(wr_control_encode(&create, &image));
    ASSERT_OK(wr_sp_send(peer.control, image.data, image.size, NULL, NULL));
    while (wr_sp_flush(peer.control) == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_stream_waitable(wr_sp_inner(peer.control)), WR_POLL_WRITE);
    }
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(strspn(module.args, "7"), sizeof(module.args) - 1);
    gateway_vanish(&peer);
    wr_buffer_deinit(&image);
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
        cmocka_unit_test(create_is_answered_when_the_module_exists),
        cmocka_unit_test(gateway_without_extension_gets_the_plain_reply),
        cmocka_unit_test(failed_create_is_answered_with_the_modules_reason),
        cmocka_unit_test(message_channel_that_cannot_be_bound_is_a_connection_error),
        cmocka_unit_test(long_reason_is_cut_between_two_characters),
        cmocka_unit_test(repeated_create_is_answered_and_not_executed),
        cmocka_unit_test(other_create_replaces_the_module),
        cmocka_unit_test(create_for_a_started_module_replaces_it),
        cmocka_unit_test(failed_start_destroys_the_module_and_says_so),
        cmocka_unit_test(messages_before_start_are_held),
        cmocka_unit_test(large_messages_before_start_are_held_up_to_a_number_of_bytes),
        cmocka_unit_test(destroy_delivers_first_what_was_sent_before),
        cmocka_unit_test(module_survives_its_gateway_until_the_next_ones_create),
        cmocka_unit_test(what_a_lost_message_channel_got_goes_to_the_next_one),
        cmocka_unit_test(heartbeats_are_answered_while_another_message_connection_waits),
        cmocka_unit_test(gateway_that_leaves_behind_a_create_does_no_harm),
        cmocka_unit_test(second_control_connection_is_turned_away),
        cmocka_unit_test(start_without_a_module_and_unknown_types_are_ignored),
        cmocka_unit_test(create_with_large_args_arrives_whole),
        cmocka_unit_test(malformed_frames_close_the_connection_only),
        cmocka_unit_test(connection_that_ends_within_its_greeting_makes_way),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
