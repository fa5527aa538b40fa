/* SPDX-License-Identifier: MIT
 *
 * `weir version`.
 */
#include <stdio.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return cli_usage_error(&cli_version, "it takes no arguments");
    }
    (void)printf("weir %s\n", weir_version());
    return CLI_OK;
}

const cli_command cli_version = {
    .name = "version",
    .arguments = "",
    .summary = "show the version",
    .help = "Show the version of the library that runs.\n",
    .run = run,
};
