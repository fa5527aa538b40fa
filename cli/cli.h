/* SPDX-License-Identifier: MIT
 *
 * What the commands of `weir` share. Each command is one file that defines one cli_command; the
 * table in main.c drives dispatch and help.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>

#include "weir/error.h"

typedef enum cli_status { CLI_OK = 0, CLI_FAILURE = 1, CLI_USAGE = 2 } cli_status;

typedef struct cli_command {
    const char *name;
    const char *arguments; /* as the usage line shows them; "" if none */
    const char *summary;   /* a few words for the list of commands */
    const char *help;      /* the whole help but the usage line; ends in a line break */
    /* argv[0] is the command's name. Returns the exit status. */
    int (*run)(int argc, char **argv);
} cli_command;

extern const cli_command cli_run;
extern const cli_command cli_check;
extern const cli_command cli_host;
extern const cli_command cli_version;

/* Say on standard error what is wrong with the arguments, and how they should be. Returns the exit
 * status CLI_USAGE. */
int cli_usage_error(const cli_command *command, const char *format, ...) WEIR_PRINTF(2, 3);

/* A weir_problem_fn: one line on standard error. */
void cli_print_problem(void *user, const char *text);

#endif
