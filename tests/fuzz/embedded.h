/* SPDX-License-Identifier: MIT
 *
 * The gateway that proxy_session_fuzz embeds:
 *     source -> remote -> sink          source -> other
 */
#ifndef WR_FUZZ_EMBEDDED_H
#define WR_FUZZ_EMBEDDED_H

#include "weir/gateway.h"

/* How it is configured; one of each is in an input's first byte. */
#define EMBEDDED_DROP 1u       /* the queue to the remote module drops */
#define EMBEDDED_MESSAGE_ID 2u /* the message channel has a fixed place */
#define EMBEDDED_HASTY 4u      /* it waits for answers only briefly, and asks for many heartbeats */
#define EMBEDDED_MODES 8u

/* Started; the caller destroys it. */
weir_gateway *embedded_open(unsigned mode, const char *control_path, const char *message_path);
/* Require each link's equation, and that "other" loses nothing. */
void embedded_check(weir_gateway *gateway);

#endif
