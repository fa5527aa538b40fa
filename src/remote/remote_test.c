/* SPDX-License-Identifier: MIT
 *
 * Tests of a remote's life: attach, the three ways to run it, interrupt, detach, and a whole main
 * function.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <signal.h>

#include "remote/remote_test.h"

static void attach_refuses_what_cannot_work(void **state)
{
    (void)state;
    place at;
    place_open(&at);
    weir_log_set_level(WEIR_LOG_ERROR);
    weir_remote *other = NULL;
    char file[WR_ADDRESS_MAX + 1];
    (void)snprintf(file, sizeof(file), "%s/file", at.folder);
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    (void)fclose(made);

    const weir_module_api wrong = {.abi_version = WEIR_MODULE_ABI + 1};
    assert_int_equal(weir_remote_attach(NULL, at.control, &other), WEIR_ERR_INVALID);
    assert_int_equal(weir_remote_attach(&probe_api, NULL, &other), WEIR_ERR_INVALID);
    assert_int_equal(weir_remote_attach(&probe_api, "", &other), WEIR_ERR_INVALID);
    assert_int_not_equal(weir_remote_attach(&wrong, at.control, &other), WEIR_OK);
    assert_int_equal(weir_remote_attach(&probe_api, at.control, &other), WEIR_ERR_IN_USE);
    assert_int_equal(weir_remote_attach(&probe_api, file, &other), WEIR_ERR_EXISTS);
    assert_int_equal(weir_remote_attach(&probe_api, "/nowhere/at/all", &other), WEIR_ERR_NOT_FOUND);
    assert_null(other);
    wr_file_remove(file);
    place_close(&at);
}

static void detach_takes_nothing(void **state)
{
    (void)state;
    weir_remote_detach(NULL);
}

static void detach_says_goodbye_and_destroys_the_module(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    weir_remote_stop(at.remote);
    place_close(&at);
    (void)gateway_expect_reply(&peer, WR_REPLY_DETACHED);
    gateway_expect_closed(&peer);
    gateway_vanish(&peer);
}

static void interrupt_before_run_ends_it_once(void **state)
{
    (void)state;
    place at;
    place_open(&at);
    weir_remote_interrupt(at.remote);
    assert_int_equal(weir_remote_run(at.remote), WEIR_ERR_INTERRUPTED);
    /* The interrupt is used up: the next run lasts until the next one. */
    gateway peer;
    gateway_connect(&peer, &at);
    gateway_vanish(&peer);
    weir_remote_interrupt(at.remote);
    assert_int_equal(weir_remote_run(at.remote), WEIR_ERR_INTERRUPTED);
    place_close(&at);
}

/* run, on a thread of the test's */

typedef struct runner {
    wr_thread thread;
    weir_remote *remote;
    weir_err result;
} runner;

static void run_remote(void *arg)
{
    runner *own = arg;
    own->result = weir_remote_run(own->remote);
}

static void runner_start(runner *own, weir_remote *remote)
{
    *own = (runner){.remote = remote};
    ASSERT_OK(wr_thread_start(&own->thread, "runner", run_remote, own));
}

static weir_err runner_join(runner *own)
{
    wr_thread_join(&own->thread);
    return own->result;
}

static void destroy_ends_run_and_the_next_run_serves_the_next_gateway(void **state)
{
    (void)state;
    place at;
    place_open(&at);
    for (unsigned i = 1; i <= 2; i++) {
        gateway peer;
        runner own;
        runner_start(&own, at.remote);
        gateway_begin(&peer, &at, true);
        gateway_say_type(&peer, WR_CONTROL_DESTROY);
        assert_int_equal(runner_join(&own), WEIR_OK);
        assert_int_equal(module.destroyed, i);
        assert_false(wr_file_exists(at.messages));
        gateway_vanish(&peer);
    }
    place_close(&at);
}

static void interrupt_ends_a_run_that_waits_and_the_module_stays(void **state)
{
    (void)state;
    place at;
    gateway peer;
    runner own;
    place_open(&at);
    runner_start(&own, at.remote);
    gateway_begin(&peer, &at, true);
    weir_remote_interrupt(at.remote);
    assert_int_equal(runner_join(&own), WEIR_ERR_INTERRUPTED);
    assert_int_equal(module.destroyed, 0);
    gateway_vanish(&peer);
    place_close(&at);
}

static void only_one_way_to_run_at_a_time(void **state)
{
    (void)state;
    place at;
    place_open_running(&at);
    assert_int_equal(weir_remote_start(at.remote), WEIR_ERR_STATE);
    assert_int_equal(weir_remote_run(at.remote), WEIR_ERR_STATE);
    assert_int_equal(weir_remote_poll(at.remote), WEIR_ERR_STATE);
    weir_remote_stop(at.remote);
    weir_remote_stop(at.remote);
    ASSERT_OK(weir_remote_poll(at.remote));
    ASSERT_OK(weir_remote_start(at.remote));
    place_close(&at);
}

