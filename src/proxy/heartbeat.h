/* SPDX-License-Identifier: MIT
 *
 * How it is noticed that a remote module hangs.
 *
 * Until it is in service, that is until its start has returned, it has a time of its own
 * (starting.c). From then on, where both sides have the feature, the gateway asks for a sign of
 * life whenever it has heard none for an interval, and the thread that runs the module's receive
 * answers.
 */
#ifndef WR_PROXY_HEARTBEAT_H
#define WR_PROXY_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wr_heartbeat_config {
    uint32_t interval_ms; /* 0: never asked */
    uint32_t timeout_ms;  /* after so long without a sign of life it hangs; over the interval */
    uint32_t start_timeout_ms; /* until it must be in service; 0: any time */
    bool timeout_said;         /* holds for a module that says that it blocks, too */
} wr_heartbeat_config;
#define WR_HEARTBEAT_CONFIG_DEFAULT                                                                \
    {                                                                                              \
        1000, 5000, 60000, false                                                                   \
    }

#endif
