/* SPDX-License-Identifier: MIT
 *
 * The restart policy: who comes back, after how long, and when it is enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/clock.h"
#include "proxy/restart.h"

#define SECOND_NS (1000u * WR_NS_PER_MS)

static wr_restart_end failure_at(uint64_t seconds)
{
    /* Half of the jitter's spread, so that the delay is the backoff itself. */
    return (wr_restart_end){.now_ns = seconds * SECOND_NS, .failure = true};
}

/* Decide with a random number that makes the delay the plain backoff. */
static wr_restart_verdict decide_plain(wr_restart *restart, wr_restart_end end, uint32_t *delay_ms)
{
    uint32_t low = 0;
    end.random = 0;
    wr_restart_verdict verdict = wr_restart_decide(restart, &end, &low);
    *delay_ms = restart->delay_ms;
    if (verdict == WR_RESTART_AGAIN) {
        assert_in_range(low, restart->delay_ms - restart->delay_ms / 4, restart->delay_ms);
    }
    return verdict;
}

static void each_soon_end_doubles_the_delay_up_to_the_longest(void **state)
{
    (void)state;
    wr_restart_config config = {WR_RESTART_ON_FAILURE, 100, 1000, 100, 60000, 0};
    wr_restart restart;
    assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
    static const uint32_t wanted[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        uint32_t delay_ms = 0;
        assert_int_equal(decide_plain(&restart, failure_at(i), &delay_ms), WR_RESTART_AGAIN);
        assert_int_equal(delay_ms, wanted[i]);
    }
    wr_restart_deinit(&restart);
}

static void who_served_longer_than_the_last_delay_begins_anew(void **state)
{
    (void)state;
    wr_restart_config config = WR_RESTART_CONFIG_DEFAULT;
    wr_restart restart;
    uint32_t delay_ms = 0;
    assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
    assert_int_equal(decide_plain(&restart, failure_at(1), &delay_ms), WR_RESTART_AGAIN);
    assert_int_equal(decide_plain(&restart, failure_at(2), &delay_ms), WR_RESTART_AGAIN);
    assert_int_equal(delay_ms, 200);
    wr_restart_end end = failure_at(3);
    end.served_ns = 200 * WR_NS_PER_MS;
    assert_int_equal(decide_plain(&restart, end, &delay_ms), WR_RESTART_AGAIN);
    assert_int_equal(delay_ms, 400);
    end = failure_at(4);
    end.served_ns = 401 * WR_NS_PER_MS;
    assert_int_equal(decide_plain(&restart, end, &delay_ms), WR_RESTART_AGAIN);
    assert_int_equal(delay_ms, 100);
    wr_restart_deinit(&restart);
}

static void past_the_burst_it_has_failed_until_the_window_moves_on(void **state)
{
    (void)state;
    wr_restart_config config = {WR_RESTART_ON_FAILURE, 1, 1, 3, 10000, 0};
    wr_restart restart;
    uint32_t delay_ms = 0;
    assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
    for (uint64_t second = 0; second < 3; second++) {
        assert_int_equal(decide_plain(&restart, failure_at(second), &delay_ms), WR_RESTART_AGAIN);
    }
    assert_int_equal(wr_restart_count(&restart), 3);
    assert_int_equal(decide_plain(&restart, failure_at(9), &delay_ms), WR_RESTART_FAILED);
    assert_int_equal(decide_plain(&restart, failure_at(10), &delay_ms), WR_RESTART_AGAIN);
    assert_int_equal(decide_plain(&restart, failure_at(10), &delay_ms), WR_RESTART_FAILED);
    wr_restart_forgive(&restart);
    assert_int_equal(decide_plain(&restart, failure_at(10), &delay_ms), WR_RESTART_AGAIN);
    wr_restart_deinit(&restart);
}

static void burst_of_none_and_window_of_none(void **state)
{
    (void)state;
    wr_restart_config config = {WR_RESTART_ALWAYS, 1, 1, 0, 10000, 0};
    wr_restart restart;
    uint32_t delay_ms = 0;
    assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
    assert_int_equal(decide_plain(&restart, failure_at(0), &delay_ms), WR_RESTART_FAILED);
    config.window_ms = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(decide_plain(&restart, failure_at(0), &delay_ms), WR_RESTART_AGAIN);
    }
    wr_restart_deinit(&restart);
}

static void policy_says_who_comes_back(void **state)
{
    (void)state;
    static const struct {
        wr_restart_when when;
        wr_restart_verdict after_failure, after_success;
    } rows[] = {
        {WR_RESTART_ON_FAILURE, WR_RESTART_AGAIN, WR_RESTART_DONE},
        {WR_RESTART_ALWAYS, WR_RESTART_AGAIN, WR_RESTART_AGAIN},
        {WR_RESTART_NEVER, WR_RESTART_FAILED, WR_RESTART_DONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wr_restart_config config = {rows[i].when, 1, 1, 5, 60000, 0};
        wr_restart restart;
        uint32_t delay_ms = 0;
        assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
        wr_restart_end success = {.now_ns = 1};
        assert_int_equal(decide_plain(&restart, failure_at(0), &delay_ms), rows[i].after_failure);
        assert_int_equal(decide_plain(&restart, success, &delay_ms), rows[i].after_success);
        wr_restart_deinit(&restart);
    }
}

static void jitter_is_a_quarter_less_to_a_quarter_more(void **state)
{
    (void)state;
    wr_restart_config config = {WR_RESTART_ON_FAILURE, 100, 100, 5, 0, 0};
    wr_restart restart;
    assert_int_equal(wr_restart_init(&restart, &config), WEIR_OK);
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t random = 0; random < 1000; random++) {
        wr_restart_end end = {.failure = true, .random = random};
        uint32_t delay_ms = 0;
        assert_int_equal(wr_restart_decide(&restart, &end, &delay_ms), WR_RESTART_AGAIN);
        least = delay_ms < least ? delay_ms : least;
        most = delay_ms > most ? delay_ms : most;
    }
    assert_int_equal(least, 75);
    assert_int_equal(most, 125);
    wr_restart_deinit(&restart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_soon_end_doubles_the_delay_up_to_the_longest),
        cmocka_unit_test(who_served_longer_than_the_last_delay_begins_anew),
        cmocka_unit_test(past_the_burst_it_has_failed_until_the_window_moves_on),
        cmocka_unit_test(burst_of_none_and_window_of_none),
        cmocka_unit_test(policy_says_who_comes_back),
        cmocka_unit_test(jitter_is_a_quarter_less_to_a_quarter_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
