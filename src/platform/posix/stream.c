/* SPDX-License-Identifier: MIT
 *
 * Streams over UNIX sockets; the read half also serves a pipe (a child's output). Invariant: the
 * descriptor of a stream never blocks and is not inherited by children.
 */
#define _GNU_SOURCE
#include "platform/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "descriptor_os.h"
#include "os_error.h"
#include "shared_memory_os.h"
#include "stream_os.h"

/* The three after fd: see wr_stream_attach_memory. */
struct wr_stream {
    int fd;
    int attached; /* a descriptor; -1: none */
    bool accepts;
    wr_received received;
};

weir_err wr_stream_adopt(int fd, wr_stream **out)
{
    wr_stream *stream = malloc(sizeof(*stream));
    if (stream == NULL) {
        close(fd);
        return WEIR_ERR_MEMORY;
    }
    *stream = (wr_stream){.fd = fd, .attached = -1, .received = WR_RECEIVED_NOTHING};
    *out = stream;
    return WEIR_OK;
}

weir_err wr_address_set(struct sockaddr_un *address, const char *path, wr_error *error)
{
    static_assert(sizeof(address->sun_path) == WR_ADDRESS_MAX + 1, "the limit that we promise");
    size_t length = strlen(path);
    if (length == 0) {
        return wr_error_set(error, WEIR_ERR_INVALID, "an address cannot be empty");
    }
    if (length > WR_ADDRESS_MAX) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE,
                            "the address '%s' has %zu bytes, and at most %u are possible; use a "
                            "shorter path",
                            path, length, WR_ADDRESS_MAX);
    }
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    return WEIR_OK;
}

int wr_socket_create(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int wr_socket_connect(int fd, const struct sockaddr_un *address)
{
    int result;
    do {
        result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    } while (result != 0 && errno == EINTR);
    return result;
}

static weir_err connect_error(int number, const char *path, wr_error *error)
{
    switch (number) {
    case EAGAIN:
        return wr_error_set(error, WEIR_ERR_WOULD_BLOCK,
                            "the listener at '%s' has too many connections waiting", path);
    case ECONNREFUSED:
        return wr_error_set(error, WEIR_ERR_CLOSED, "nobody listens at '%s'", path);
    default:
        return wr_os_error_set(error, number, "cannot connect to '%s'", path);
    }
}

weir_err wr_stream_connect(const char *path, wr_stream **out, wr_error *error)
{
    struct sockaddr_un address;
    weir_err err = wr_address_set(&address, path, error);
    if (err != WEIR_OK) {
        return err;
    }
    int fd = wr_socket_create();
    if (fd < 0) {
        return wr_os_error_set(error, errno, "cannot make a socket to connect to '%s'", path);
    }
    if (wr_socket_connect(fd, &address) != 0) {
        int number = errno;
        close(fd);
        return connect_error(number, path, error);
    }
    if (wr_stream_adopt(fd, out) != WEIR_OK) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a connection to '%s'", path);
    }
    return WEIR_OK;
}

weir_err wr_stream_pair(wr_stream **a, wr_stream **b)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return wr_os_error(errno);
    }
    wr_stream *first = NULL;
    weir_err err = wr_stream_adopt(fds[0], &first);
    if (err != WEIR_OK) {
        close(fds[1]);
        return err;
    }
    err = wr_stream_adopt(fds[1], b);
    if (err != WEIR_OK) {
        wr_stream_close(first);
        return err;
    }
    *a = first;
    return WEIR_OK;
}

static weir_err transfer_error(int number)
{
    return number == EAGAIN ? WEIR_ERR_WOULD_BLOCK : wr_os_error(number);
}

weir_err wr_stream_read(wr_stream *stream, void *data, size_t size, size_t *got)
{
    return wr_stream_read2(stream, data, size, NULL, 0, got);
}

weir_err wr_stream_read2(wr_stream *stream, void *first, size_t first_size, void *second,
                         size_t second_size, size_t *got)
{
    if (first_size == 0 && second_size == 0) {
        return WEIR_ERR_INVALID;
    }
    struct iovec parts[2] = {{first, first_size}, {second, second_size}};
    size_t used = second_size > 0 ? 2 : 1;
    ssize_t result;
    do {
        result = stream->accepts ? wr_descriptor_read(stream->fd, parts, used, &stream->received)
                                 : readv(stream->fd, parts, (int)used);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return transfer_error(errno);
    }
    if (result == 0) {
        return WEIR_ERR_CLOSED;
    }
    *got = (size_t)result;
    return WEIR_OK;
}

/* A descriptor may be what the system does not let through: too many are under way, or a policy
 * forbids it. The bytes alone would have gone. */
static weir_err write_error(const wr_stream *stream, int number)
{
    weir_err err = transfer_error(number);
    bool of_bytes = err == WEIR_ERR_WOULD_BLOCK || err == WEIR_ERR_CLOSED;
    return stream->attached < 0 || of_bytes ? err : WEIR_ERR_UNSUPPORTED;
}

static void drop_attached(wr_stream *stream)
{
    if (stream->attached >= 0) {
        close(stream->attached);
        stream->attached = -1;
    }
}

weir_err wr_stream_write(wr_stream *stream, const wr_slice *slices, size_t count, size_t *sent)
{
    struct iovec parts[WR_SLICES_MAX];
    size_t used = count < WR_SLICES_MAX ? count : WR_SLICES_MAX;
    for (size_t i = 0; i < used; i++) {
        /* iov_base serves reading too, and so is not const. */
        parts[i] = (struct iovec){(void *)slices[i].data, slices[i].size};
    }
    ssize_t result;
    do {
        result = wr_descriptor_write(stream->fd, parts, used, stream->attached);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return write_error(stream, errno);
    }
    if (result == 0) {
        return WEIR_ERR_INVALID; /* the slices held nothing to send */
    }
    drop_attached(stream); /* the other side has one of its own now */
    *sent = (size_t)result;
    return WEIR_OK;
}

void wr_stream_attach_memory(wr_stream *stream, wr_shared_memory *memory)
{
    drop_attached(stream);
    stream->attached = wr_shared_memory_take_descriptor(memory);
}

void wr_stream_accept_memory(wr_stream *stream)
{
    stream->accepts = true;
}

weir_err wr_stream_take_memory(wr_stream *stream, size_t limit, wr_shared_memory **out,
                               wr_error *error)
{
    wr_received came = stream->received;
    stream->received = WR_RECEIVED_NOTHING;
    if (came.fd >= 0) {
        return wr_shared_memory_adopt(came.fd, limit, out, error);
    }
    if (came.lost) {
        return wr_error_set(error, WEIR_ERR_IO,
                            "the peer's shared memory was lost: this process may not open more "
                            "files");
    }
    return wr_error_set(error, WEIR_ERR_NOT_FOUND, "the peer sent no shared memory");
}

weir_err wr_stream_peer_user(const wr_stream *stream, uint32_t *user)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return errno == ENOTSOCK ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_IO;
    }
    *user = peer.uid;
    return WEIR_OK;
}

wr_waitable wr_stream_waitable(const wr_stream *stream)
{
    return stream->fd;
}

void wr_stream_end_input(wr_stream *stream)
{
    (void)shutdown(stream->fd, SHUT_RD); /* fails only where the connection has ended already */
}

void wr_stream_close(wr_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    drop_attached(stream);
    if (stream->received.fd >= 0) {
        close(stream->received.fd);
    }
    close(stream->fd);
    free(stream);
}
