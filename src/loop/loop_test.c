/* SPDX-License-Identifier: MIT
 *
 * The control loop's tasks, and stepping aside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>

#include "loop/loop.h"
#include "loop/watch.h"
#include "platform/clock.h"
#include "platform/thread.h"

static struct {
    wr_loop *loop;
    wr_mutex lock; /* guards what follows */
    wr_cond changed;
    unsigned entered; /* times that somebody stepped aside */
    bool open;        /* they may come back */
    unsigned taken_over;
    atomic_uint inside; /* threads that run a task: never more than one */
    atomic_uint tasks;
    atomic_uint steps;
    atomic_bool overlap;
} t;

static int set_up(void **state)
{
    (void)state;
    wr_mutex_init(&t.lock);
    wr_cond_init(&t.changed);
    t.entered = 0;
    t.open = false;
    t.taken_over = 0;
    atomic_store(&t.inside, 0);
    atomic_store(&t.tasks, 0);
    atomic_store(&t.steps, 0);
    atomic_store(&t.overlap, false);
    return wr_loop_create(&t.loop) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    wr_cond_deinit(&t.changed);
    wr_mutex_deinit(&t.lock);
    return 0;
}

static void count(void *arg)
{
    (*(unsigned *)arg)++;
}

static void calls_run_on_the_loop_one_after_the_other(void **state)
{
    (void)state;
    unsigned calls = 0;
    for (unsigned i = 0; i < 100; i++) {
        wr_loop_call(t.loop, count, &calls);
    }
    assert_int_equal(calls, 100);
    wr_loop_destroy(t.loop);
}

/* Stay away until the test lets us come back. */
static void stay_away(void *arg)
{
    (void)arg;
    wr_mutex_lock(&t.lock);
    t.entered++;
    wr_cond_broadcast(&t.changed);
    while (!t.open) {
        wr_cond_wait(&t.changed, &t.lock);
    }
    wr_mutex_unlock(&t.lock);
}

static void note_taken_over(void *arg)
{
    (void)arg;
    wr_mutex_lock(&t.lock);
    t.taken_over++;
    wr_mutex_unlock(&t.lock);
}

static const wr_aside away = {stay_away, note_taken_over, NULL};

static unsigned times_taken_over(void)
{
    wr_mutex_lock(&t.lock);
    unsigned times = t.taken_over;
    wr_mutex_unlock(&t.lock);
    return times;
}

static void let_it_come_back(void)
{
    wr_mutex_lock(&t.lock);
    t.open = true;
    wr_cond_broadcast(&t.changed);
    wr_mutex_unlock(&t.lock);
}

static void ask_to_step_aside(void *arg)
{
    *(bool *)arg = wr_loop_step_aside(t.loop, &away);
}

/* The second thread may not have come so far yet. */
static void make_it_step_aside(void)
{
    bool accepted = false;
    while (!accepted) {
        wr_loop_call(t.loop, ask_to_step_aside, &accepted);
    }
}

static void wait_until_aside(unsigned times)
{
    wr_mutex_lock(&t.lock);
    while (t.entered < times) {
        wr_cond_wait(&t.changed, &t.lock);
    }
    wr_mutex_unlock(&t.lock);
}

static void loop_goes_on_while_its_thread_is_aside(void **state)
{
    (void)state;
    unsigned calls = 0;
    make_it_step_aside();
    wait_until_aside(1);
    wr_loop_call(t.loop, count, &calls); /* returns only if another thread took the loop */
    assert_int_equal(calls, 1);
    assert_int_equal(times_taken_over(), 1); /* before the loop went on */
    bool accepted = true;
    wr_loop_call(t.loop, ask_to_step_aside, &accepted);
    assert_false(accepted); /* nobody stands by */
    let_it_come_back();
    wr_loop_destroy(t.loop);
}

static void thread_that_comes_back_stands_by(void **state)
{
    (void)state;
    make_it_step_aside();
    wait_until_aside(1);
    unsigned calls = 0;
    wr_loop_call(t.loop, count, &calls);
    let_it_come_back();
    make_it_step_aside(); /* accepted only when somebody stands by again */
    wait_until_aside(2);
    wr_loop_call(t.loop, count, &calls);
    assert_int_equal(calls, 2);
    wr_loop_destroy(t.loop);
}

static void note_step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&t.steps, 1);
}

static const wr_aside step = {note_step, note_taken_over, NULL};

