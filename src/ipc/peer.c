/* SPDX-License-Identifier: MIT
 *
 * The users at the other end (contract in peer.h).
 */
#include "ipc/peer.h"

#include "platform/user.h"

bool wr_users_has(const wr_users *users, uint32_t id)
{
    for (size_t i = 0; i < users->count; i++) {
        if (users->ids[i] == id) {
            return true;
        }
    }
    return false;
}

weir_err wr_users_add(wr_users *users, uint32_t id)
{
    if (wr_users_has(users, id)) {
        return WEIR_OK;
    }
    if (users->count == WR_USERS_MAX) {
        return WEIR_ERR_FULL;
    }
    users->ids[users->count++] = id;
    return WEIR_OK;
}

weir_err wr_peer_check(const wr_stream *stream, const wr_users *allowed, wr_error *error)
{
    uint32_t user;
    weir_err err = wr_stream_peer_user(stream, &user);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "cannot tell whose process it is");
    }
    if (wr_users_has(allowed, user)) {
        return WEIR_OK;
    }
    if (allowed->only) {
        return wr_error_set(error, WEIR_ERR_DENIED, "it belongs to user %u, not to its own", user);
    }
    if (user == WR_USER_ROOT || user == wr_user_self()) {
        return WEIR_OK;
    }
    return wr_error_set(error, WEIR_ERR_DENIED,
                        "it belongs to user %u; only this user's processes, root's and those of "
                        "allowed users are accepted",
                        user);
}

bool wr_peer_is_own(const wr_stream *stream)
{
    uint32_t user;
    return wr_stream_peer_user(stream, &user) == WEIR_OK && user == wr_user_self();
}
