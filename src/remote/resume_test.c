/* SPDX-License-Identifier: MIT
 *
 * Tests of acknowledging, and of going on with a gateway that was cut off, or with the next one.
 */
#include "remote/remote_internal.h"

#include "remote/remote_test.h"

#define MORE_THAN_A_SOCKET_HOLDS (4u * 1024u * 1024u)

static void publish_large(weir_host *host, weir_message *msg)
{
    (void)msg;
    weir_message *large = message_of_size(MORE_THAN_A_SOCKET_HOLDS);
    ASSERT_OK(weir_publish(host, large));
    weir_message_unref(large);
}

/* What a gateway says of itself. */
typedef struct terms {
    uint32_t limit;
    uint32_t window;
} terms;

static wr_position go_on_by(const terms *said, gateway *peer, const place *at, wr_id *instance,
                            uint64_t sent)
{
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = at->uri, .args = "null"};
    create.extension.present = true;
    create.extension.message_limit = said->limit;
    create.extension.window = said->window;
    create.extension.features = WR_FEATURE_ACKNOWLEDGE;
    create.extension.session.bytes[0] = 1;
    create.extension.instance = *instance;
    create.extension.position.sent = sent;
    gateway_connect(peer, at);
    gateway_say(peer, &create);
    wr_control_message reply = gateway_expect_reply(peer, WR_REPLY_CREATED);
    gateway_open_messages(peer, at);
    gateway_say_type(peer, WR_CONTROL_START);
    *instance = reply.extension.instance;
    return reply.extension.position;
}

static wr_position go_on_with(gateway *peer, const place *at, wr_id *instance, uint64_t sent)
{
    return go_on_by(&(terms){.limit = WR_MESSAGE_LIMIT_DEFAULT}, peer, at, instance, sent);
}

static void expect_large(gateway *peer)
{
    size_t size = 0;
    weir_message *msg = NULL;
    ASSERT_OK(channel_receive(peer->channel, &msg));
    (void)weir_message_content(msg, &size);
    assert_int_equal(size, MORE_THAN_A_SOCKET_HOLDS);
    weir_message_unref(msg);
}

static uint64_t next_acknowledged(gateway *peer)
{
    wr_sp_frame frame = {0};
    wr_control_message message;
    ASSERT_OK(control_receive(peer->control, &frame));
    ASSERT_OK(wr_control_decode(frame.data, frame.size, &message, NULL));
    assert_int_equal(message.type, WR_CONTROL_ACKNOWLEDGE);
    return message.count;
}

/* If it died now, the gateway would need them again. */
static void message_whose_result_is_not_written_is_not_acknowledged_on_a_new_connection(
    void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_id instance = {{0}};
    place_open_running(&at);
    module.on_receive = publish_large;
    (void)go_on_with(&peer, &at, &instance, 0);
    gateway_send(&peer, "first");
    gateway_flush(&peer);
    probe_wait_received(1);
    gateway_vanish(&peer);
    assert_int_equal(go_on_with(&peer, &at, &instance, 1).received, 0);
    expect_large(&peer);
    gateway_say(&peer, &(wr_control_message){.type = WR_CONTROL_ACKNOWLEDGE, .count = 1});
    gateway_send(&peer, "first");
    gateway_send(&peer, "second");
    gateway_flush(&peer);
    expect_large(&peer);
    uint64_t acknowledged = 0;
    while (acknowledged < 2) {
        acknowledged = next_acknowledged(&peer);
    }
    assert_int_equal(acknowledged, 2);
    assert_int_equal(module.received, 2); /* the first one only once */
    gateway_vanish(&peer);
    place_close(&at);
}

/* Messages that wait until the remote, whose thread has been stopped, runs again. */
static void send_while_stopped(gateway *peer, const place *at, unsigned count)
{
    wait_greeting(peer->channel);
    probe_wait(&module.started, 1);
    weir_remote_stop(at->remote);
    for (unsigned i = 0; i < count; i++) {
        gateway_send(peer, "one of many");
    }
    gateway_flush(peer);
}

