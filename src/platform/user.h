/* SPDX-License-Identifier: MIT
 *
 * Users and groups of the system, by name or by number.
 */
#ifndef WR_PLATFORM_USER_H
#define WR_PLATFORM_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"

/* Who may do anything. */
#define WR_USER_ROOT 0u
/* The largest id; the one above means "none" to the system. */
#define WR_USER_ID_MAX (UINT32_MAX - 1u)

typedef struct wr_user {
    uint32_t id;
    uint32_t group; /* the user's first; where has_group */
    bool has_group; /* a number need not be that of a known user */
} wr_user;

/* The user that this process acts for. */
WR_SHARED uint32_t wr_user_self(void);
/* Find a user by name, or by number in decimal digits. Errors: NOT_FOUND, IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_user_find(const char *name, wr_user *out, wr_error *error);
/* Likewise a group. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_group_find(const char *name, uint32_t *out, wr_error *error);

#endif
