/* SPDX-License-Identifier: MIT
 *
 * Stop signals of POSIX. Invariant: whoever sees a handler in `stop_handler` sees its argument too.
 */
#define _GNU_SOURCE
#include "platform/signal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

typedef void (*stop_fn)(void *arg);

static _Atomic(stop_fn)
    stop_handler; /* stored after stop_arg (release), read before it (acquire) */
static _Atomic(void *) stop_arg;

static void on_signal(int number)
{
    (void)number;
    stop_fn handler = atomic_load_explicit(&stop_handler, memory_order_acquire);
    if (handler != NULL) {
        handler(atomic_load_explicit(&stop_arg, memory_order_relaxed));
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
    atomic_store_explicit(&stop_handler, NULL, memory_order_relaxed);
    atomic_store_explicit(&stop_arg, arg, memory_order_release);
    atomic_store_explicit(&stop_handler, handler, memory_order_release);

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
