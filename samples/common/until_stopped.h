/* SPDX-License-Identifier: MIT
 *
 * How the samples wait for their end: ENTER on standard input, SIGINT or SIGTERM.
 */
#ifndef SAMPLES_UNTIL_STOPPED_H
#define SAMPLES_UNTIL_STOPPED_H

#include <stdbool.h>

/* Call it first in main: from here on a signal is kept for until_stopped, and a second one ends the
 * process at once. False: that cannot be done; the reason is on standard error. */
bool until_stopped_prepare(void);

/* Wait. Standard input counts where it is a terminal or a pipe; its end stops nothing. */
void until_stopped(void);

#endif
