/* SPDX-License-Identifier: MIT
 *
 * How a program embeds a gateway: create it from a file, start, wait, stop, destroy.
 */
#include "run_gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "until_stopped.h"
#include "weir/gateway.h"

static void print_problem(void *user, const char *text)
{
    (void)user;
    (void)fprintf(stderr, "%s\n", text);
}

static weir_err run_until_stopped(weir_gateway *gateway)
{
    weir_err err = weir_gateway_start(gateway);
    if (err != WEIR_OK) {
        return err;
    }
    (void)printf("The gateway runs. Press ENTER to stop it.\n");
    (void)fflush(stdout);
    until_stopped();
    return weir_gateway_stop(gateway);
}

static weir_err run_file(const char *path)
{
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = print_problem;
    weir_gateway *gateway = NULL;
    weir_err err = weir_gateway_create_from_file(path, &options, &gateway);
    if (err == WEIR_OK) {
        err = run_until_stopped(gateway);
    }
    weir_gateway_destroy(gateway);
    return err;
}

int run_gateway(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FILE.json\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (!until_stopped_prepare()) {
        return EXIT_FAILURE;
    }
    weir_err err = run_file(argv[1]);
    if (err != WEIR_OK) {
        (void)fprintf(stderr, "%s: %s: %s\n", argv[0], argv[1], weir_err_text(err));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
