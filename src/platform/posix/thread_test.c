/* SPDX-License-Identifier: MIT
 *
 * Tests of threads, conditions and clocks.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "platform/clock.h"
#include "platform/thread.h"

typedef struct shared {
    wr_mutex mutex;
    wr_cond cond;
    bool ready; /* guarded by mutex */
    char name[16];
    sigset_t mask;
} shared;

static void shared_init(shared *s)
{
    memset(s, 0, sizeof(*s));
    wr_mutex_init(&s->mutex);
    wr_cond_init(&s->cond);
}

static void shared_deinit(shared *s)
{
    wr_cond_deinit(&s->cond);
    wr_mutex_deinit(&s->mutex);
}

static void set_ready(void *arg)
{
    shared *s = arg;
    wr_mutex_lock(&s->mutex);
    s->ready = true;
    pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    wr_cond_broadcast(&s->cond);
    wr_mutex_unlock(&s->mutex);
}

static void waiting_thread_sees_the_signal(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    wr_thread thread = {0};
    wr_mutex_lock(&s.mutex);
    assert_int_equal(wr_thread_start(&thread, "a", set_ready, &s), WEIR_OK);
    while (!s.ready) {
        wr_cond_wait(&s.cond, &s.mutex);
    }
    wr_mutex_unlock(&s.mutex);
    wr_thread_join(&thread);
    assert_false(thread.started);
    wr_thread_join(&thread);
    shared_deinit(&s);
}

static void wait_until_a_past_deadline_times_out(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    wr_mutex_lock(&s.mutex);
    assert_false(wr_cond_wait_until(&s.cond, &s.mutex, wr_clock_ns()));
    uint64_t deadline = wr_clock_ns() + 5 * WR_NS_PER_MS;
    while (wr_cond_wait_until(&s.cond, &s.mutex, deadline)) {
    }
    assert_true(wr_clock_ns() >= deadline);
    wr_mutex_unlock(&s.mutex);
    shared_deinit(&s);
}

static void wait_until_a_far_deadline_sees_the_signal(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    wr_thread thread = {0};
    wr_mutex_lock(&s.mutex);
    assert_int_equal(wr_thread_start(&thread, "a", set_ready, &s), WEIR_OK);
    bool in_time = true;
    while (!s.ready && in_time) {
        in_time = wr_cond_wait_until(&s.cond, &s.mutex, UINT64_MAX);
    }
    assert_true(in_time);
    wr_mutex_unlock(&s.mutex);
    wr_thread_join(&thread);
    shared_deinit(&s);
}

static void thread_has_the_first_15_bytes_of_its_name(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    wr_thread thread = {0};
    assert_int_equal(wr_thread_start(&thread, "0123456789abcdefgh", set_ready, &s), WEIR_OK);
    wr_thread_join(&thread);
    assert_string_equal(s.name, "0123456789abcde");
    shared_deinit(&s);
}

static void thread_takes_only_the_signals_of_its_own_faults(void **state)
{
    (void)state;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    shared s;
    shared_init(&s);
    wr_thread thread = {0};
    assert_int_equal(wr_thread_start(&thread, "a", set_ready, &s), WEIR_OK);
    wr_thread_join(&thread);
    static const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++) {
        assert_true(sigismember(&s.mask, blocked[i]));
    }
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_false(sigismember(&s.mask, open[i]));
    }
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    shared_deinit(&s);
}

static void detached_thread_runs_on(void **state)
{
    (void)state;
    /* Static: the thread may still be leaving it when the test returns. */
    static shared s;
    shared_init(&s);
    wr_thread thread = {0};
    wr_thread_detach(&thread);
    assert_int_equal(wr_thread_start(&thread, "a", set_ready, &s), WEIR_OK);
    wr_thread_detach(&thread);
    assert_false(thread.started);
    wr_mutex_lock(&s.mutex);
    while (!s.ready) {
        wr_cond_wait(&s.cond, &s.mutex);
    }
    wr_mutex_unlock(&s.mutex);
}

static void stand_back_and_say(void *arg)
{
    int *nice_value = arg;
    wr_thread_stand_back();
    *nice_value = getpriority(PRIO_PROCESS, 0);
}

static void a_thread_that_stands_back_leaves_the_others_as_they_are(void **state)
{
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0);
    int inside = before;
    wr_thread thread;
    assert_int_equal(wr_thread_start(&thread, "aside", stand_back_and_say, &inside), WEIR_OK);
    wr_thread_join(&thread);
    assert_true(inside > before);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

/* What the calls at a thread's end write down: "2", "1", ... */
static char at_end[8];

static void note(void *arg)
{
    strncat(at_end, arg, 1);
}

static void note_late(void *arg)
{
    strncat(at_end, arg, 1);
}

static void note_and_add(void *arg)
{
    strncat(at_end, arg, 1);
    wr_thread_on_exit(note_late, "3");
}

static void leave_notes(void *arg)
{
    (void)arg;
    wr_thread_on_exit(note, "x");
    wr_thread_on_exit(note_and_add, "2");
    wr_thread_on_exit(note, "1");
}

static void calls_at_the_end_run_once_each_the_last_first(void **state)
{
    (void)state;
    wr_thread thread = {0};
    at_end[0] = '\0';
    assert_int_equal(wr_thread_start(&thread, "ending", leave_notes, NULL), WEIR_OK);
    wr_thread_join(&thread);
    assert_string_equal(at_end, "231");
}

static void there_is_at_least_one_core(void **state)
{
    (void)state;
    assert_true(wr_thread_cores() >= 1);
}

static void clock_never_runs_backwards(void **state)
{
    (void)state;
    uint64_t before = wr_clock_ns();
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = wr_clock_ns();
        assert_true(now >= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_thread_sees_the_signal),
        cmocka_unit_test(wait_until_a_past_deadline_times_out),
        cmocka_unit_test(wait_until_a_far_deadline_sees_the_signal),
        cmocka_unit_test(thread_has_the_first_15_bytes_of_its_name),
        cmocka_unit_test(thread_takes_only_the_signals_of_its_own_faults),
        cmocka_unit_test(detached_thread_runs_on),
        cmocka_unit_test(a_thread_that_stands_back_leaves_the_others_as_they_are),
        cmocka_unit_test(calls_at_the_end_run_once_each_the_last_first),
        cmocka_unit_test(there_is_at_least_one_core),
        cmocka_unit_test(clock_never_runs_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
