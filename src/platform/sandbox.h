/* SPDX-License-Identifier: MIT
 *
 * What a launched process may not do. A sandbox is made once, before the process, and serves any
 * number of launches; whatever can be wrong with it is found when it is made, in words.
 *
 * A process in a sandbox never gains privileges (by set-user-id programs or in any other way), has
 * no capabilities, leads a session without a terminal, and reaches no process outside of its
 * sandbox by signals or as a debugger; the options take away more.
 */
#ifndef WR_PLATFORM_SANDBOX_H
#define WR_PLATFORM_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef enum wr_limit {
    WR_LIMIT_MEMORY,    /* bytes of address space */
    WR_LIMIT_CPU,       /* seconds of processor time */
    WR_LIMIT_FILES,     /* open descriptors */
    WR_LIMIT_PROCESSES, /* of its user, threads included */
    WR_LIMIT_CORE,      /* bytes of a core file */
    WR_LIMIT_FILE_SIZE, /* bytes of a file that it writes */
    WR_LIMIT_COUNT
} wr_limit;

/* As the parent has it. A limit is never raised above that. */
#define WR_LIMIT_INHERITED UINT64_MAX

typedef struct wr_sandbox_options {
    uint64_t limits[WR_LIMIT_COUNT];
    bool change_user; /* become `user`, with `group` as the only group */
    uint32_t user, group;
    bool filter;                /* system calls by an allow-list */
    bool network;               /* sockets that lead out of this machine's files */
    bool confine;               /* no files but those below */
    const char *const *read;    /* NULL-terminated; files, or folders with all that is in them: to
                                 * read and to run. Those that the system needs to run any program
                                 * are added. NULL: none */
    const char *const *write;   /* likewise: to do anything with */
    const char *const *sockets; /* likewise: folders in which sockets may come and go */
    const char *program;        /* that is to run: found as wr_process_spawn does. NULL: any of
                                 * those above */
} wr_sandbox_options;

typedef struct wr_sandbox wr_sandbox;

/* All that the options point to is free to go afterwards. Errors: NOT_FOUND (a path), DENIED,
 * UNSUPPORTED, IO, MEMORY. */
WEIR_MUST_CHECK weir_err wr_sandbox_create(const wr_sandbox_options *options, wr_sandbox **out,
                                           wr_error *error);
/* What this system does not enforce of it, for people to read; "": it enforces all. Lives as long
 * as the sandbox. */
const char *wr_sandbox_missing(const wr_sandbox *sandbox);
void wr_sandbox_destroy(wr_sandbox *sandbox); /* NULL is allowed */

#endif
