/* SPDX-License-Identifier: MIT
 *
 * Rates, with a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rate.h"

#define SECOND_NS UINT64_C(1000000000)
#define LIMIT 3u

/* How many of `count` pass at that time. */
static unsigned pass(wr_rate *rate, unsigned count, uint64_t now_ns)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++) {
        passed += wr_rate_pass(rate, LIMIT, now_ns);
    }
    return passed;
}

static void so_many_pass_in_a_second_and_no_more(void **state)
{
    (void)state;
    wr_rate rate = {0};
    uint64_t now = 7 * SECOND_NS;
    assert_int_equal(pass(&rate, 2, now), 2);
    assert_int_equal(pass(&rate, 5, now + SECOND_NS - 1), 1);
    assert_int_equal(pass(&rate, 5, now + SECOND_NS), LIMIT);
}

static void what_is_held_is_counted_until_it_is_asked_for(void **state)
{
    (void)state;
    wr_rate rate = {0};
    uint64_t now = 7 * SECOND_NS;
    (void)pass(&rate, 10, now);
    (void)pass(&rate, 10, now + 5 * SECOND_NS);
    assert_int_equal(wr_rate_take_held(&rate), 14);
    assert_int_equal(wr_rate_take_held(&rate), 0);
}

static void quiet_times_save_nothing_up(void **state)
{
    (void)state;
    wr_rate rate = {0};
    assert_int_equal(pass(&rate, 1, SECOND_NS), 1);
    assert_int_equal(pass(&rate, 100, 1000 * SECOND_NS), LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_pass_in_a_second_and_no_more),
        cmocka_unit_test(what_is_held_is_counted_until_it_is_asked_for),
        cmocka_unit_test(quiet_times_save_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
