/* SPDX-License-Identifier: MIT
 *
 * Reading and writing a UNIX socket where a descriptor may come along with the bytes.
 */
#ifndef WR_DESCRIPTOR_OS_H
#define WR_DESCRIPTOR_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What came and was not taken yet. */
typedef struct wr_received {
    int fd;    /* -1: none */
    bool lost; /* something came, and there was no descriptor for it */
} wr_received;

#define WR_RECEIVED_NOTHING ((wr_received){.fd = -1})

/* As readv. What comes is kept in `received` if nothing is there, and closed if something is. */
ssize_t wr_descriptor_read(int fd, struct iovec *parts, size_t count, wr_received *received);
/* As writev, without a signal; with the first byte goes the descriptor `attached`, unless it is -1.
 */
ssize_t wr_descriptor_write(int fd, struct iovec *parts, size_t count, int attached);

#endif