static void compute(uint64_t ns)
{
    uint64_t end_ns = wr_clock_ns() + ns;
    while (wr_clock_ns() < end_ns) {
    }
}

static void compute_a_little(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    compute(WR_NS_PER_MS);
}

/* More than one batch, which takes longer than WR_TELL_DELAY_MS. */
static void backlog_is_acknowledged_while_it_is_worked_on(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_id instance = {{0}};
    place_open_running(&at);
    module.on_receive = compute_a_little;
    (void)go_on_with(&peer, &at, &instance, 0);
    send_while_stopped(&peer, &at, 3 * WR_INTAKE_BATCH_MAX);
    ASSERT_OK(weir_remote_start(at.remote));
    assert_in_range(next_acknowledged(&peer), 1, 2 * WR_INTAKE_BATCH_MAX - 1);
    gateway_vanish(&peer);
    place_close(&at);
}

static unsigned acknowledged_first; /* under module.mutex */

static void wait_for_acknowledgement_of_the_first(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    if (module.received > 0) {
        probe_wait(&acknowledged_first, 1);
    }
}

static void take_long_and_wait(weir_host *host, weir_message *msg)
{
    if (module.received == 0) {
        compute(WR_TELL_DELAY_MS * WR_NS_PER_MS);
    }
    wait_for_acknowledgement_of_the_first(host, msg);
}

static void expect_acknowledged_one_by_one(const terms *said,
                                           void (*on_receive)(weir_host *host, weir_message *msg))
{
    place at;
    gateway peer;
    wr_id instance = {{0}};
    acknowledged_first = 0;
    place_open_running(&at);
    module.on_receive = on_receive;
    (void)go_on_by(said, &peer, &at, &instance, 0);
    send_while_stopped(&peer, &at, 2);
    ASSERT_OK(weir_remote_start(at.remote));
    assert_int_equal(next_acknowledged(&peer), 1);
    probe_count(&acknowledged_first);
    assert_int_equal(next_acknowledged(&peer), 2);
    gateway_vanish(&peer);
    place_close(&at);
}

static void slow_message_is_acknowledged_before_the_next_is_done(void **state)
{
    (void)state;
    expect_acknowledged_one_by_one(&(terms){.limit = WR_MESSAGE_LIMIT_DEFAULT}, take_long_and_wait);
}

static void quarter_of_a_small_window_is_acknowledged_at_once(void **state)
{
    (void)state;
    expect_acknowledged_one_by_one(&(terms){.limit = WR_MESSAGE_LIMIT_DEFAULT, .window = 4},
                                   wait_for_acknowledgement_of_the_first);
}

/* Draining: what came before the gateway was cut off, or destroyed the module, however long the
 * module takes for each and however much it publishes. */

enum { WAITING = 3000, RESULTS = 4 };

static weir_remote *slow_remote;

/* As if it had taken long: again only a few are handed over. */
static void publish_results(weir_host *host, weir_message *msg)
{
    slow_remote->intake.portion = 0;
    for (unsigned i = 0; i < RESULTS; i++) {
        ASSERT_OK(weir_publish(host, msg));
    }
}

static void begin_with_much_waiting(place *at, gateway *peer)
{
    wr_id instance = {{0}};
    place_open_running(at);
    slow_remote = at->remote;
    module.on_receive = publish_results;
    (void)go_on_with(peer, at, &instance, 0);
    send_while_stopped(peer, at, WAITING);
}

static void expect_all_results(gateway *peer)
{
    for (unsigned i = 0; i < WAITING * RESULTS; i++) {
        gateway_expect(peer, "one of many");
    }
    assert_int_equal(module.received, WAITING);
}

static void next_gateway_gets_the_results_of_all_that_the_last_one_sent(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_id instance = {{0}};
    begin_with_much_waiting(&at, &peer);
    gateway_vanish(&peer);
    ASSERT_OK(weir_remote_start(at.remote));
    (void)go_on_with(&peer, &at, &instance, 0);
    expect_all_results(&peer);
    assert_int_equal(module.created, 1);
    gateway_vanish(&peer);
    place_close(&at);
}

