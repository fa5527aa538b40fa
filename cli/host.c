/* SPDX-License-Identifier: MIT
 *
 * `weir host`: a process for one native module. The module to load comes with the gateway's create
 * message, so this is just the remote side's main function on the module host.
 */
#include "cli.h"
#include "loader/module_host.h"
#include "weir/remote.h"

static int run(int argc, char **argv)
{
    static char program[] = "weir host";
    argv[0] = program; /* for the usage text */
    return weir_remote_main(wr_module_host_api(), argc, argv);
}

const cli_command cli_host = {
    .name = "host",
    .arguments = "[CONTROL_ID]",
    .summary = "be the process of one module",
    .help =
        "Wait at CONTROL_ID, or else at $WEIR_CONTROL_ID, for a gateway, and run the native\n"
        "module that its \"args\" name:\n"
        "\n"
        "  {\"outprocess.loader\": {\"name\": \"native\",\n"
        "                         \"entrypoint\": {\"module.path\": \"path/to/libmodule.so\"}},\n"
        "   \"module.args\": ...}\n"
        "\n"
        "Gateways of this user and of root may connect, and of those users that\n"
        "$WEIR_ALLOW_USERS names (names or ids, with commas between).\n"
        "\n"
        "SIGINT or SIGTERM end it. Where the gateway launched it, it ends with the module.\n"
        "\n"
        "Exit status: 0 after a clean end, 1 on failure, 2 wrong usage.\n",
    .run = run,
};
