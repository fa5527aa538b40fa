/* SPDX-License-Identifier: MIT
 *
 * A program that embeds a gateway: runs a file until its standard input ends.
 */
#include <stdio.h>

#include <weir/gateway.h>

static weir_err run(weir_gateway *gateway)
{
    weir_err err = weir_gateway_start(gateway);
    if (err != WEIR_OK) {
        return err;
    }
    while (getchar() != EOF) {
    }
    return weir_gateway_stop(gateway);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    weir_gateway *gateway = NULL;
    weir_err err = weir_gateway_create_from_file(argv[1], NULL, &gateway);
    if (err == WEIR_OK) {
        err = run(gateway);
    }
    weir_gateway_destroy(gateway);
    return err == WEIR_OK ? 0 : 1;
}
