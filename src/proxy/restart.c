/* SPDX-License-Identifier: MIT
 *
 * The restart policy (contract in restart.h).
 */
#include "proxy/restart.h"

#include <stdlib.h>

#include "platform/clock.h"

weir_err wr_restart_init(wr_restart *restart, const wr_restart_config *config)
{
    *restart = (wr_restart){.config = config};
    if (config->burst == 0) {
        return WEIR_OK;
    }
    restart->ends_ns = calloc(config->burst, sizeof(uint64_t));
    return restart->ends_ns == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void wr_restart_deinit(wr_restart *restart)
{
    free(restart->ends_ns);
    restart->ends_ns = NULL;
}

static void forget_old(wr_restart *restart, uint64_t now_ns)
{
    uint64_t window_ns = (uint64_t)restart->config->window_ms * WR_NS_PER_MS;
    while (restart->count > 0 && now_ns - restart->ends_ns[restart->first] >= window_ns) {
        restart->first = (restart->first + 1) % restart->config->burst;
        restart->count--;
    }
}

/* Count one more restart. False: that is too many. */
static bool count_restart(wr_restart *restart, uint64_t now_ns)
{
    const wr_restart_config *config = restart->config;
    if (config->window_ms == 0) {
        return true;
    }
    forget_old(restart, now_ns);
    if (restart->count == config->burst) {
        return false;
    }
    restart->ends_ns[(restart->first + restart->count) % config->burst] = now_ns;
    restart->count++;
    return true;
}

static uint32_t next_delay(const wr_restart *restart, uint64_t served_ns)
{
    const wr_restart_config *config = restart->config;
    bool served_well = served_ns > (uint64_t)restart->delay_ms * WR_NS_PER_MS;
    if (restart->delay_ms == 0 || served_well) {
        return config->backoff_min_ms;
    }
    uint64_t doubled = 2 * (uint64_t)restart->delay_ms;
    return doubled < config->backoff_max_ms ? (uint32_t)doubled : config->backoff_max_ms;
}

/* So that processes that died together do not all come back together. */
static uint32_t with_jitter(uint32_t delay_ms, uint32_t random)
{
    uint32_t spread = delay_ms / 2;
    return delay_ms - spread / 2 + (spread == 0 ? 0 : random % (spread + 1));
}

wr_restart_verdict wr_restart_decide(wr_restart *restart, const wr_restart_end *end,
                                     uint32_t *delay_ms)
{
    const wr_restart_config *config = restart->config;
    if (!end->failure && config->when != WR_RESTART_ALWAYS) {
        return WR_RESTART_DONE;
    }
    if (config->when == WR_RESTART_NEVER || !count_restart(restart, end->now_ns)) {
        return WR_RESTART_FAILED;
    }
    restart->delay_ms = next_delay(restart, end->served_ns);
    *delay_ms = with_jitter(restart->delay_ms, end->random);
    return WR_RESTART_AGAIN;
}

size_t wr_restart_count(const wr_restart *restart)
{
    return restart->count;
}

void wr_restart_forgive(wr_restart *restart)
{
    restart->count = 0;
    restart->delay_ms = 0;
}
