/* SPDX-License-Identifier: MIT
 *
 * A slow module, and who else wants something from its thread meanwhile.
 */
#include "remote/remote_internal.h"
#include "remote/remote_test.h"

#define FIRST_GATE 3u
#define LAST_GATE 10u
#define MESSAGES 12u

/* How many messages the module may return from; under the probe's mutex. */
static size_t allowed;

/* Long enough to be given one message at a time, and at the gates until it is let through. */
static void work_slowly(weir_host *host, weir_message *msg)
{
    (void)host;
    (void)msg;
    uint64_t end_ns = wr_clock_ns() + WR_INTAKE_SLOW_NS;
    while (wr_clock_ns() < end_ns) {
    }
    wr_mutex_lock(&module.mutex);
    while (module.received >= allowed) {
        wr_cond_wait(&module.changed, &module.mutex);
    }
    wr_mutex_unlock(&module.mutex);
}

static void allow(size_t count)
{
    wr_mutex_lock(&module.mutex);
    allowed = count;
    wr_cond_broadcast(&module.changed);
    wr_mutex_unlock(&module.mutex);
}

static void ask_for_a_sign_of_life(gateway *peer)
{
    gateway_say(peer, &(wr_control_message){.type = WR_CONTROL_HEARTBEAT, .count = 7});
}

static void expect_a_sign_of_life(gateway *peer)
{
    wr_sp_frame frame = {0};
    wr_control_message answer;
    ASSERT_OK(control_receive(peer->control, &frame));
    ASSERT_OK(wr_control_decode(frame.data, frame.size, &answer, NULL));
    assert_int_equal(answer.type, WR_CONTROL_HEARTBEAT_REPLY);
    assert_int_equal(answer.count, 7);
}

static void second_connection_to_a_slow_module_does_not_silence_it(void **state)
{
    (void)state;
    place at;
    gateway peer;
    char greeting[WR_SP_GREETING_SIZE];
    size_t got = 0;
    allowed = 0;
    place_open_running(&at);
    module.on_receive = work_slowly;
    gateway_begin(&peer, &at, true);
    for (unsigned i = 0; i < MESSAGES; i++) {
        gateway_send(&peer, "slow");
    }
    gateway_flush(&peer);
    wr_stream *second = connect_to(at.messages); /* taken after the first message at the latest */
    allow(FIRST_GATE);
    probe_wait_received(FIRST_GATE);
    ask_for_a_sign_of_life(&peer);
    allow(LAST_GATE);
    expect_a_sign_of_life(&peer); /* the rest is not delivered before this */
    allow(MESSAGES);
    wait_ready(wr_stream_waitable(second), WR_POLL_READ);
    assert_int_equal(wr_stream_read(second, greeting, sizeof(greeting), &got), WEIR_ERR_CLOSED);
    wr_stream_close(second);
    probe_wait_received(MESSAGES);
    gateway_vanish(&peer);
    place_close(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_connection_to_a_slow_module_does_not_silence_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
