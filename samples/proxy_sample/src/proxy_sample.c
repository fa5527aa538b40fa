/* SPDX-License-Identifier: MIT
 *
 * The gateway of the proxy sample: hello_world -> a module in a process of its own -> logger.
 *
 * That process is proxy_sample_remote: started by hand, or by the gateway, as the file says.
 */
#include "run_gateway.h"

int main(int argc, char **argv)
{
    return run_gateway(argc, argv);
}
