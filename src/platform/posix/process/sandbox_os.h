/* SPDX-License-Identifier: MIT
 *
 * A sandbox from the inside, for the files of this folder: sandbox.c makes it and has the steps of
 * the child, sandbox_filter.c makes the filter of system calls, sandbox_paths.c the rules for
 * files.
 */
#ifndef WR_SANDBOX_OS_H
#define WR_SANDBOX_OS_H

#include <linux/filter.h>

#include "base/buffer.h"
#include "platform/sandbox.h"

#define WR_FD_NONE (-1)

struct wr_sandbox {
    uint64_t limits[WR_LIMIT_COUNT];
    bool change_user;
    uint32_t user, group;
    int ruleset; /* of Landlock; WR_FD_NONE: the kernel has none */
    struct sock_fprog filter;
    wr_buffer missing;
};

/* Make the filter; its instructions are the caller's to free. Errors: UNSUPPORTED, IO, MEMORY. */
WEIR_MUST_CHECK weir_err wr_filter_create(const wr_sandbox_options *options, struct sock_fprog *out,
                                          wr_error *error);
/* The rules as a descriptor, WR_FD_NONE where the kernel has no such rules. What it cannot do of
 * them is appended to `missing`. */
WEIR_MUST_CHECK weir_err wr_paths_create(const wr_sandbox_options *options, int *ruleset,
                                         wr_buffer *missing, wr_error *error);
/* Say that something is not enforced. */
void wr_sandbox_lacks(wr_buffer *missing, const char *what);

/* In the child of a fork, in this order: only async-signal-safe calls. False, and errno: it failed.
 */
bool wr_sandbox_set_limits(const wr_sandbox *sandbox);
bool wr_sandbox_set_user(const wr_sandbox *sandbox);
bool wr_sandbox_drop_privileges(void);
bool wr_sandbox_confine(const wr_sandbox *sandbox);
bool wr_sandbox_filter(const wr_sandbox *sandbox);

#endif
