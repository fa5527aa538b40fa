/* SPDX-License-Identifier: MIT
 *
 * The calendar, against the C library's.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "platform/clock.h"

#define YEAR_1 (-62135596800)  /* 0001-01-01 */
#define YEAR_9999 253402300799 /* its last second */
#define DAY 86400

static void assert_same(int64_t seconds)
{
    char wanted[WEIR_TIME_SIZE + 8];
    char got[WEIR_TIME_SIZE];
    struct tm parts;
    time_t time = (time_t)seconds;
    assert_non_null(gmtime_r(&time, &parts));
    size_t used = strftime(wanted, sizeof(wanted), "-%m-%dT%H:%M:%S.007Z", &parts);
    assert_true(used > 0);
    wr_clock_calendar_at(seconds, 7, got);
    assert_string_equal(got + 4, wanted);
    assert_int_equal(strtol(got, NULL, 10), parts.tm_year + 1900);
}

static void every_day_of_1600_years_is_right(void **state)
{
    (void)state;
    for (int64_t day = -800LL * 366; day < 800LL * 366; day++) {
        assert_same(day * DAY);
        assert_same(day * DAY + DAY - 1);
    }
}

static void any_second_is_right(void **state)
{
    (void)state;
    unsigned seed = (unsigned)wr_clock_ns();
    print_message("seed %u\n", seed);
    assert_same(YEAR_1);
    assert_same(YEAR_9999);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t number = (uint64_t)rand_r(&seed) << 31 | (uint64_t)rand_r(&seed);
        assert_same((int64_t)(number % (uint64_t)(YEAR_9999 - YEAR_1)) + YEAR_1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_1600_years_is_right),
        cmocka_unit_test(any_second_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
