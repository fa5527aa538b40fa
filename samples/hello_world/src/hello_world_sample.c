/* SPDX-License-Identifier: MIT
 *
 * The smallest gateway: hello_world -> logger, both in this process.
 */
#include "run_gateway.h"

int main(int argc, char **argv)
{
    return run_gateway(argc, argv);
}
