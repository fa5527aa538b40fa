/* SPDX-License-Identifier: MIT
 *
 * The other end of a module's `weir_host *`: whoever runs a module embeds this struct first in its
 * own and supplies the operations. The broker does it in the gateway, the remote side in a process
 * of the module's own.
 */
#ifndef WR_MODULE_HOST_H
#define WR_MODULE_HOST_H

#include <stdbool.h>

#include "base/api.h"
#include "base/error.h"
#include "weir/module.h"

/* How far a queue may be over its limit, in messages, before a publisher that does not wait is
 * refused: bounds the memory that one endless receive can take. */
#define WR_OVERFLOW_MAX (1u << 20)

typedef struct wr_host_ops {
    /* As weir_publish; `wait` false: as weir_try_publish. Any thread. */
    weir_err (*publish)(weir_host *host, weir_message *msg, bool wait);
} wr_host_ops;

struct weir_host {
    const wr_host_ops *ops;
    const char *name; /* borrowed from the embedding struct */
    wr_error failure; /* what weir_fail said; the thread that runs create or start only */
    uint32_t
        flags; /* in a process of its own: the module's, of a hosted one that one's; likewise */
};

/* Check a table that came from outside: version, size, the functions that must be there.
 * Errors: LOAD; `error` says why. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_module_api_check(const weir_module_api *api, wr_error *error);

/* Call create or start, and turn a failure into words: what weir_fail said, or the code's text.
 * Errors: what the module returned. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_module_create(const weir_module_api *api, weir_host *host,
                                                    const char *args, void **self, wr_error *error);
WR_SHARED WEIR_MUST_CHECK weir_err wr_module_start(const weir_module_api *api, weir_host *host,
                                                   void *self, wr_error *error);
/* Hand over messages by receive_many or by receive for each. */
WR_SHARED void wr_module_receive(const weir_module_api *api, void *self, weir_message **msgs,
                                 size_t count);
WR_SHARED void wr_module_destroy(const weir_module_api *api, void *self);

#endif
