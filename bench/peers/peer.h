/* SPDX-License-Identifier: MIT
 *
 * One end of a connection between two processes, as each of the compared transports makes it. One
 * thread sends and one receives; they are the same where PEER_ONE_THREAD says so.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* Set by the transport: its sockets are not for two threads at once. */
extern const bool peer_one_thread;

/* Exits with a message when it cannot. The listener returns before anybody has connected; the other
 * end opens after that. */
void peer_open(bool listens, const char *path);

/* Where to write the next message to send, and then: send it, now or at the latest with flush. */
void *peer_reserve(size_t size);
bool peer_commit(void);
bool peer_flush(void);

/* Wait for a message; it stays until the next call. NULL: the other end is gone. */
const void *peer_receive(size_t *size);
/* Would receive return at once? May say false where it is not known. */
bool peer_pending(void);
/* Send the message received last, the cheapest way. */
bool peer_return(void);

/* For transports: say what failed, and exit. */
void peer_must(bool ok, const char *what);

#endif
