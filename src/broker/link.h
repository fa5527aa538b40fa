/* SPDX-License-Identifier: MIT
 *
 * A link: the bounded queue from one source module to one sink module, and its counters.
 */
#ifndef WR_BROKER_LINK_H
#define WR_BROKER_LINK_H

#include <stdint.h>

/* What happens to a message that finds the queue at its limit. */
typedef enum wr_when_full {
    WR_WHEN_FULL_BLOCK,       /* it is taken, and the source does not run until there is room */
    WR_WHEN_FULL_DROP_OLDEST, /* the oldest queued message makes room */
    WR_WHEN_FULL_DROP_NEWEST  /* it is dropped itself */
} wr_when_full;

typedef struct wr_queue_config {
    uint32_t limit; /* messages, 1 to WR_QUEUE_LIMIT_MAX */
    wr_when_full when_full;
} wr_queue_config;

#define WR_QUEUE_LIMIT_MAX (1u << 24)
#define WR_QUEUE_CONFIG_DEFAULT {1024, WR_WHEN_FULL_BLOCK}

#endif
