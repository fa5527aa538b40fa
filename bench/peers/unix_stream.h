/* SPDX-License-Identifier: MIT
 *
 * What the two bare streams share: everything but the sending.
 */
#ifndef BENCH_UNIX_STREAM_H
#define BENCH_UNIX_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define UNIX_HEADER_SIZE 8u
#define UNIX_SMALL_MAX 16384u
#define UNIX_LARGE_MAX (1u << 20)

/* Write it all, however long that takes. `parts` is used up. */
bool unix_write_all(struct iovec *parts, int count);

/* What peer_receive returned last. */
const void *unix_received(size_t *size);

#endif
