/* SPDX-License-Identifier: MIT
 *
 * The clocks of POSIX.
 */
#define _GNU_SOURCE
#include "platform/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t wr_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u * WR_NS_PER_MS + (uint64_t)now.tv_nsec;
}

void wr_clock_calendar(char out[WEIR_TIME_SIZE])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(out, WEIR_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    unsigned ms = (unsigned)(now.tv_nsec / (long)WR_NS_PER_MS) % 1000u;
    (void)snprintf(out + used, WEIR_TIME_SIZE - used, ".%03uZ", ms);
}
