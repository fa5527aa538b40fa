/* SPDX-License-Identifier: MIT
 *
 * A native module in a process of its own, without a line of code for it: the gateway launches
 * `weir host`, which loads hello_world, and what that publishes goes to the logger in this process.
 */
#include "run_gateway.h"

int main(int argc, char **argv)
{
    return run_gateway(argc, argv);
}
