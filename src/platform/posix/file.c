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
#include "platform/user.h"

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

/* Where run-time files go: variables of the environment, and then LAST_PLACE. */
static const char *const places[] = {"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"};
#define PLACES (sizeof(places) / sizeof(places[0]))
#define LAST_PLACE "/tmp"

weir_err wr_folder_create_private(const char *prefix, char **path, wr_error *error)
{
    for (size_t i = 0; i < PLACES; i++) {
        const char *place = getenv(places[i]);
        if (place != NULL && create_below(place, prefix, path, NULL) == WEIR_OK) {
            return WEIR_OK;
        }
    }
    return create_below(LAST_PLACE, prefix, path, error);
}

/* May this user pass through the folder? (By its access rights; there may be more to it.) */
static bool may_pass(const char *folder, uint32_t user, uint32_t group)
{
    struct stat what;
    if (stat(folder, &what) != 0 || !S_ISDIR(what.st_mode)) {
        return false;
    }
    if (user == WR_USER_ROOT) {
        return true;
    }
    if (what.st_uid == user) {
        return (what.st_mode & S_IXUSR) != 0;
    }
    return (what.st_mode & (what.st_gid == group ? S_IXGRP : S_IXOTH)) != 0;
}

/* May this user pass through the folder and all above it? */
static bool may_reach(const char *place, uint32_t user, uint32_t group)
{
    char *path = realpath(place, NULL);
    bool may = path != NULL && may_pass("/", user, group);
    for (char *at = path; may && at != NULL;) {
        char *end = strchr(at + 1, '/');
        size_t length = end == NULL ? strlen(path) : (size_t)(end - path);
        char kept = path[length];
        path[length] = '\0';
        may = may_pass(path, user, group);
        path[length] = kept;
        at = end;
    }
    free(path);
    return may;
}

static weir_err create_reachable(const char *prefix, uint32_t user, uint32_t group, char **path,
                                 wr_error *error)
{
    for (size_t i = 0; i < PLACES; i++) {
        const char *place = getenv(places[i]);
        if (place != NULL && may_reach(place, user, group) &&
            create_below(place, prefix, path, NULL) == WEIR_OK) {
            return WEIR_OK;
        }
    }
    if (!may_reach(LAST_PLACE, user, group)) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND,
                            "there is no place for sockets that the user %u can reach (of "
                            "RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, TMPDIR and " LAST_PLACE ")",
                            user);
    }
    return create_below(LAST_PLACE, prefix, path, error);
}

/* The user's own folder in the one at `path`. False, and errno: it failed. */
static bool create_own(const char *path, uint32_t user, uint32_t group)
{
    char own[FOLDER_PATH_MAX + sizeof("/" WR_FOLDER_OF_USER)];
    (void)snprintf(own, sizeof(own), "%s/" WR_FOLDER_OF_USER, path);
    if (mkdir(own, S_IRWXU) != 0) {
        return false;
    }
    if (chown(own, user, group) != 0 || chmod(path, S_IRWXU | S_IXGRP | S_IXOTH) != 0) {
        int number = errno;
        (void)rmdir(own);
        errno = number;
        return false;
    }
    return true;
}

weir_err wr_folder_create_for(const char *prefix, uint32_t user, uint32_t group, char **path,
                              wr_error *error)
{
    char *made = NULL;
    weir_err err = create_reachable(prefix, user, group, &made, error);
    if (err != WEIR_OK) {
        return err;
    }
    if (!create_own(made, user, group)) {
        err = wr_os_error_set(error, errno, "cannot make a folder in '%s' for the user %u", made,
                              user);
        (void)rmdir(made);
        free(made);
        return err;
    }
    *path = made;
    return WEIR_OK;
}
