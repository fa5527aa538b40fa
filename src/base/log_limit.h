/* SPDX-License-Identifier: MIT
 *
 * A limit for lines that somebody outside can cause as often as he likes: so many at once, then so
 * many in a second. What is over it is left out, counted, and the count is said with the next
 * line, at most once a second; its owner sees to it that it is said also if none comes. One thread
 * at a time.
 */
#ifndef WR_BASE_LOG_LIMIT_H
#define WR_BASE_LOG_LIMIT_H

#include <stdint.h>

#include "base/log.h"

/* Far more than a peer that means well causes in its worst hour. */
#define WR_LOG_LIMIT_BURST 1000u
#define WR_LOG_LIMIT_PER_S 10u
/* While lines are left out, their owner calls wr_log_limit_tell so often. */
#define WR_LOG_LIMIT_TELL_MS 1000u

/* All zero: nothing written yet. */
typedef struct wr_log_limit {
    uint32_t per_s;    /* 0: WR_LOG_LIMIT_PER_S */
    uint64_t written;  /* of the burst, and not yet forgiven */
    uint64_t since_ns; /* up to when time has been forgiven */
    uint64_t left_out; /* not yet said */
    uint64_t said_ns;  /* when it was last said how many */
} wr_log_limit;

/* As wr_log. `now_ns`: of wr_clock_ns, or a test's. */
WR_SHARED void wr_log_limited(wr_log_limit *limit, uint64_t now_ns, const char *who,
                              weir_log_level level, const char *format, ...) WEIR_PRINTF(5, 6);
/* Say how many lines were left out, if that was not said yet, nor within the last second. */
WR_SHARED void wr_log_limit_tell(wr_log_limit *limit, uint64_t now_ns, const char *who);
/* Say how many lines were left out, if that was not said yet: no more will come. */
WR_SHARED void wr_log_limit_end(wr_log_limit *limit, const char *who);

#endif
