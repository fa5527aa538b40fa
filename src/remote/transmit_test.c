/* SPDX-License-Identifier: MIT
 *
 * Tests of publishing from a remote module: order, limits, waiting, and gateways that come and go.
 */
#include "remote/transmit.h"

#include "remote/remote_test.h"

#define THREADS 4u
#define PER_THREAD 2000u
#define LARGE_SIZE (256u * 1024u)

static void small_number(char text[16], unsigned number)
{
    (void)snprintf(text, 16, "%u", number);
}

static void publish_number(unsigned number)
{
    char text[16];
    small_number(text, number);
    weir_message *msg = message_of(text);
    ASSERT_OK(weir_publish(module.host, msg));
    weir_message_unref(msg);
}

static unsigned receive_number(gateway *from)
{
    weir_message *msg = NULL;
    ASSERT_OK(channel_receive(from->channel, &msg));
    size_t size = 0;
    const char *content = weir_message_content(msg, &size);
    char text[16] = {0};
    assert_in_range(size, 1, sizeof(text) - 1);
    memcpy(text, content, size);
    weir_message_unref(msg);
    return (unsigned)strtoul(text, NULL, 10);
}

static void fill_queue(void)
{
    for (unsigned i = 0; i < WR_TRANSMIT_MESSAGES_MAX; i++) {
        publish_number(i);
    }
}

/* A created module whose gateway has no message channel yet. */
static void begin_without_messages(gateway *peer, const place *at)
{
    gateway_connect(peer, at);
    gateway_create(peer, at->uri, "null", true);
    (void)gateway_expect_reply(peer, WR_REPLY_CREATED);
}

static void messages_published_without_a_gateway_arrive_in_order_when_it_connects(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    fill_queue();
    gateway_open_messages(&peer, &at);
    for (unsigned i = 0; i < WR_TRANSMIT_MESSAGES_MAX; i++) {
        assert_int_equal(receive_number(&peer), i);
    }
    gateway_vanish(&peer);
    place_close(&at);
}

static void full_queue_refuses_a_message_that_may_not_wait(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    fill_queue();
    weir_message *msg = message_of("one more");
    assert_int_equal(weir_try_publish(module.host, msg), WEIR_ERR_FULL);
    gateway_open_messages(&peer, &at);
    assert_int_equal(receive_number(&peer), 0);
    ASSERT_OK(weir_try_publish(module.host, msg));
    weir_message_unref(msg);
    gateway_vanish(&peer);
    place_close(&at);
}

static void queue_is_full_by_bytes_too(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    weir_message *msg = message_of_size(WR_TRANSMIT_BYTES_MAX / 4);
    for (int i = 0; i < 4; i++) {
        ASSERT_OK(weir_try_publish(module.host, msg));
    }
    assert_int_equal(weir_try_publish(module.host, msg), WEIR_ERR_FULL);
    weir_message_unref(msg);
    gateway_vanish(&peer);
    place_close(&at);
}

/* Threads of the module's */

typedef struct publisher {
    wr_thread thread;
    unsigned first; /* numbers from here on */
    unsigned count;
    unsigned refused; /* answered CLOSED; read after the join */
} publisher;

static unsigned publishing; /* under module.mutex: threads that have begun */

static void publish_numbers(void *arg)
{
    publisher *own = arg;
    probe_count(&publishing);
    for (unsigned i = 0; i < own->count; i++) {
        char text[16];
        small_number(text, own->first + i);
        weir_message *msg = message_of(text);
        weir_err err = weir_publish(module.host, msg);
        weir_message_unref(msg);
        own->refused += err == WEIR_ERR_CLOSED ? 1 : 0;
        if (err != WEIR_OK) {
            return;
        }
    }
}

static publisher publishers[THREADS];

static void start_publishers(unsigned count)
{
    publishing = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        publishers[i] = (publisher){.first = i * PER_THREAD, .count = count};
        ASSERT_OK(
            wr_thread_start(&publishers[i].thread, "publisher", publish_numbers, &publishers[i]));
    }
    probe_wait(&publishing, THREADS);
}

