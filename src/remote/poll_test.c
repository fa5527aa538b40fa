/* SPDX-License-Identifier: MIT
 *
 * Tests of a remote inside a loop of the program's own: its descriptor is readable when there is
 * something to do, also where only time has passed, and not before.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <unistd.h>

#include "remote/remote_internal.h"
#include "remote/remote_test.h"

static weir_err poll_when_ready(place *at)
{
    wait_ready(weir_remote_fd(at->remote), WR_POLL_READ);
    return weir_remote_poll(at->remote);
}

static void poll_until(place *at, const unsigned *counter, unsigned least)
{
    while (probe_get(counter) < least) {
        ASSERT_OK(poll_when_ready(at));
    }
}

/* A started module that has published more than the gateway, which does not read, takes. */
static void begin_stuck(place *at, gateway *peer)
{
    gateway_connect(peer, at);
    ASSERT_OK(weir_remote_poll(at->remote));
    wr_sp_frame frame;
    assert_int_equal(wr_sp_receive(peer->control, &frame, NULL), WEIR_ERR_WOULD_BLOCK);
    gateway_create(peer, at->uri, "null", true);
    poll_until(at, &module.created, 1);
    (void)gateway_expect_reply(peer, WR_REPLY_CREATED);
    gateway_open_messages(peer, at);
    gateway_say_type(peer, WR_CONTROL_START);
    poll_until(at, &module.started, 1);
    weir_message *msg = message_of_size(1024 * 1024);
    for (unsigned i = 0; i < 16; i++) {
        ASSERT_OK(weir_publish(module.host, msg));
    }
    weir_message_unref(msg);
}

/* Sooner than WR_END_DELAY_MS, and by the time alone: nothing else happens. */
static void end_that_cannot_be_written_comes_in_time(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open(&at);
    begin_stuck(&at, &peer);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    poll_until(&at, &module.destroyed, 1);
    at.remote->session.ending_until_ns = wr_clock_ns() + 50 * WR_NS_PER_MS;
    ASSERT_OK(weir_remote_poll(at.remote));
    weir_err err = WEIR_OK;
    while (err == WEIR_OK) {
        err = poll_when_ready(&at);
    }
    assert_int_equal(err, WEIR_ERR_CLOSED);
    gateway_vanish(&peer);
    place_close(&at);
}

static void set_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The next descriptor that the system would give. */
static rlim_t next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    assert_true(fd >= 0);
    (void)close(fd);
    return (rlim_t)fd;
}

static void loop_does_not_spin_without_descriptors(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_poller *poller = NULL;
    wr_poll_event event;
    place_open(&at);
    ASSERT_OK(weir_remote_poll(at.remote));
    ASSERT_OK(wr_poller_create(&poller));
    ASSERT_OK(wr_poller_set(poller, weir_remote_fd(at.remote), WR_POLL_READ, &event));
    gateway_connect(&peer, &at);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    set_descriptors(next_descriptor());
    uint64_t start_ns = wr_clock_ns();
    for (unsigned i = 0; i < 8; i++) { /* it sees the connection, fails, waits: every other time */
        assert_int_equal(wr_poller_wait(poller, &event, 1, DEADLINE_MS), 1);
        ASSERT_OK(weir_remote_poll(at.remote));
    }
    uint64_t took_ns = wr_clock_ns() - start_ns;
    set_descriptors(before.rlim_cur);
    wr_poller_destroy(poller);
    assert_true(took_ns >= 300 * WR_NS_PER_MS); /* at least: three of the pauses */
    while (at.remote->session.stream == NULL) { /* it is taken when there are some again */
        ASSERT_OK(poll_when_ready(&at));
    }
    gateway_vanish(&peer);
    place_close(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_that_cannot_be_written_comes_in_time),
        cmocka_unit_test(loop_does_not_spin_without_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
