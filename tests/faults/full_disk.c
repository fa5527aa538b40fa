/* SPDX-License-Identifier: MIT
 *
 * A library for LD_PRELOAD: while the file $WEIR_FAULTS_FULL exists, writing to files whose name
 * ends in $WEIR_FAULTS_FILE fails as on a full disk: the first write puts half of it there, the
 * others nothing. Like a disk, it fails in the middle of what the program meant to be one write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_SIZE 4096

static atomic_bool was_full;

static bool is_chosen(int fd)
{
    char link[64];
    char path[PATH_SIZE];
    const char *end = getenv("WEIR_FAULTS_FILE");
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (end == NULL || length < (ssize_t)strlen(end)) {
        return false;
    }
    path[length] = '\0';
    return strcmp(path + length - strlen(end), end) == 0;
}

static bool is_full(int fd)
{
    const char *flag = getenv("WEIR_FAULTS_FULL");
    if (flag == NULL || access(flag, F_OK) != 0) {
        atomic_store(&was_full, false);
        return false;
    }
    return is_chosen(fd);
}

/* `real` points to a pointer to a function, which C does not let us assign. */
static void find_real(const char *name, void *real)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    memcpy(real, &found, sizeof(found));
}

/* How much of `size` bytes finds room; 0: none, and errno says so. */
static size_t room(size_t size)
{
    if (!atomic_exchange(&was_full, true) && size > 1) {
        return size / 2;
    }
    errno = ENOSPC;
    return 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t (*real)(int, const void *, size_t);
    find_real("write", &real);
    if (!is_full(fd)) {
        return real(fd, data, size);
    }
    size_t fits = room(size);
    return fits == 0 ? -1 : real(fd, data, fits);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t);
    find_real("pwrite64", &real);
    if (!is_full(fd)) {
        return real(fd, data, size, at);
    }
    size_t fits = room(size);
    return fits == 0 ? -1 : real(fd, data, fits, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

/* Of several pieces the first is cut, the others do not come at all. */
ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    ssize_t (*real)(int, const struct iovec *, int);
    find_real("writev", &real);
    return is_full(fd) ? write(fd, pieces[0].iov_base, pieces[0].iov_len) : real(fd, pieces, count);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
    ssize_t (*real)(int, const struct iovec *, int, off64_t);
    find_real("pwritev64", &real);
    return is_full(fd) ? pwrite64(fd, pieces[0].iov_base, pieces[0].iov_len, at)
                       : real(fd, pieces, count, at);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
    return pwritev64(fd, pieces, count, at);
}
