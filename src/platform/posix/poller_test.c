/* SPDX-License-Identifier: MIT
 *
 * Tests of the poller.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "platform/clock.h"
#include "platform/poller.h"
#include "platform/thread.h"

#define EVENTS_MAX 8u

typedef struct fixture {
    wr_poller *poller;
    wr_stream *a;
    wr_stream *b;
    wr_poll_event events[EVENTS_MAX];
} fixture;

static int begin(void **state)
{
    static fixture f;
    f = (fixture){0};
    *state = &f;
    bool made = wr_poller_create(&f.poller) == WEIR_OK && wr_stream_pair(&f.a, &f.b) == WEIR_OK;
    return made ? 0 : -1;
}

static int end(void **state)
{
    fixture *f = *state;
    wr_poller_destroy(f->poller);
    wr_stream_close(f->a);
    wr_stream_close(f->b);
    return 0;
}

static void put_byte(wr_stream *stream)
{
    const wr_slice slice = {"x", 1};
    size_t sent = 0;
    assert_int_equal(wr_stream_write(stream, &slice, 1, &sent), WEIR_OK);
}

static size_t poll_now(fixture *f)
{
    return wr_poller_wait(f->poller, f->events, EVENTS_MAX, 0);
}

static void nothing_ready_gives_no_event(void **state)
{
    fixture *f = *state;
    assert_int_equal(wr_poller_set(f->poller, wr_stream_waitable(f->a), WR_POLL_READ, f), WEIR_OK);
    assert_int_equal(poll_now(f), 0);
}

static void bytes_make_the_stream_ready_until_read(void **state)
{
    fixture *f = *state;
    assert_int_equal(wr_poller_set(f->poller, wr_stream_waitable(f->a), WR_POLL_READ, f), WEIR_OK);
    put_byte(f->b);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(poll_now(f), 1);
        assert_ptr_equal(f->events[0].token, f);
        assert_int_equal(f->events[0].ready, WR_POLL_READ);
    }
    char byte;
    size_t got;
    assert_int_equal(wr_stream_read(f->a, &byte, 1, &got), WEIR_OK);
    assert_int_equal(poll_now(f), 0);
}

static void set_changes_events_and_token(void **state)
{
    fixture *f = *state;
    wr_waitable what = wr_stream_waitable(f->a);
    assert_int_equal(wr_poller_set(f->poller, what, WR_POLL_READ, NULL), WEIR_OK);
    assert_int_equal(wr_poller_set(f->poller, what, WR_POLL_READ | WR_POLL_WRITE, f), WEIR_OK);
    assert_int_equal(poll_now(f), 1);
    assert_ptr_equal(f->events[0].token, f);
    assert_int_equal(f->events[0].ready, WR_POLL_WRITE);
}

static void set_to_nothing_ends_the_watch(void **state)
{
    fixture *f = *state;
    wr_waitable what = wr_stream_waitable(f->a);
    assert_int_equal(wr_poller_set(f->poller, what, WR_POLL_WRITE, f), WEIR_OK);
    assert_int_equal(wr_poller_set(f->poller, what, 0, f), WEIR_OK);
    assert_int_equal(poll_now(f), 0);
    assert_int_equal(wr_poller_set(f->poller, what, 0, f), WEIR_OK);
}

static void hang_up_shows_as_read_and_write(void **state)
{
    fixture *f = *state;
    assert_int_equal(wr_poller_set(f->poller, wr_stream_waitable(f->a), WR_POLL_READ, f), WEIR_OK);
    wr_stream_close(f->b);
    f->b = NULL;
    assert_int_equal(poll_now(f), 1);
    assert_int_equal(f->events[0].ready, WR_POLL_READ | WR_POLL_WRITE);
}

static void bad_waitable_is_an_error(void **state)
{
    fixture *f = *state;
    assert_int_equal(wr_poller_set(f->poller, (wr_waitable)-1, WR_POLL_READ, f), WEIR_ERR_IO);
}

static void wake_before_the_wait_ends_it_once(void **state)
{
    fixture *f = *state;
    wr_poller_wake(f->poller);
    wr_poller_wake(f->poller);
    assert_int_equal(wr_poller_wait(f->poller, f->events, EVENTS_MAX, -1), 0);
    struct pollfd self = {(int)wr_poller_waitable(f->poller), POLLIN, 0};
    assert_int_equal(poll(&self, 1, 0), 0);
}

static void wake(void *arg)
{
    wr_poller_wake(arg);
}

static void wake_by_another_thread_ends_the_wait(void **state)
{
    fixture *f = *state;
    wr_thread thread = {0};
    assert_int_equal(wr_thread_start(&thread, "waker", wake, f->poller), WEIR_OK);
    assert_int_equal(wr_poller_wait(f->poller, f->events, EVENTS_MAX, -1), 0);
    wr_thread_join(&thread);
}

static void wake_hides_no_event(void **state)
{
    fixture *f = *state;
    assert_int_equal(wr_poller_set(f->poller, wr_stream_waitable(f->a), WR_POLL_WRITE, f), WEIR_OK);
    wr_poller_wake(f->poller);
    assert_int_equal(poll_now(f), 1);
    assert_ptr_equal(f->events[0].token, f);
}

static void wake_keeps_errno(void **state)
{
    fixture *f = *state;
    errno = ERANGE;
    wr_poller_wake(f->poller);
    assert_int_equal(errno, ERANGE);
}

static void poller_is_itself_waitable(void **state)
{
    fixture *f = *state;
    struct pollfd self = {(int)wr_poller_waitable(f->poller), POLLIN, 0};
    assert_int_equal(poll(&self, 1, 0), 0);
    wr_poller_wake(f->poller);
    assert_int_equal(poll(&self, 1, 0), 1);
    assert_int_equal(poll_now(f), 0);
    assert_int_equal(wr_poller_set(f->poller, wr_stream_waitable(f->a), WR_POLL_WRITE, f), WEIR_OK);
    assert_int_equal(poll(&self, 1, 0), 1);
}

static void wait_lasts_until_its_timeout(void **state)
{
    fixture *f = *state;
    uint64_t before = wr_clock_ns();
    assert_int_equal(wr_poller_wait(f->poller, f->events, EVENTS_MAX, 20), 0);
    assert_true(wr_clock_ns() - before >= 20 * WR_NS_PER_MS);
}

static wr_poller *poller_of_handler;

static void wake_in_handler(int number)
{
    (void)number;
    wr_poller_wake(poller_of_handler);
}

static void wake_by_a_signal_handler_ends_the_wait(void **state)
{
    fixture *f = *state;
    poller_of_handler = f->poller;
    struct sigaction action = {.sa_handler = wake_in_handler};
    struct sigaction before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(wr_poller_wait(f->poller, f->events, EVENTS_MAX, -1), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

#define POLLED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POLLED(nothing_ready_gives_no_event),
        POLLED(bytes_make_the_stream_ready_until_read),
        POLLED(set_changes_events_and_token),
        POLLED(set_to_nothing_ends_the_watch),
        POLLED(hang_up_shows_as_read_and_write),
        POLLED(bad_waitable_is_an_error),
        POLLED(wake_before_the_wait_ends_it_once),
        POLLED(wake_by_another_thread_ends_the_wait),
        POLLED(wake_hides_no_event),
        POLLED(wake_keeps_errno),
        POLLED(poller_is_itself_waitable),
        POLLED(wait_lasts_until_its_timeout),
        POLLED(wake_by_a_signal_handler_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