static void join_publishers(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        wr_thread_join(&publishers[i].thread);
    }
}

static void messages_of_four_threads_all_arrive_and_each_threads_in_order(void **state)
{
    (void)state;
    place at;
    gateway peer;
    unsigned next[THREADS] = {0};
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    start_publishers(PER_THREAD);
    for (unsigned i = 0; i < THREADS * PER_THREAD; i++) {
        unsigned number = receive_number(&peer);
        unsigned thread = number / PER_THREAD;
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(number % PER_THREAD, next[thread]);
        next[thread]++;
    }
    join_publishers();
    gateway_vanish(&peer);
    place_close(&at);
}

static void waiting_publishers_get_closed_when_the_module_is_destroyed(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_destroy = join_publishers;
    begin_without_messages(&peer, &at);
    fill_queue();
    start_publishers(1);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    probe_wait(&module.destroyed, 1);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(publishers[i].refused, 1);
    }
    gateway_vanish(&peer);
    place_close(&at);
}

static void waiting_publishers_go_on_when_the_gateway_reads(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    fill_queue();
    start_publishers(1);
    gateway_open_messages(&peer, &at);
    for (unsigned i = 0; i < WR_TRANSMIT_MESSAGES_MAX + THREADS; i++) {
        (void)receive_number(&peer);
    }
    join_publishers();
    gateway_vanish(&peer);
    place_close(&at);
}

/* Inside callbacks */

static void publish_many(weir_host *host, weir_message *msg)
{
    for (unsigned i = 0; i < 4 * WR_TRANSMIT_MESSAGES_MAX; i++) {
        ASSERT_OK(weir_publish(host, msg));
    }
}

static void publishing_inside_receive_goes_over_the_limit_and_never_waits(void **state)
{
    (void)state;
    place at;
    gateway peer;
    char text[1025];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    place_open_running(&at);
    module.on_receive = publish_many;
    gateway_begin(&peer, &at, true);
    gateway_send(&peer, text);
    gateway_flush(&peer);
    probe_wait_received(1);
    for (unsigned i = 0; i < 4 * WR_TRANSMIT_MESSAGES_MAX; i++) {
        gateway_expect(&peer, text);
    }
    gateway_vanish(&peer);
    place_close(&at);
}

/* Two directions that wait for each other would never end. */
static void gateway_that_does_not_read_is_not_read_and_nothing_is_lost(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    place at;
    gateway peer;
    char text[257];
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    weir_message *msg = message_of(text);
    wait_greeting(peer.channel);
    /* First as much as goes, then the rest by turns with receiving. */
    unsigned sent = 0;
    unsigned got = 0;
    while (got < COUNT) {
        while (sent < COUNT && wr_channel_send(peer.channel, msg) == WEIR_OK) {
            sent++;
        }
        weir_err err = wr_channel_flush(peer.channel);
        assert_true(err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK);
        gateway_expect(&peer, text);
        got++;
    }
    assert_int_equal(sent, COUNT);
    weir_message_unref(msg);
    gateway_vanish(&peer);
    place_close(&at);
}

/* Limits of the peer */

static void message_over_an_old_gateways_limit_is_refused(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, false);
    weir_message *large = message_of_size(WR_MESSAGE_LIMIT_OLD_PEER);
    weir_message *largest = message_of_size(WR_MESSAGE_LIMIT_OLD_PEER - WEIR_MESSAGE_SIZE_MIN);
    assert_int_equal(weir_publish(module.host, large), WEIR_ERR_TOO_LARGE);
    ASSERT_OK(weir_publish(module.host, largest));
    weir_message *got = NULL;
    ASSERT_OK(channel_receive(peer.channel, &got));
    size_t size = 0;
    (void)weir_message_image(got, &size);
    assert_int_equal(size, WR_MESSAGE_LIMIT_OLD_PEER);
    weir_message_unref(got);
    weir_message_unref(large);
    weir_message_unref(largest);
    gateway_vanish(&peer);
    place_close(&at);
}

