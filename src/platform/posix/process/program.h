/* SPDX-License-Identifier: MIT
 *
 * What a child process is made of: its program, its environment, and its first steps between fork
 * and exec.
 */
#ifndef WR_PROGRAM_H
#define WR_PROGRAM_H

#include <sys/types.h>

#include "base/error.h"
#include "platform/sandbox.h"

/* The absolute path of the program `name`; the caller frees it. With a slash, it is taken relative
 * to the working directory and need not exist; without, it is searched in PATH.
 * Errors: NOT_FOUND, DENIED, IO, MEMORY. */
WEIR_MUST_CHECK weir_err wr_program_find(const char *name, char **path, wr_error *error);

/* This process's environment with `additions` (NULL: none), where a later entry of the same name
 * replaces an earlier one. The caller frees the list; the texts are borrowed. NULL: no memory. */
char **wr_environment_with(const char *const *additions);

/* All that a child needs, made before it: in it nothing may be allocated. */
typedef struct wr_child_plan {
    const char *path; /* absolute */
    char *const *argv;
    char *const *envp;
    const char *working_dir;   /* NULL: stay */
    const wr_sandbox *sandbox; /* NULL: none */
    pid_t parent;
    int input;   /* becomes descriptor 0 */
    int output;  /* becomes 1 and 2 */
    int failure; /* closes on exec; takes a wr_child_failure. All three are 3 or more. */
} wr_child_plan;

typedef enum wr_child_step {
    WR_CHILD_GROUP,
    WR_CHILD_LIMITS,
    WR_CHILD_USER,
    WR_CHILD_PARENT,
    WR_CHILD_STDIO,
    WR_CHILD_FOLDER,
    WR_CHILD_PRIVILEGES,
    WR_CHILD_PATHS,
    WR_CHILD_DESCRIPTORS,
    WR_CHILD_FILTER,
    WR_CHILD_EXEC
} wr_child_step;

typedef struct wr_child_failure {
    wr_child_step step;
    int number; /* errno */
} wr_child_failure;

/* In the child, with all signals blocked. */
_Noreturn void wr_child_run(const wr_child_plan *plan);

#endif
