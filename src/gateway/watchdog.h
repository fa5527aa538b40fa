/* SPDX-License-Identifier: MIT
 *
 * The watchdog: finds native modules that stay in receive for longer than they should, and says so.
 *
 * It costs a call of receive no clock and nothing that threads share: whoever runs the module
 * counts the call at its begin and at its end, so that an odd count means "inside", and the
 * watchdog's thread looks at the counts once in a period. An odd count that has stayed the same for
 * a deadline is an overrun; how long a call has taken is known to one period. After a period
 * without any call the watchdog sets no timer, but sleeps until a module is run again.
 *
 * Threads: any for the watchdog; for a wr_watched as said there.
 */
#ifndef WR_GATEWAY_WATCHDOG_H
#define WR_GATEWAY_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct wr_watchdog wr_watchdog;

/* What is watched of one module. */
typedef struct wr_watched {
    wr_watchdog *dog; /* NULL: it is not watched */
    const char *name;

    _Atomic uint64_t calls;    /* odd: inside. The thread that runs the module */
    _Atomic uint64_t overdue;  /* the value of `calls` that was reported; 0: none. Set by the
                                  watchdog; who sets it back reports the return */
    _Atomic uint64_t overruns; /* reported calls; the watchdog */

    /* The watchdog, under its lock; since_ns also the module's thread while its call is overdue. */
    uint64_t seen;     /* `calls` at the last look */
    uint64_t since_ns; /* the first look that found `seen` */
    struct wr_watched *before;
    struct wr_watched *after;
} wr_watched;

/* Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_watchdog_create(uint64_t deadline_ns, uint64_t period_ns,
                                            wr_watchdog **out);
/* Its thread ends; what is still watched may go on. Harmless when done already, or NULL. */
void wr_watchdog_stop(wr_watchdog *dog);
/* Nothing is watched any more. NULL is allowed. */
void wr_watchdog_destroy(wr_watchdog *dog);

/* `name` is borrowed. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_watchdog_add(wr_watchdog *dog, wr_watched *watched, const char *name);
/* It is not inside a call. Harmless when it is not watched. */
void wr_watchdog_remove(wr_watched *watched);

/* The first call of several is about to begin. By the module's thread, as the next three. */
void wr_watched_begin(wr_watched *watched);
/* A call has returned that was reported as overdue: count it, and say how long it took. */
void wr_watched_leave_late(wr_watched *watched);

/* A call is about to begin, right after another one. */
static inline void wr_watched_enter(wr_watched *watched)
{
    uint64_t calls = atomic_load_explicit(&watched->calls, memory_order_relaxed);
    atomic_store_explicit(&watched->calls, calls + 1, memory_order_relaxed);
}

/* A call has returned. */
static inline void wr_watched_leave(wr_watched *watched)
{
    uint64_t calls = atomic_load_explicit(&watched->calls, memory_order_relaxed);
    if (atomic_load_explicit(&watched->overdue, memory_order_relaxed) == calls) {
        wr_watched_leave_late(watched);
        return;
    }
    atomic_store_explicit(&watched->calls, calls + 1, memory_order_release);
}

#endif