static void new_gateways_limit_holds(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    weir_message *large = message_of_size(WR_MESSAGE_LIMIT_OLD_PEER);
    ASSERT_OK(weir_publish(module.host, large));
    weir_message *got = NULL;
    ASSERT_OK(channel_receive(peer.channel, &got));
    weir_message_unref(got);
    weir_message_unref(large);
    gateway_vanish(&peer);
    place_close(&at);
}

/* Gateways that come and go */

static void queue_survives_a_reconnect(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    publish_number(7);
    gateway_vanish(&peer);
    publish_number(8);
    begin_without_messages(&peer, &at);
    gateway_open_messages(&peer, &at);
    assert_int_equal(receive_number(&peer), 7);
    assert_int_equal(receive_number(&peer), 8);
    gateway_vanish(&peer);
    place_close(&at);
}

static void queued_message_that_the_next_gateway_cannot_take_is_dropped(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    begin_without_messages(&peer, &at);
    weir_message *large = message_of_size(WR_MESSAGE_LIMIT_OLD_PEER);
    ASSERT_OK(weir_publish(module.host, large));
    publish_number(9);
    weir_message_unref(large);
    gateway_vanish(&peer);
    gateway_connect(&peer, &at);
    gateway_create(&peer, at.uri, "null", false);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    assert_int_equal(receive_number(&peer), 9);
    gateway_vanish(&peer);
    place_close(&at);
}

static void gateway_that_vanishes_within_a_frame_makes_way(void **state)
{
    (void)state;
    static const char cut[] = "\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x0f\x00\x00half";
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    wr_channel_destroy(peer.channel);
    peer.channel = NULL;
    wr_stream *stream = connect_to(at.messages);
    size_t sent = 0;
    const wr_slice slice = {cut, sizeof(cut) - 1};
    ASSERT_OK(wr_stream_write(stream, &slice, 1, &sent));
    wr_stream_close(stream);
    gateway_open_messages(&peer, &at);
    gateway_send(&peer, "hello");
    gateway_flush(&peer);
    gateway_expect(&peer, "hello");
    gateway_vanish(&peer);
    place_close(&at);
}

static void malformed_message_ends_the_connection_and_not_the_module(void **state)
{
    (void)state;
    static const char wrong[] =
        "\x00SP\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x04nope";
    place at;
    gateway peer;
    char waste[64];
    size_t size = 0;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    wr_channel_destroy(peer.channel);
    peer.channel = NULL;
    wr_stream *stream = connect_to(at.messages);
    const wr_slice slice = {wrong, sizeof(wrong) - 1};
    ASSERT_OK(wr_stream_write(stream, &slice, 1, &size));
    weir_err err = WEIR_OK;
    while (err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_stream_waitable(stream), WR_POLL_READ);
        err = wr_stream_read(stream, waste, sizeof(waste), &size);
    }
    wr_stream_close(stream);
    gateway_open_messages(&peer, &at);
    gateway_send(&peer, "hello");
    gateway_flush(&peer);
    gateway_expect(&peer, "hello");
    assert_int_equal(probe_get(&module.destroyed), 0);
    gateway_vanish(&peer);
    place_close(&at);
}

static void second_message_connection_is_turned_away(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    expect_turned_away(at.messages);
    gateway_send(&peer, "still here");
    gateway_flush(&peer);
    gateway_expect(&peer, "still here");
    gateway_vanish(&peer);
    place_close(&at);
}

static void new_connection_is_taken_though_the_end_of_the_last_was_not_yet_read(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    module.on_receive = publish_back;
    gateway_begin(&peer, &at, true);
    weir_remote_stop(at.remote);
    gateway_open_messages(&peer, &at); /* closes the last */
    ASSERT_OK(weir_remote_poll(at.remote));
    ASSERT_OK(weir_remote_start(at.remote));
    gateway_send(&peer, "hello");
    gateway_flush(&peer);
    gateway_expect(&peer, "hello");
    gateway_vanish(&peer);
    place_close(&at);
}

