/* SPDX-License-Identifier: MIT
 *
 * Tests of the watchdog, with a short deadline. Nothing here depends on how fast anything is: a
 * call stays inside until the watchdog was heard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/watchdog.h"
#include "platform/clock.h"
#include "platform/thread.h"

#define DEADLINE_NS (20 * WR_NS_PER_MS)
#define PERIOD_NS (2 * WR_NS_PER_MS)
#define PATIENCE_NS (60000 * WR_NS_PER_MS)

/* What was logged. */
static struct {
    wr_mutex lock; /* guards the rest */
    wr_cond changed;
    size_t overruns;
    size_t returns;
    char who[32]; /* of the last line */
} heard;

static void listen(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    wr_mutex_lock(&heard.lock);
    heard.overruns += strstr(text, "has not returned from receive for more than") != NULL;
    heard.returns += strstr(text, "returned from receive after more than") != NULL;
    (void)snprintf(heard.who, sizeof(heard.who), "%s", who);
    wr_cond_broadcast(&heard.changed);
    wr_mutex_unlock(&heard.lock);
}

static void expect_heard(size_t overruns, size_t returns, const char *who)
{
    uint64_t deadline_ns = wr_clock_ns() + PATIENCE_NS;
    wr_mutex_lock(&heard.lock);
    while ((heard.overruns < overruns || heard.returns < returns) &&
           wr_cond_wait_until(&heard.changed, &heard.lock, deadline_ns)) {
    }
    size_t heard_overruns = heard.overruns;
    size_t heard_returns = heard.returns;
    char heard_who[sizeof(heard.who)];
    memcpy(heard_who, heard.who, sizeof(heard_who));
    wr_mutex_unlock(&heard.lock);
    assert_int_equal(heard_overruns, overruns);
    assert_int_equal(heard_returns, returns);
    assert_string_equal(heard_who, who);
}

static size_t overruns_heard(void)
{
    wr_mutex_lock(&heard.lock);
    size_t overruns = heard.overruns;
    wr_mutex_unlock(&heard.lock);
    return overruns;
}

static wr_watchdog *begin(uint64_t deadline_ns)
{
    heard.overruns = 0;
    heard.returns = 0;
    wr_watchdog *dog = NULL;
    assert_int_equal(wr_watchdog_create(deadline_ns, PERIOD_NS, &dog), WEIR_OK);
    return dog;
}

static void watchdog_without_work_comes_and_goes(void **state)
{
    (void)state;
    wr_watchdog_destroy(begin(DEADLINE_NS));
    wr_watchdog_destroy(NULL);
    wr_watchdog_stop(NULL);
    wr_watchdog_remove(&(wr_watched){.dog = NULL});
}

static void long_call_is_reported_once_and_again_when_it_returns(void **state)
{
    (void)state;
    wr_watchdog *dog = begin(DEADLINE_NS);
    wr_watched slow;
    wr_watched other;
    assert_int_equal(wr_watchdog_add(dog, &slow, "slow"), WEIR_OK);
    assert_int_equal(wr_watchdog_add(dog, &other, "other"), WEIR_OK);
    for (size_t round = 1; round <= 5; round++) {
        wr_watched_begin(&slow);
        expect_heard(2 * round - 1, 2 * round - 2, "slow");
        wr_watched_begin(&other); /* is found later: by then the watchdog has looked again */
        expect_heard(2 * round, 2 * round - 2, "other");
        wr_watched_leave(&slow);
        expect_heard(2 * round, 2 * round - 1, "slow");
        wr_watched_leave(&other);
        expect_heard(2 * round, 2 * round, "other");
        assert_int_equal(atomic_load(&slow.overruns), round);
        assert_int_equal(atomic_load(&other.overruns), round);
    }
    wr_watchdog_remove(&slow);
    wr_watchdog_remove(&other);
    wr_watchdog_destroy(dog);
}

static void many_short_calls_are_no_long_one(void **state)
{
    (void)state;
    wr_watchdog *dog = begin(50 * DEADLINE_NS);
    wr_watched slow;
    wr_watched busy;
    assert_int_equal(wr_watchdog_add(dog, &slow, "slow"), WEIR_OK);
    assert_int_equal(wr_watchdog_add(dog, &busy, "busy"), WEIR_OK);
    wr_watched_begin(&busy);
    wr_watched_begin(&slow);
    while (overruns_heard() == 0) {
        wr_watched_leave(&busy);
        wr_watched_enter(&busy);
    }
    wr_watched_leave(&busy);
    wr_watched_leave(&slow);
    expect_heard(1, 1, "slow");
    assert_int_equal(atomic_load(&busy.overruns), 0);
    wr_watchdog_remove(&busy);
    wr_watchdog_remove(&slow);
    wr_watchdog_destroy(dog);
}

static void stopped_watchdog_says_nothing_but_the_return(void **state)
{
    (void)state;
    wr_watchdog *dog = begin(DEADLINE_NS);
    wr_watched slow;
    assert_int_equal(wr_watchdog_add(dog, &slow, "slow"), WEIR_OK);
    wr_watched_begin(&slow);
    expect_heard(1, 0, "slow");
    wr_watchdog_stop(dog);
    wr_watched_leave(&slow);
    expect_heard(1, 1, "slow");
    wr_watchdog_remove(&slow);
    wr_watchdog_destroy(dog);
}

int main(void)
{
    wr_mutex_init(&heard.lock);
    wr_cond_init(&heard.changed);
    weir_log_set_sink(listen, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watchdog_without_work_comes_and_goes),
        cmocka_unit_test(long_call_is_reported_once_and_again_when_it_returns),
        cmocka_unit_test(many_short_calls_are_no_long_one),
        cmocka_unit_test(stopped_watchdog_says_nothing_but_the_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
