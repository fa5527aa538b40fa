/* SPDX-License-Identifier: MIT
 *
 * Files and folders by POSIX.
 */
#define _GNU_SOURCE
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "os_error.h"
#include "platform/stream.h"

#define READ_CHUNK 16384u
#define FOLDER_SUFFIX "-XXXXXX"
/* Kept free behind a private folder's path for the names of sockets in it. */
#define SOCKET_NAME_MAX 40u
#define FOLDER_PATH_MAX (WR_ADDRESS_MAX - SOCKET_NAME_MAX)

static weir_err too_large(const char *path, size_t limit, wr_error *error)
{
    return wr_error_set(error, WEIR_ERR_TOO_LARGE, "'%s' is larger than the limit of %zu bytes",
                        path, limit);
}

static weir_err check_kind(int fd, const char *path, size_t limit, wr_error *error)
{
    struct stat what;
    if (fstat(fd, &what) != 0) {
        return wr_os_error_set(error, errno, "cannot inspect '%s'", path);
    }
    if (S_ISDIR(what.st_mode)) {
        return wr_error_set(error, WEIR_ERR_INVALID, "'%s' is a folder, not a file", path);
    }
    if (!S_ISREG(what.st_mode)) {
        return wr_error_set(error, WEIR_ERR_INVALID,
                            "'%s' is not a regular file, but a device, pipe or socket", path);
    }
    if ((uintmax_t)what.st_size > limit) {
        return too_large(path, limit, error);
    }
    return WEIR_OK;
}

/* The size that fstat told is a hint only: files grow, and those of /proc tell 0. */
static weir_err read_all(int fd, const char *path, size_t limit, wr_buffer *content,
                         wr_error *error)
{
    char chunk[READ_CHUNK];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return wr_os_error_set(error, errno, "cannot read '%s'", path);
        }
        if (got == 0) {
            return WEIR_OK;
        }
        if ((size_t)got > limit - content->size) {
            return too_large(path, limit, error);
        }
        wr_buffer_append(content, chunk, (size_t)got);
        if (content->failed) {
            return wr_error_set(error, WEIR_ERR_MEMORY, "no memory to read '%s'", path);
        }
    }
}

static weir_err read_open_file(int fd, const char *path, size_t limit, wr_buffer *content,
                               wr_error *error)
{
    weir_err err = check_kind(fd, path, limit, error);
    return err == WEIR_OK ? read_all(fd, path, limit, content, error) : err;
}

weir_err wr_file_read(const char *path, size_t limit, char **data, size_t *size, wr_error *error)
{
    /* Not blocking: opening a pipe would wait for a writer. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return wr_os_error_set(error, errno, "cannot open '%s'", path);
    }
    wr_buffer content = WR_BUFFER_INIT;
    weir_err err = read_open_file(fd, path, limit, &content, error);
    close(fd);
    if (err != WEIR_OK) {
        wr_buffer_deinit(&content);
        return err;
    }
    size_t length = content.size;
    char *text = wr_buffer_take(&content);
    if (text == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory to read '%s'", path);
    }
    *data = text;
    *size = length;
    return WEIR_OK;
}

bool wr_file_exists(const char *path)
{
    struct stat what;
    return stat(path, &what) == 0;
}

void wr_file_remove(const char *path)
{
    (void)remove(path);
}

weir_err wr_file_lock(int handle)
{
    int result;
    do {
        result = flock(handle, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        return WEIR_OK;
    }
    if (errno == EWOULDBLOCK) {
        return WEIR_ERR_IN_USE;
    }
    return errno == ENOLCK || errno == EOPNOTSUPP ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_IO;
}

/* `place` may be a list with colons, as systemd gives RUNTIME_DIRECTORY; the first one counts. */
static weir_err create_below(const char *place, const char *prefix, char **path, wr_error *error)
{
    size_t length = strcspn(place, ":");
    size_t rest = strlen("/") + strlen(prefix) + sizeof(FOLDER_SUFFIX);
    if (place[0] != '/' || length + rest > FOLDER_PATH_MAX) {
        return wr_error_set(error, WEIR_ERR_INVALID,
                            "'%s' is not an absolute path of at most %zu bytes", place,
                            FOLDER_PATH_MAX - rest);
    }
    char *name = malloc(FOLDER_PATH_MAX);
    if (name == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for the path of a folder");
    }
    (void)snprintf(name, FOLDER_PATH_MAX, "%.*s/%s" FOLDER_SUFFIX, (int)length, place, prefix);
    if (mkdtemp(name) == NULL) {
        weir_err err =
            wr_os_error_set(error, errno, "cannot make a folder in '%.*s'", (int)length, place);
        free(name);
        return err;
    }
    *path = name;
    return WEIR_OK;
}

weir_err wr_folder_create_private(const char *prefix, char **path, wr_error *error)
{
    static const char *const variables[] = {"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *place = getenv(variables[i]);
        if (place != NULL && create_below(place, prefix, path, NULL) == WEIR_OK) {
            return WEIR_OK;
        }
    }
    return create_below("/tmp", prefix, path, error);
}
