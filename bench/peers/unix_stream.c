/* SPDX-License-Identifier: MIT
 *
 * The common half of the bare streams, which are the limit: a UNIX stream socket, and large reads;
 * a large message is read straight into its place. A frame is a size of eight bytes and the
 * message.
 */
#define _GNU_SOURCE
#include "unix_stream.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/report.h"
#include "peer.h"

#define RX_SIZE 262144u

const bool peer_one_thread = false;

static int listener;
static int stream = -1; /* the listener accepts when it first receives */
static unsigned char rx[RX_SIZE];
static size_t rx_start;
static size_t rx_end;
static unsigned char *large_in;
static const unsigned char *received;
static size_t received_size;

void peer_open(bool listens, const char *path)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    large_in = malloc(UNIX_LARGE_MAX);
    peer_must(fd >= 0 && large_in != NULL && bench_address(path, &at), "cannot open a socket");
    if (!listens) {
        peer_must(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "cannot connect");
        stream = fd;
        return;
    }
    peer_must(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0,
              "cannot listen");
    listener = fd;
}

bool unix_write_all(struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t sent = writev(stream, parts, count);
        if (sent < 0) {
            return false;
        }
        for (; count > 0 && (size_t)sent >= parts->iov_len; parts++, count--) {
            sent -= (ssize_t)parts->iov_len;
        }
        if (count > 0) {
            parts->iov_base = (unsigned char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return true;
}

/* The bytes of a large message that are not in the buffer yet, and what follows them. */
static const void *finish_large(size_t size)
{
    size_t got = rx_end - rx_start - UNIX_HEADER_SIZE;
    memcpy(large_in, rx + rx_start + UNIX_HEADER_SIZE, got);
    rx_start = rx_end = 0;
    while (got < size) {
        struct iovec parts[] = {{large_in + got, size - got}, {rx, RX_SIZE}};
        ssize_t part = readv(stream, parts, 2);
        if (part <= 0) {
            return NULL;
        }
        got += (size_t)part;
    }
    rx_end = got - size;
    return large_in;
}

static bool read_more(void)
{
    if (rx_start == rx_end) {
        rx_start = rx_end = 0;
    } else if (RX_SIZE - rx_start < UNIX_SMALL_MAX + UNIX_HEADER_SIZE) {
        memmove(rx, rx + rx_start, rx_end - rx_start);
        rx_end -= rx_start;
        rx_start = 0;
    }
    if (stream < 0) {
        stream = accept(listener, NULL, NULL);
    }
    ssize_t got = read(stream, rx + rx_end, RX_SIZE - rx_end);
    rx_end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static bool frame_size(uint64_t *size)
{
    if (rx_end - rx_start < UNIX_HEADER_SIZE) {
        return false;
    }
    memcpy(size, rx + rx_start, UNIX_HEADER_SIZE);
    return true;
}

bool peer_pending(void)
{
    uint64_t size;
    return frame_size(&size) && size <= rx_end - rx_start - UNIX_HEADER_SIZE;
}

const void *peer_receive(size_t *size)
{
    uint64_t stated = 0;
    while (!peer_pending()) {
        if (frame_size(&stated) && stated > UNIX_SMALL_MAX) {
            peer_must(stated <= UNIX_LARGE_MAX, "a message is too large");
            *size = received_size = stated;
            received = finish_large(stated);
            return received;
        }
        if (!read_more()) {
            return NULL;
        }
    }
    (void)frame_size(&stated);
    received = rx + rx_start + UNIX_HEADER_SIZE;
    *size = received_size = stated;
    rx_start += UNIX_HEADER_SIZE + stated;
    return received;
}

const void *unix_received(size_t *size)
{
    *size = received_size;
    return received;
}
