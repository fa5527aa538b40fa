/* SPDX-License-Identifier: MIT
 *
 * The native modules around the remote one that proxy_session_fuzz plays: a source, from which the
 * target publishes, and two sinks. The library is loaded by the gateway and linked by the target.
 */
#ifndef WR_FUZZ_ENDS_H
#define WR_FUZZ_ENDS_H

#include <stddef.h>
#include <stdint.h>

#include "weir/module.h"

typedef enum ends_sink {
    ENDS_SINK, /* args "sink": of the remote module; each connection's messages in order, none lost
                */
    ENDS_OTHER /* args "other": of the source; all that it published, in order */
} ends_sink;

/* Forget the last run. No gateway exists. */
WEIR_API void ends_reset(void);
/* The source (args "source") publishes its next number, without waiting. */
WEIR_API WEIR_MUST_CHECK weir_err ends_publish(size_t extra);
/* How many it has published. */
WEIR_API uint64_t ends_published(void);
WEIR_API uint64_t ends_received(ends_sink sink);
/* Wait until that sink has received so many; required to come before a long time has passed. */
WEIR_API void ends_wait(ends_sink sink, uint64_t count);

#endif
