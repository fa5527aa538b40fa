/* SPDX-License-Identifier: MIT
 *
 * Wait for several waitables at once (epoll). One thread waits; any thread may wake it.
 */
#ifndef WR_PLATFORM_POLLER_H
#define WR_PLATFORM_POLLER_H

#include <stddef.h>

#include "base/api.h"
#include "platform/stream.h"

typedef struct wr_poller wr_poller;

#define WR_POLL_READ 1u
#define WR_POLL_WRITE 2u
#define WR_POLL_HUNG_UP 4u /* only from a watch of the control loop, see loop/watch.h */

typedef struct wr_poll_event {
    void *token;
    unsigned ready; /* WR_POLL_...; an error or hang-up shows as READ and WRITE */
} wr_poll_event;

/* Errors: MEMORY, IO (no more descriptors). */
WR_SHARED WEIR_MUST_CHECK weir_err wr_poller_create(wr_poller **out);
WR_SHARED void wr_poller_destroy(wr_poller *poller); /* NULL is allowed */

/* Watch `what` (level-triggered) for `events`, 0: no longer. Remove before closing it.
 * The waiting thread only. Errors: MEMORY, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_poller_set(wr_poller *poller, wr_waitable what,
                                                 unsigned events, void *token);
/* Wait until something is ready, a wake, or `timeout_ms` (-1: for ever, 0: not at all).
 * Returns how many events were written; a wake is none, and is consumed. */
WR_SHARED size_t wr_poller_wait(wr_poller *poller, wr_poll_event *events, size_t max,
                                int timeout_ms);
/* Make the present or the next wait return. Any thread, and signal handlers. */
WR_SHARED void wr_poller_wake(wr_poller *poller);
/* Itself waitable: ready to read when wait would return at once. */
WR_SHARED wr_waitable wr_poller_waitable(const wr_poller *poller);

#endif
