/* SPDX-License-Identifier: MIT
 *
 * Stop signals of POSIX. Invariant: whoever sees a handler in `stop_handler` sees its argument too.
 *
 * A handler may run on one thread while another takes it away and then frees what it works on, so
 * taking it away waits until none runs: a handler counts itself before it looks.
 */
#define _GNU_SOURCE
#include "platform/signal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

typedef void (*stop_fn)(void *arg);

static _Atomic(stop_fn) stop_handler; /* stored after stop_arg, read before it; seq_cst */
static _Atomic(void *) stop_arg;
static _Atomic unsigned running; /* handlers that have begun and not ended */

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    atomic_fetch_add(&running, 1);
    stop_fn handler = atomic_load(&stop_handler);
    if (handler != NULL) {
        handler(atomic_load_explicit(&stop_arg, memory_order_relaxed));
    }
    atomic_fetch_sub(&running, 1);
    errno = saved;
}

/* Nobody runs the handler that was. A handler is a few instructions and one write. */
static void take_handler_away(void)
{
    atomic_store(&stop_handler, NULL);
    while (atomic_load(&running) > 0) {
        sched_yield();
    }
}

static weir_err set_action(int number, void (*action)(int))
{
    struct sigaction what = {.sa_handler = action, .sa_flags = SA_RESTART};
    sigemptyset(&what.sa_mask);
    return sigaction(number, &what, NULL) == 0 ? WEIR_OK : WEIR_ERR_IO;
}

weir_err wr_signal_on_stop(void (*handler)(void *arg), void *arg)
{
    take_handler_away();
    atomic_store_explicit(&stop_arg, arg, memory_order_relaxed);
    atomic_store(&stop_handler, handler);

    void (*action)(int) = handler != NULL ? on_signal : SIG_DFL;
    weir_err err = set_action(SIGPIPE, SIG_IGN);
    if (err == WEIR_OK) {
        err = set_action(SIGINT, action);
    }
    if (err == WEIR_OK) {
        err = set_action(SIGTERM, action);
    }
    return err;
}
