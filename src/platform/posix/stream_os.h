/* SPDX-License-Identifier: MIT
 *
 * What the files of this folder share about streams: descriptors behind them, and addresses.
 */
#ifndef WR_STREAM_OS_H
#define WR_STREAM_OS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "platform/stream.h"

/* Make a stream of a descriptor that does not block and closes on exec. The stream owns it, also on
 * failure (it is closed then). Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_adopt(int fd, wr_stream **out);

/* Fill `address` with `path`. Errors: INVALID (empty), TOO_LARGE. */
WEIR_MUST_CHECK weir_err wr_address_set(struct sockaddr_un *address, const char *path,
                                        wr_error *error);

/* A local stream socket that does not block and closes on exec; -1 and errno on failure. */
int wr_socket_create(void);

/* connect(2) that an interrupting signal does not fail. 0, or -1 and errno. */
int wr_socket_connect(int fd, const struct sockaddr_un *address);

#endif
