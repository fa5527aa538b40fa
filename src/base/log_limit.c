/* SPDX-License-Identifier: MIT
 *
 * The limit of log lines (contract in log_limit.h): a bucket that drips.
 */
#include "base/log_limit.h"
#include "base/text.h"

#include <inttypes.h>

#define NS_PER_S 1000000000u

/* The time that has passed forgives some lines. */
static void forgive(wr_log_limit *limit, uint64_t now_ns)
{
    uint64_t ns_per_line = NS_PER_S / (limit->per_s == 0 ? WR_LOG_LIMIT_PER_S : limit->per_s);
    uint64_t lines = (now_ns - limit->since_ns) / ns_per_line;
    limit->since_ns += lines * ns_per_line;
    limit->written = lines < limit->written ? limit->written - lines : 0;
}

static bool may_write(wr_log_limit *limit, uint64_t now_ns)
{
    forgive(limit, now_ns);
    if (limit->written >= WR_LOG_LIMIT_BURST) {
        limit->left_out++;
        return false;
    }
    limit->written++;
    return true;
}

void wr_log_limit_end(wr_log_limit *limit, const char *who)
{
    if (limit->left_out > 0) {
        wr_log(who, WEIR_LOG_WARN, "%" PRIu64 " %s left out: too many came", limit->left_out,
               wr_text_plural(limit->left_out, "line is", "lines are"));
        limit->left_out = 0;
    }
}

void wr_log_limit_tell(wr_log_limit *limit, uint64_t now_ns, const char *who)
{
    if (limit->left_out > 0 && now_ns - limit->said_ns >= NS_PER_S) {
        limit->said_ns = now_ns;
        wr_log_limit_end(limit, who);
    }
}

void wr_log_limited(wr_log_limit *limit, uint64_t now_ns, const char *who, weir_log_level level,
                    const char *format, ...)
{
    if (!wr_log_wants(level) || !may_write(limit, now_ns)) {
        return;
    }
    wr_log_limit_tell(limit, now_ns, who);
    va_list args;
    va_start(args, format);
    wr_logv(who, level, format, args);
    va_end(args);
}
