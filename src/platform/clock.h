/* SPDX-License-Identifier: MIT
 *
 * Time: a clock that never jumps for durations, the calendar for people.
 */
#ifndef WR_PLATFORM_CLOCK_H
#define WR_PLATFORM_CLOCK_H

#include <stdint.h>

#include "base/api.h"
#include "weir/log.h"

#define WR_NS_PER_MS 1000000ull

/* Nanoseconds since an arbitrary start. */
WR_SHARED uint64_t wr_clock_ns(void);
/* UTC as "2026-11-22T23:29:43.123Z". Signal handlers may call it, too. */
WR_SHARED void wr_clock_calendar(char out[WEIR_TIME_SIZE]);
/* The same for a time in seconds since 1970-01-01, of the years 1 to 9999. */
WR_SHARED void wr_clock_calendar_at(int64_t seconds, unsigned ms, char out[WEIR_TIME_SIZE]);

#endif