static void started_remote_serves_one_gateway_after_the_other(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    for (unsigned i = 1; i <= 3; i++) {
        gateway_begin(&peer, &at, true);
        gateway_say_type(&peer, WR_CONTROL_DESTROY);
        probe_wait(&module.destroyed, i);
        gateway_vanish(&peer);
    }
    place_close(&at);
}

/* The program's own loop: wait for the descriptor, poll, until the reply is there. */
static weir_err poll_once(const place *at)
{
    wait_ready(weir_remote_fd(at->remote), WR_POLL_READ);
    return weir_remote_poll(at->remote);
}

static void poll_until(const place *at, const unsigned *counter, unsigned least)
{
    while (*counter < least) {
        ASSERT_OK(poll_once(at));
    }
}

static weir_err try_control(gateway *peer, wr_sp_frame *frame)
{
    return wr_sp_receive(peer->control, frame, NULL);
}

static void polled_remote_does_everything_that_a_running_one_does(void **state)
{
    (void)state;
    place at;
    gateway peer;
    wr_sp_frame frame;
    place_open(&at);
    module.on_receive = publish_back;
    gateway_connect(&peer, &at);
    ASSERT_OK(poll_once(&at));
    assert_int_equal(try_control(&peer, &frame), WEIR_ERR_WOULD_BLOCK); /* its greeting */
    gateway_create(&peer, at.uri, "null", true);
    poll_until(&at, &module.created, 1);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    gateway_open_messages(&peer, &at);
    gateway_say_type(&peer, WR_CONTROL_START);
    poll_until(&at, &module.started, 1);
    while (!wr_channel_greeted(peer.channel)) {
        weir_message *none = NULL;
        ASSERT_OK(weir_remote_poll(at.remote));
        assert_int_equal(wr_channel_receive(peer.channel, &none, NULL), WEIR_ERR_WOULD_BLOCK);
    }
    for (int i = 0; i < 500; i++) {
        gateway_send(&peer, "polled");
    }
    gateway_flush(&peer);
    /* More than one batch: the descriptor stays readable while something is left. */
    while (module.received < 500) {
        ASSERT_OK(poll_once(&at));
    }
    for (int i = 0; i < 500; i++) {
        gateway_expect(&peer, "polled");
    }
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    assert_int_equal(poll_once(&at), WEIR_ERR_CLOSED);
    ASSERT_OK(weir_remote_poll(at.remote));
    gateway_vanish(&peer);
    place_close(&at);
}

static bool is_readable(wr_waitable what)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    ASSERT_OK(wr_poller_create(&poller));
    ASSERT_OK(wr_poller_set(poller, what, WR_POLL_READ, &event));
    bool readable = wr_poller_wait(poller, &event, 1, 0) > 0;
    wr_poller_destroy(poller);
    return readable;
}

static void idle_remote_has_nothing_to_poll_and_interrupt_shows(void **state)
{
    (void)state;
    place at;
    gateway peer;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    weir_remote_stop(at.remote);
    while (is_readable(weir_remote_fd(at.remote))) {
        ASSERT_OK(weir_remote_poll(at.remote));
    }
    weir_remote_interrupt(at.remote);
    assert_true(is_readable(weir_remote_fd(at.remote)));
    ASSERT_OK(weir_remote_poll(at.remote));
    assert_false(is_readable(weir_remote_fd(at.remote)));
    gateway_vanish(&peer);
    place_close(&at);
}

static void launched_is_the_remote_that_the_environment_names(void **state)
{
    (void)state;
    place at;
    place_open(&at);
    assert_false(weir_remote_launched(at.remote));
    weir_remote_detach(at.remote);
    assert_int_equal(setenv(WEIR_ENV_CONTROL_ID, at.control, 1), 0);
    ASSERT_OK(weir_remote_attach(&probe_api, at.control, &at.remote));
    assert_true(weir_remote_launched(at.remote));
    weir_remote_detach(at.remote);
    assert_int_equal(setenv(WEIR_ENV_CONTROL_ID, "another", 1), 0);
    ASSERT_OK(weir_remote_attach(&probe_api, at.control, &at.remote));
    assert_false(weir_remote_launched(at.remote));
    assert_int_equal(unsetenv(WEIR_ENV_CONTROL_ID), 0);
    place_close(&at);
}

/* weir_remote_main */

static void main_explains_wrong_usage(void **state)
{
    (void)state;
    char name[] = "program";
    char id[] = "id";
    char help[] = "--help";
    char option[] = "--frobnicate";
    char *none[] = {name, NULL};
    char *many[] = {name, id, id, NULL};
    char *unknown[] = {name, option, NULL};
    char *helped[] = {name, help, NULL};
    assert_int_equal(weir_remote_main(&probe_api, 1, none), 2);
    assert_int_equal(weir_remote_main(&probe_api, 3, many), 2);
    assert_int_equal(weir_remote_main(&probe_api, 2, unknown), 2);
    assert_int_equal(weir_remote_main(&probe_api, 2, helped), 0);
}

static void main_fails_where_it_cannot_listen(void **state)
{
    (void)state;
    char name[] = "program";
    char id[] = "/nowhere/at/all";
    char *args[] = {name, id, NULL};
    assert_int_equal(weir_remote_main(&probe_api, 2, args), 1);
}

