/* SPDX-License-Identifier: MIT
 *
 * A good remote module of the gateway under attack, in this program: it sends numbers, which
 * another module sends back, and requires each to come, once and in order.
 */
#ifndef WR_HOSTILE_GOOD_PEER_H
#define WR_HOSTILE_GOOD_PEER_H

#include <stdint.h>

void good_peer_start(const char *control_path);
/* How many numbers came back. */
uint64_t good_peer_served(void);
/* Wait until so many came back; required to come. */
void good_peer_wait(uint64_t count);
/* Send no more, wait for those on their way, and leave. Returns how many came back, all of them. */
uint64_t good_peer_stop(void);

#endif