/* The remote neither reads (its queue is full) nor can write: only the failed write can tell. */
static void dead_connection_of_a_full_queue_makes_way(void **state)
{
    (void)state;
    place at;
    gateway peer;
    char text[1025];
    memset(text, 'z', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    place_open_running(&at);
    module.on_receive = publish_many;
    gateway_begin(&peer, &at, true);
    gateway_send(&peer, text);
    gateway_flush(&peer);
    probe_wait_received(1);
    gateway_open_messages(&peer, &at); /* closes the first */
    gateway_expect(&peer, text);
    gateway_vanish(&peer);
    place_close(&at);
}

/* More than the sockets hold; the gateway has its greeting, and does not read. */
static void publish_more_than_fits(place *at, gateway *peer, unsigned count)
{
    place_open_running(at);
    gateway_begin(peer, at, false);
    wait_greeting(peer->channel);
    weir_message *msg = message_of_size(LARGE_SIZE);
    for (unsigned i = 0; i < count; i++) {
        ASSERT_OK(weir_publish(module.host, msg));
    }
    weir_message_unref(msg);
}

static void what_was_published_before_destroy_arrives_after_it(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    place at;
    gateway peer;
    weir_message *msg = NULL;
    publish_more_than_fits(&at, &peer, COUNT);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    probe_wait(&module.destroyed, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = 0;
        ASSERT_OK(channel_receive(peer.channel, &msg));
        (void)weir_message_content(msg, &size);
        assert_int_equal(size, LARGE_SIZE);
        weir_message_unref(msg);
    }
    assert_int_equal(channel_receive(peer.channel, &msg), WEIR_ERR_CLOSED);
    gateway_vanish(&peer);
    place_close(&at);
}

static void new_create_does_not_wait_for_what_the_last_module_published(void **state)
{
    (void)state;
    place at;
    gateway peer;
    publish_more_than_fits(&at, &peer, 16);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    gateway_create(&peer, at.uri, "null", false);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(probe_get(&module.created), 2);
    gateway_vanish(&peer);
    place_close(&at);
}

static void gateway_that_never_reads_does_not_keep_a_program_from_leaving(void **state)
{
    (void)state;
    place at;
    gateway peer;
    publish_more_than_fits(&at, &peer, 16);
    place_close(&at);
    (void)gateway_expect_reply(&peer, WR_REPLY_DETACHED);
    gateway_vanish(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_published_without_a_gateway_arrive_in_order_when_it_connects),
        cmocka_unit_test(full_queue_refuses_a_message_that_may_not_wait),
        cmocka_unit_test(queue_is_full_by_bytes_too),
        cmocka_unit_test(messages_of_four_threads_all_arrive_and_each_threads_in_order),
        cmocka_unit_test(waiting_publishers_get_closed_when_the_module_is_destroyed),
        cmocka_unit_test(waiting_publishers_go_on_when_the_gateway_reads),
        cmocka_unit_test(publishing_inside_receive_goes_over_the_limit_and_never_waits),
        cmocka_unit_test(gateway_that_does_not_read_is_not_read_and_nothing_is_lost),
        cmocka_unit_test(message_over_an_old_gateways_limit_is_refused),
        cmocka_unit_test(new_gateways_limit_holds),
        cmocka_unit_test(queue_survives_a_reconnect),
        cmocka_unit_test(queued_message_that_the_next_gateway_cannot_take_is_dropped),
        cmocka_unit_test(gateway_that_vanishes_within_a_frame_makes_way),
        cmocka_unit_test(malformed_message_ends_the_connection_and_not_the_module),
        cmocka_unit_test(second_message_connection_is_turned_away),
        cmocka_unit_test(new_connection_is_taken_though_the_end_of_the_last_was_not_yet_read),
        cmocka_unit_test(dead_connection_of_a_full_queue_makes_way),
        cmocka_unit_test(what_was_published_before_destroy_arrives_after_it),
        cmocka_unit_test(new_create_does_not_wait_for_what_the_last_module_published),
        cmocka_unit_test(gateway_that_never_reads_does_not_keep_a_program_from_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