typedef struct main_thread {
    wr_thread thread;
    place at; /* its folder and paths; the remote is main's own */
    int status;
} main_thread;

static void run_main(void *arg)
{
    main_thread *own = arg;
    char name[] = "program";
    char *args[] = {name, own->at.control, NULL};
    own->status = weir_remote_main(&probe_api, 2, args);
}

/* Start main and connect to it: a gateway that got its reply knows that main serves. */
static void main_thread_start(main_thread *own, gateway *peer)
{
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX};
    weir_remote_detach(own->at.remote);
    own->at.remote = NULL;
    ASSERT_OK(wr_thread_start(&own->thread, "main", run_main, own));
    wr_stream *stream = NULL;
    uint64_t deadline = test_deadline();
    while (wr_stream_connect(own->at.control, &stream, NULL) != WEIR_OK) {
        assert_true(wr_clock_ns() < deadline);
    }
    *peer = (gateway){.control = NULL};
    ASSERT_OK(wr_sp_create(stream, &options, &peer->control));
    gateway_create(peer, own->at.uri, "null", true);
    (void)gateway_expect_reply(peer, WR_REPLY_CREATED);
}

static void launched_main_ends_with_its_module(void **state)
{
    (void)state;
    main_thread own = {.status = -1};
    gateway peer;
    place_open(&own.at);
    assert_int_equal(setenv(WEIR_ENV_CONTROL_ID, own.at.control, 1), 0);
    main_thread_start(&own, &peer);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    wr_thread_join(&own.thread);
    assert_int_equal(own.status, 0);
    assert_int_equal(unsetenv(WEIR_ENV_CONTROL_ID), 0);
    gateway_vanish(&peer);
    place_close(&own.at);
}

static void main_waits_for_the_next_gateway_and_ends_by_signal(void **state)
{
    (void)state;
    main_thread own = {.status = -1};
    gateway peer;
    place_open(&own.at);
    main_thread_start(&own, &peer);
    gateway_say_type(&peer, WR_CONTROL_DESTROY);
    gateway_create(&peer, own.at.uri, "null", true);
    (void)gateway_expect_reply(&peer, WR_REPLY_CREATED);
    assert_int_equal(raise(SIGTERM), 0);
    wr_thread_join(&own.thread);
    assert_int_equal(own.status, 0);
    (void)gateway_expect_reply(&peer, WR_REPLY_DETACHED);
    gateway_vanish(&peer);
    place_close(&own.at);
}

/* Of messages that are ignored. */
static void count_line(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)who;
    (void)text;
    *(unsigned *)user += level == WEIR_LOG_WARN;
}

/* A gateway that sends without end must not keep it from all else. */
static void many_control_messages_are_read_in_several_turns(void **state)
{
    (void)state;
    enum { COUNT = 900 };
    static const uint8_t unknown[] = {0xa1, 0x6c, 1, 99, 0, 0, 0, 8};
    place at;
    gateway peer;
    unsigned ignored = 0;
    place_open_running(&at);
    gateway_begin(&peer, &at, true);
    weir_remote_stop(at.remote);
    weir_log_set_sink(count_line, &ignored);
    weir_log_set_level(WEIR_LOG_WARN);
    for (unsigned i = 0; i < COUNT; i++) {
        ASSERT_OK(wr_sp_send(peer.control, unknown, sizeof(unknown), NULL, NULL));
    }
    control_flush(peer.control);
    unsigned polls = 0;
    for (; ignored < COUNT; polls++) {
        wait_ready(weir_remote_fd(at.remote), WR_POLL_READ);
        ASSERT_OK(weir_remote_poll(at.remote));
    }
    assert_true(polls > 2);
    weir_log_set_sink(NULL, NULL);
    gateway_vanish(&peer);
    place_close(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attach_refuses_what_cannot_work),
        cmocka_unit_test(detach_takes_nothing),
        cmocka_unit_test(detach_says_goodbye_and_destroys_the_module),
        cmocka_unit_test(interrupt_before_run_ends_it_once),
        cmocka_unit_test(destroy_ends_run_and_the_next_run_serves_the_next_gateway),
        cmocka_unit_test(interrupt_ends_a_run_that_waits_and_the_module_stays),
        cmocka_unit_test(only_one_way_to_run_at_a_time),
        cmocka_unit_test(started_remote_serves_one_gateway_after_the_other),
        cmocka_unit_test(polled_remote_does_everything_that_a_running_one_does),
        cmocka_unit_test(idle_remote_has_nothing_to_poll_and_interrupt_shows),
        cmocka_unit_test(launched_is_the_remote_that_the_environment_names),
        cmocka_unit_test(main_explains_wrong_usage),
        cmocka_unit_test(main_fails_where_it_cannot_listen),
        cmocka_unit_test(launched_main_ends_with_its_module),
        cmocka_unit_test(main_waits_for_the_next_gateway_and_ends_by_signal),
        cmocka_unit_test(many_control_messages_are_read_in_several_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
