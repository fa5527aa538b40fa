/* SPDX-License-Identifier: MIT
 *
 * Tests of the control channel: what each message of a gateway does, and what becomes of the module
 * when a gateway goes.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_is_answered_when_the_module_exists),
        cmocka_unit_test(gateway_without_extension_gets_the_plain_reply),
        cmocka_unit_test(failed_create_is_answered_with_the_modules_reason),
        cmocka_unit_test(message_channel_that_cannot_be_bound_is_a_connection_error),
        cmocka_unit_test(long_reason_is_cut_between_two_characters),
        cmocka_unit_test(create_with_large_args_arrives_whole),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
