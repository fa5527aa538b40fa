/* SPDX-License-Identifier: MIT
 *
 * The versions of what Weir's peers say to each other beyond the old protocol
 * (docs/wire-protocol.md, 3.4). Each side says the first and the last that it speaks; the highest
 * that both speak is used.
 */
#ifndef WR_IPC_PROTOCOL_H
#define WR_IPC_PROTOCOL_H

#include <stdbool.h>

#include "base/api.h"
#include "base/error.h"
#include "ipc/control.h"

#define WR_PROTOCOL_FIRST 1u
#define WR_PROTOCOL_LAST 1u

/* Is there a version that we and this peer speak? If not, `error` names both ranges. An old peer,
 * and one that does not say, is welcome. */
WR_SHARED bool wr_protocol_agree(const wr_extension *peer, wr_error *error);

#endif
