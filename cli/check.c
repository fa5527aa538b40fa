/* SPDX-License-Identifier: MIT
 *
 * `weir check`: find every mistake in a configuration, start nothing.
 */
#include <stdio.h>

#include "cli.h"
#include "weir/gateway.h"

static int run(int argc, char **argv)
{
    if (argc != 2) {
        return cli_usage_error(&cli_check, argc < 2 ? "FILE is missing" : "one FILE at a time");
    }
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = cli_print_problem;
    if (weir_gateway_check(argv[1], &options) != WEIR_OK) {
        return CLI_FAILURE;
    }
    (void)printf("%s: ok\n", argv[1]);
    return CLI_OK;
}

const cli_command cli_check = {
    .name = "check",
    .arguments = "FILE",
    .summary = "find the mistakes in a configuration",
    .help =
        "Read FILE as 'weir run' would, and report every mistake in it on standard error, one a\n"
        "line, with line and column. No module is loaded and nothing is started. What is not "
        "there\n"
        "now, and may be later, is a warning: programs to launch, paths of a sandbox.\n"
        "\n"
        "Exit status: 0 no mistakes, 1 mistakes, 2 wrong usage.\n",
    .run = run,
};
