/* SPDX-License-Identifier: MIT
 *
 * Between the module library `port` and the program that loads it: the module is a way into the
 * broker and out of it. The program defines these.
 */
#ifndef FAULTS_PORT_H
#define FAULTS_PORT_H

#include <stdbool.h>

#include "weir/module.h"

/* A module was created, with the text of its args. Returns whether it is to tell what it receives.
 */
WEIR_API bool port_opened(const char *args, weir_host *host);
/* Such a module received a message. */
WEIR_API void port_received(const weir_message *msg);

#endif