static void destroyed_module_gets_all_that_was_sent_before(void **state)
{
    (void)state;
    place at;
    gateway peer;
    begin_with_much_waiting(&at, &peer);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    ASSERT_OK(weir_remote_start(at.remote));
    probe_wait(&module.destroyed, 1);
    expect_all_results(&peer);
    gateway_vanish(&peer);
    place_close(&at);
}

static char warning[256];

static void keep_line(void *user, weir_log_level level, const char *name, const char *text)
{
    (void)user;
    (void)level;
    (void)name;
    (void)snprintf(warning, sizeof(warning), "%s", text);
}

static weir_err publish(weir_message *msg)
{
    weir_err err = weir_publish(module.host, msg);
    weir_message_unref(msg);
    return err;
}

/* It would close the connection, and get the same message again on the next one. */
static void what_is_over_the_next_gateways_limit_is_dropped_and_said(void **state)
{
    (void)state;
    enum { LIMIT = 100000 };
    place at;
    gateway peer;
    wr_id instance = {{0}};
    place_open_running(&at);
    (void)go_on_with(&peer, &at, &instance, 0);
    wait_greeting(peer.channel);
    ASSERT_OK(publish(message_of("first")));
    ASSERT_OK(publish(message_of_size(LIMIT)));
    ASSERT_OK(publish(message_of("second")));
    gateway_vanish(&peer);
    weir_remote_stop(at.remote);
    weir_log_set_sink(keep_line, NULL);
    weir_log_set_level(WEIR_LOG_WARN);
    ASSERT_OK(weir_remote_start(at.remote));
    wr_position position = go_on_by(&(terms){.limit = LIMIT}, &peer, &at, &instance, 0);
    assert_string_equal(warning, "1 queued message is over this gateway's limit and dropped");
    assert_int_equal(position.first, 0);
    assert_in_range(position.sent, 0, 2);
    gateway_expect(&peer, "first");
    gateway_expect(&peer, "second");
    assert_int_equal(publish(message_of_size(LIMIT)), WEIR_ERR_TOO_LARGE);
    gateway_say(&peer, &(wr_control_message){.type = WR_CONTROL_ACKNOWLEDGE, .count = 2});
    ASSERT_OK(publish(message_of("third")));
    gateway_expect(&peer, "third");
    assert_int_equal(module.created, 1);
    gateway_vanish(&peer);
    place_close(&at);
    weir_log_set_sink(NULL, NULL);
}

static weir_remote *called_away;

static void call_away(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    weir_remote_interrupt(called_away);
}

/* ... and gives its module no more of what came before destroy than it has in hand. */
static void who_is_interrupted_ends(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_id instance = {{0}};
    place_open_running(&at);
    called_away = at.remote;
    module.on_receive = call_away;
    (void)go_on_with(&peer, &at, &instance, 0);
    send_while_stopped(&peer, &at, 3 * WR_INTAKE_BATCH_MAX);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    assert_int_equal(weir_remote_run(at.remote), WEIR_OK);
    assert_in_range(module.received, 1, WR_INTAKE_BATCH_MAX);
    gateway_vanish(&peer);
    place_close(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_interrupted_ends),
        cmocka_unit_test(
            message_whose_result_is_not_written_is_not_acknowledged_on_a_new_connection),
        cmocka_unit_test(backlog_is_acknowledged_while_it_is_worked_on),
        cmocka_unit_test(slow_message_is_acknowledged_before_the_next_is_done),
        cmocka_unit_test(quarter_of_a_small_window_is_acknowledged_at_once),
        cmocka_unit_test(next_gateway_gets_the_results_of_all_that_the_last_one_sent),
        cmocka_unit_test(destroyed_module_gets_all_that_was_sent_before),
        cmocka_unit_test(what_is_over_the_next_gateways_limit_is_dropped_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
