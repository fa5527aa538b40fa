/* SPDX-License-Identifier: MIT
 *
 * An alarm: a time in microseconds rather than milliseconds, that any thread may set and one waits
 * for with its poller or loop.
 */
#ifndef WR_PLATFORM_ALARM_H
#define WR_PLATFORM_ALARM_H

#include <stdint.h>

#include "base/api.h"
#include "platform/stream.h"

typedef struct wr_alarm wr_alarm;

/* Errors: MEMORY, IO (no more descriptors). */
WR_SHARED WEIR_MUST_CHECK weir_err wr_alarm_open(wr_alarm **out);
/* Ring once in `delay_ns` from now, instead of what was set before. Any thread. */
WR_SHARED void wr_alarm_set(wr_alarm *alarm, uint64_t delay_ns);
/* It rang: until it is set again it is silent. The waiting thread. */
WR_SHARED void wr_alarm_take(wr_alarm *alarm);
/* Readable when it rings. */
WR_SHARED wr_waitable wr_alarm_waitable(const wr_alarm *alarm);
WR_SHARED void wr_alarm_close(wr_alarm *alarm); /* NULL is allowed */

#endif
