/* SPDX-License-Identifier: MIT
 *
 * What the samples of a gateway have in common: all of it but the configuration file.
 */
#ifndef SAMPLES_RUN_GATEWAY_H
#define SAMPLES_RUN_GATEWAY_H

/* A main function: run the gateway that the file argv[1] describes until it is stopped. Returns the
 * exit status. */
int run_gateway(int argc, char **argv);

#endif
