/* SPDX-License-Identifier: MIT
 *
 * The clocks of POSIX. The calendar is counted here, and not by the C library, so that a signal
 * handler may ask for it.
 */
#define _GNU_SOURCE
#include "platform/clock.h"

#include <time.h>

#define SECONDS_PER_DAY 86400
#define MONTHS_PER_YEAR 12

uint64_t wr_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u * WR_NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* Days from 0000-03-01, the day from which leap days come last in a year, to the first of March of
 * year `year`. */
static int64_t days_before(int64_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400;
}

/* In years that begin in March, these are the days before each month. */
static const int64_t days_before_month[MONTHS_PER_YEAR] = {0,   31,  61,  92,  122, 153,
                                                           184, 214, 245, 275, 306, 337};

static void put_number(char *at, int width, int64_t number)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

static void put_date(int64_t days, char out[WEIR_TIME_SIZE])
{
    const int64_t days_to_1970 = 719468; /* from 0000-03-01 */
    int month = MONTHS_PER_YEAR - 1;
    days += days_to_1970;
    int64_t year = days * 400 / days_before(400); /* may be one too many or too few */
    year += days_before(year + 1) <= days;
    year -= days_before(year) > days;
    days -= days_before(year);
    while (days_before_month[month] > days) {
        month--;
    }
    put_number(out, 4, month < 10 ? year : year + 1);
    put_number(out + 5, 2, month < 10 ? month + 3 : month - 9);
    put_number(out + 8, 2, days - days_before_month[month] + 1);
}

void wr_clock_calendar_at(int64_t seconds, unsigned ms, char out[WEIR_TIME_SIZE])
{
    static const char form[WEIR_TIME_SIZE] = "0000-00-00T00:00:00.000Z";
    int64_t second = seconds % SECONDS_PER_DAY;
    int64_t days = seconds / SECONDS_PER_DAY;
    if (second < 0) {
        second += SECONDS_PER_DAY;
        days--;
    }
    for (unsigned i = 0; i < WEIR_TIME_SIZE; i++) {
        out[i] = form[i];
    }
    put_date(days, out);
    put_number(out + 11, 2, second / 3600);
    put_number(out + 14, 2, second / 60 % 60);
    put_number(out + 17, 2, second % 60);
    put_number(out + 20, 3, ms);
}

void wr_clock_calendar(char out[WEIR_TIME_SIZE])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    wr_clock_calendar_at(now.tv_sec, (unsigned)(now.tv_nsec / (long)WR_NS_PER_MS), out);
}