static void run_stressed(void *arg)
{
    unsigned *left = arg;
    if (atomic_fetch_add(&t.inside, 1) != 0) {
        atomic_store(&t.overlap, true);
    }
    atomic_fetch_add(&t.tasks, 1);
    if (*left % 3 == 0) {
        (void)wr_loop_step_aside(t.loop, &step);
    }
    atomic_fetch_sub(&t.inside, 1);
}

static void stress(void *arg)
{
    (void)arg;
    for (unsigned left = 2000; left > 0; left--) {
        wr_loop_call(t.loop, run_stressed, &left);
    }
}

static void tasks_never_overlap_whoever_runs_the_loop(void **state)
{
    (void)state;
    wr_thread threads[3] = {{.started = false}};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wr_thread_start(&threads[i], "stress", stress, NULL), WEIR_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        wr_thread_join(&threads[i]);
    }
    wr_loop_destroy(t.loop);
    assert_int_equal(atomic_load(&t.tasks), 6000);
    assert_false(atomic_load(&t.overlap));
}

#define TURNS_MAX 1000u

/* A task that always has more to do, and a timer. */
typedef struct busy {
    wr_task task; /* first */
    wr_timer *timer;
    unsigned runs;
    bool rang;
    bool over; /* as last seen */
} busy;

static void on_ring(void *arg)
{
    ((busy *)arg)->rang = true;
}

static void run_busy(wr_task *task)
{
    busy *b = (busy *)task;
    if (++b->runs < TURNS_MAX && !b->rang) {
        wr_loop_post(t.loop, task);
    }
}

static void begin_busy(void *arg)
{
    busy *b = arg;
    assert_int_equal(wr_timer_open(t.loop, on_ring, b, &b->timer), WEIR_OK);
    wr_timer_set(b->timer, 0);
    wr_loop_post(t.loop, &b->task);
}

static void look(void *arg)
{
    busy *b = arg;
    b->over = b->rang || b->runs == TURNS_MAX;
}

static void wait_until_over(busy *b)
{
    bool over = false;
    while (!over) {
        wr_loop_call(t.loop, look, b);
        over = b->over;
    }
}

static void end_busy(void *arg)
{
    wr_timer_close(((busy *)arg)->timer);
}

static void task_that_posts_itself_again_lets_the_others_have_their_turn(void **state)
{
    (void)state;
    busy b = {.task = {.run = run_busy}};
    wr_loop_call(t.loop, begin_busy, &b);
    wait_until_over(&b);
    wr_loop_call(t.loop, end_busy, &b);
    wr_loop_destroy(t.loop);
    assert_true(b.rang);
    assert_true(b.runs < TURNS_MAX);
}

/* A timer that is late when a turn of the loop begins, and has something to do aside then. */
typedef struct late {
    wr_timer *timer;
    bool made_late;
    bool asked;
} late;

static void on_late_ring(void *arg)
{
    late *l = arg;
    if (l->made_late) {
        l->asked = wr_loop_step_aside(t.loop, &away);
    }
    if (l->asked) {
        return;
    }
    wr_timer_set(l->timer, 1);
    uint64_t end_ns = wr_clock_ns() + 2 * WR_NS_PER_MS;
    while (wr_clock_ns() < end_ns) {
    }
    l->made_late = true;
}

static void begin_late(void *arg)
{
    late *l = arg;
    assert_int_equal(wr_timer_open(t.loop, on_late_ring, l, &l->timer), WEIR_OK);
    wr_timer_set(l->timer, 1);
}

static void end_late(void *arg)
{
    wr_timer_close(((late *)arg)->timer);
}

static void what_a_late_timer_wants_done_aside_waits_for_nothing_else(void **state)
{
    (void)state;
    late l = {.timer = NULL};
    bool in_time = true;
    uint64_t deadline_ns = wr_clock_ns() + 10000 * WR_NS_PER_MS;
    wr_loop_call(t.loop, begin_late, &l);
    wr_mutex_lock(&t.lock);
    while (t.entered == 0 && in_time) {
        in_time = wr_cond_wait_until(&t.changed, &t.lock, deadline_ns);
    }
    wr_mutex_unlock(&t.lock);
    let_it_come_back();
    wr_loop_call(t.loop, end_late, &l);
    wr_loop_destroy(t.loop);
    assert_true(in_time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_run_on_the_loop_one_after_the_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(loop_goes_on_while_its_thread_is_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thread_that_comes_back_stands_by, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks_never_overlap_whoever_runs_the_loop, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            task_that_posts_itself_again_lets_the_others_have_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_late_timer_wants_done_aside_waits_for_nothing_else,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
