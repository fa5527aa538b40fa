/* SPDX-License-Identifier: MIT
 *
 * Listeners over UNIX sockets. Invariant: a path is removed only where it is known to name a dead
 * socket, or this listener's own.
 *
 * Two processes may open the same path at once. Each checks that a dead socket is still the one it
 * tested before it removes it, and, once it listens, that the path still names its own socket; the
 * one that lost reports IN_USE. What stays open is the moment between the check and unlink(2), for
 * which POSIX has no atomic step. A lock on the folder would close it, but any user who may read
 * the folder could hold that lock for ever.
 */
#define _GNU_SOURCE
#include "platform/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os_error.h"
#include "stream_os.h"

#define BACKLOG 16
#define SHARED_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)
/* A path that is taken and free again this often is fought over by somebody else. */
#define BIND_ATTEMPTS 8u

struct wr_listener {
    int fd;
    bool bound;
    dev_t device; /* with inode: the identity of the socket's file */
    ino_t inode;
    struct sockaddr_un address;
};

static weir_err in_use(const char *path, wr_error *error)
{
    return wr_error_set(error, WEIR_ERR_IN_USE,
                        "another process listens at '%s'; stop it or use another control id", path);
}

static bool path_names(const char *path, dev_t device, ino_t inode)
{
    struct stat now;
    return lstat(path, &now) == 0 && now.st_dev == device && now.st_ino == inode;
}

/* Does anybody answer? CLOSED: the socket is dead. NOT_FOUND: it is gone by now. */
static weir_err probe(const struct sockaddr_un *address, wr_error *error)
{
    const char *path = address->sun_path;
    int fd = wr_socket_create();
    if (fd < 0) {
        return wr_os_error_set(error, errno, "cannot make a socket to test '%s'", path);
    }
    int number = wr_socket_connect(fd, address) == 0 ? 0 : errno;
    close(fd);
    switch (number) {
    case 0:
    case EAGAIN:     /* alive, with a full queue */
    case EPROTOTYPE: /* alive, with datagrams */
        return in_use(path, error);
    case ECONNREFUSED:
        return WEIR_ERR_CLOSED;
    case ENOENT:
        return WEIR_ERR_NOT_FOUND;
    default:
        return wr_os_error_set(error, number,
                               "cannot find out whether somebody listens at '%s'; remove that "
                               "file or use another control id",
                               path);
    }
}

/* Remove what `held` refers to, if it is a dead socket. OK: bind may be tried again. */
static weir_err remove_if_dead(const struct sockaddr_un *address, int held, wr_error *error)
{
    const char *path = address->sun_path;
    struct stat what;
    if (fstat(held, &what) != 0) {
        return wr_os_error_set(error, errno, "cannot inspect '%s'", path);
    }
    if (!S_ISSOCK(what.st_mode)) {
        return wr_error_set(error, WEIR_ERR_EXISTS,
                            "'%s' exists and is not a socket; remove it or use another control id",
                            path);
    }
    weir_err err = probe(address, error);
    if (err == WEIR_ERR_NOT_FOUND) {
        return WEIR_OK;
    }
    if (err != WEIR_ERR_CLOSED) {
        return err;
    }
    /* `held` keeps the inode's number from being given to a socket bound meanwhile. */
    bool same = path_names(path, what.st_dev, what.st_ino);
    if (same && unlink(path) != 0 && errno != ENOENT) {
        return wr_os_error_set(error, errno,
                               "cannot remove the dead socket '%s'; remove it or use another "
                               "control id",
                               path);
    }
    return WEIR_OK;
}

static weir_err make_way(const struct sockaddr_un *address, wr_error *error)
{
    int held = open(address->sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0 && errno == ENOENT) {
        return WEIR_OK;
    }
    if (held < 0) {
        return wr_os_error_set(error, errno, "cannot inspect '%s'", address->sun_path);
    }
    weir_err err = remove_if_dead(address, held, error);
    close(held);
    return err;
}

static weir_err bind_path(wr_listener *listener, wr_error *error)
{
    const struct sockaddr_un *address = &listener->address;
    for (unsigned attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
        if (bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
            listener->bound = true;
            return WEIR_OK;
        }
        if (errno != EADDRINUSE) {
            return wr_os_error_set(error, errno, "cannot listen at '%s'", address->sun_path);
        }
        weir_err err = make_way(address, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return in_use(address->sun_path, error);
}

static weir_err listen_at(wr_listener *listener, wr_error *error)
{
    const char *path = listener->address.sun_path;
    /* The new file takes its mode from the socket: there is no moment when others may connect. */
    if (fchmod(listener->fd, S_IRUSR | S_IWUSR) != 0) {
        return wr_os_error_set(error, errno, "cannot protect the socket for '%s'", path);
    }
    weir_err err = bind_path(listener, error);
    if (err != WEIR_OK) {
        return err;
    }
    struct stat own;
    if (lstat(path, &own) != 0) {
        return in_use(path, error);
    }
    listener->device = own.st_dev;
    listener->inode = own.st_ino;
    if (listen(listener->fd, BACKLOG) != 0) {
        return wr_os_error_set(error, errno, "cannot listen at '%s'", path);
    }
    if (!path_names(path, listener->device, listener->inode)) {
        return in_use(path, error);
    }
    return WEIR_OK;
}

weir_err wr_listener_open(const char *path, wr_listener **out, wr_error *error)
{
    wr_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory to listen at '%s'", path);
    }
    listener->fd = -1;
    weir_err err = wr_address_set(&listener->address, path, error);
    if (err != WEIR_OK) {
        goto fail;
    }
    listener->fd = wr_socket_create();
    if (listener->fd < 0) {
        err = wr_os_error_set(error, errno, "cannot make a socket for '%s'", path);
        goto fail;
    }
    err = listen_at(listener, error);
    if (err != WEIR_OK) {
        goto fail;
    }
    *out = listener;
    return WEIR_OK;
fail:
    wr_listener_close(listener);
    return err;
}

weir_err wr_listener_accept(wr_listener *listener, wr_stream **out)
{
    int fd;
    do {
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        return errno == EAGAIN ? WEIR_ERR_WOULD_BLOCK : wr_os_error(errno);
    }
    return wr_stream_adopt(fd, out);
}

/* By the held file, not by the path: that may be a link to somewhere else by now. */
static weir_err share_file(const wr_listener *listener, int held, wr_error *error)
{
    const char *path = listener->address.sun_path;
    struct stat what;
    if (fstat(held, &what) != 0) {
        return wr_os_error_set(error, errno, "cannot inspect '%s'", path);
    }
    if (what.st_dev != listener->device || what.st_ino != listener->inode) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND, "'%s' is another file by now", path);
    }
    char name[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", held);
    if (chmod(name, SHARED_MODE) != 0) {
        return wr_os_error_set(error, errno, "cannot let other users connect to '%s'", path);
    }
    return WEIR_OK;
}

weir_err wr_listener_share(wr_listener *listener, wr_error *error)
{
    const char *path = listener->address.sun_path;
    int held = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0) {
        return wr_os_error_set(error, errno, "cannot find '%s' to let other users connect", path);
    }
    weir_err err = share_file(listener, held, error);
    close(held);
    return err;
}

wr_waitable wr_listener_waitable(const wr_listener *listener)
{
    return listener->fd;
}

void wr_listener_close(wr_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    /* Before the socket is closed: until then its inode's number cannot be another file's. */
    const char *path = listener->address.sun_path;
    if (listener->bound && path_names(path, listener->device, listener->inode)) {
        (void)unlink(path);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    free(listener);
}
