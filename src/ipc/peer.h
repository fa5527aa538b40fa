/* SPDX-License-Identifier: MIT
 *
 * Whose process may be at the other end of a channel: this user's, root's, and those of users that
 * were allowed; or only the latter. The same rule for both sides and both channels.
 */
#ifndef WR_IPC_PEER_H
#define WR_IPC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "platform/stream.h"

/* The most users that one module may allow. */
#define WR_USERS_MAX 64u

/* User ids; all zero: none beside this user and root. */
typedef struct wr_users {
    bool only; /* not this user's and root's, unless they are in the list */
    uint32_t ids[WR_USERS_MAX];
    size_t count;
} wr_users;

/* Adding one twice changes nothing. Errors: FULL. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_users_add(wr_users *users, uint32_t id);
WR_SHARED bool wr_users_has(const wr_users *users, uint32_t id);

/* May the process at the other end be talked to? Errors: DENIED, and those of wr_stream_peer_user;
 * `error` says whose it is. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_peer_check(const wr_stream *stream, const wr_users *allowed,
                                                 wr_error *error);
/* Is the process at the other end this user's? Then it could do what it likes with this one's
 * memory anyhow, and may share some. */
WR_SHARED bool wr_peer_is_own(const wr_stream *stream);

#endif
