/* SPDX-License-Identifier: MIT
 *
 * When the core is given away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remote/give_way.h"

#define IN_TIME (WR_GIVE_WAY_LATE_NS - 1)

/* How many messages it leaves alone before it would be done again. */
static uint32_t count_shy(wr_give_way *way)
{
    uint32_t count = 0;
    while (!wr_give_way_begin(way)) {
        count++;
    }
    return count;
}

static void it_is_done_for_each_message_while_the_core_comes_back_in_time(void **state)
{
    (void)state;
    wr_give_way way = {0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(wr_give_way_begin(&way));
        wr_give_way_end(&way, IN_TIME);
    }
}

static void each_time_that_the_core_comes_back_late_it_stays_away_longer(void **state)
{
    (void)state;
    wr_give_way way = {0};
    uint32_t wanted = WR_GIVE_WAY_SHY_MIN;
    for (unsigned i = 0; i < 10; i++) {
        assert_true(wr_give_way_begin(&way));
        wr_give_way_end(&way, WR_GIVE_WAY_LATE_NS);
        assert_int_equal(count_shy(&way), wanted);
        wanted = wanted < WR_GIVE_WAY_SHY_MAX / 4 ? 4 * wanted : WR_GIVE_WAY_SHY_MAX;
    }
    assert_int_equal(wanted, WR_GIVE_WAY_SHY_MAX);
}

static void what_came_back_late_is_forgotten_after_many_in_time(void **state)
{
    (void)state;
    wr_give_way way = {0};
    for (unsigned i = 0; i < 3; i++) {
        wr_give_way_end(&way, WR_GIVE_WAY_LATE_NS);
    }
    uint32_t learnt = count_shy(&way);
    assert_true(learnt > WR_GIVE_WAY_SHY_MIN);
    for (uint32_t i = 0; i < learnt; i++) {
        wr_give_way_end(&way, IN_TIME);
    }
    wr_give_way_end(&way, WR_GIVE_WAY_LATE_NS);
    assert_int_equal(count_shy(&way), WR_GIVE_WAY_SHY_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_done_for_each_message_while_the_core_comes_back_in_time),
        cmocka_unit_test(each_time_that_the_core_comes_back_late_it_stays_away_longer),
        cmocka_unit_test(what_came_back_late_is_forgotten_after_many_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
