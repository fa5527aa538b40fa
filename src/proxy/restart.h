/* SPDX-License-Identifier: MIT
 *
 * The restart policy of a launched process: whether it is started again after its end, and when.
 * It knows no process and no clock; one thread at a time.
 */
#ifndef WR_PROXY_RESTART_H
#define WR_PROXY_RESTART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The most restarts within a window that a configuration may allow. */
#define WR_RESTART_BURST_MAX 1000u

typedef enum wr_restart_when {
    WR_RESTART_ON_FAILURE, /* after any end but exit status 0 */
    WR_RESTART_ALWAYS,
    WR_RESTART_NEVER
} wr_restart_when;

typedef struct wr_restart_config {
    wr_restart_when when;
    uint32_t backoff_min_ms; /* the first delay; twice as long after each end that comes soon */
    uint32_t backoff_max_ms;
    uint32_t burst;         /* restarts within the window; one more end: failed */
    uint32_t window_ms;     /* 0: any number of restarts */
    uint32_t poison_deaths; /* see poison.h */
} wr_restart_config;
#define WR_RESTART_CONFIG_DEFAULT                                                                  \
    {                                                                                              \
        WR_RESTART_ON_FAILURE, 100, 30000, 5, 60000, 3                                             \
    }

typedef enum wr_restart_verdict {
    WR_RESTART_AGAIN, /* after the delay */
    WR_RESTART_DONE,  /* it ended well: the policy does not want it back */
    WR_RESTART_FAILED /* not by this policy, or too often */
} wr_restart_verdict;

typedef struct wr_restart {
    const wr_restart_config *config;
    uint32_t delay_ms; /* the last one, without jitter; 0: none yet */
    uint64_t *ends_ns; /* a ring of `burst` times at which it was to be restarted */
    size_t first;
    size_t count;
} wr_restart;

/* How a process ended. */
typedef struct wr_restart_end {
    uint64_t now_ns;    /* any clock that does not jump */
    uint64_t served_ns; /* how long it was in service; 0: it never was */
    bool failure;
    uint32_t random; /* for the jitter */
} wr_restart_end;

/* `config` is borrowed. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_restart_init(wr_restart *restart, const wr_restart_config *config);
void wr_restart_deinit(wr_restart *restart);
/* Decide; AGAIN: `*delay_ms` is a quarter less to a quarter more than the backoff. Who was in
 * service for longer than the last delay begins with the first delay again. */
wr_restart_verdict wr_restart_decide(wr_restart *restart, const wr_restart_end *end,
                                     uint32_t *delay_ms);
/* How many restarts the present window has seen. */
size_t wr_restart_count(const wr_restart *restart);
/* Somebody wants it back: all is forgiven. */
void wr_restart_forgive(wr_restart *restart);

#endif
