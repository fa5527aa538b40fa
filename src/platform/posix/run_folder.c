/* SPDX-License-Identifier: MIT
 *
 * Run folders: the lock is an flock on the folder itself, which ends with the process that holds
 * it, however that ends. Whoever can lock a run folder of this user may remove it.
 */
#define _GNU_SOURCE
#include "platform/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "os_error.h"
#include "platform/file.h"

#define PREFIX "weir-run"
/* Another run may take a folder that was made and is not locked yet for one left behind. */
#define ATTEMPTS 8u

struct wr_run_folder {
    char *path;
    char *own; /* the folder in it that is another user's; NULL: none */
    int fd;    /* of `path`; holds the lock */
};

/* Whose sockets they will be; NULL: this user's. */
typedef struct owner {
    uint32_t user, group;
} owner;

/* Sockets only: a folder of that name may be a person's own. */
static void remove_socket(int folder, const char *name)
{
    struct stat what;
    if (fstatat(folder, name, &what, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(what.st_mode)) {
        (void)unlinkat(folder, name, 0);
    }
}

static void remove_sockets(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (folder == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        remove_socket(fd, entry->d_name);
    }
    closedir(folder);
}

/* What is in a locked run folder: sockets, and another user's folder with such. */
static void remove_content(int fd)
{
    remove_sockets(fd);
    int own = openat(fd, WR_FOLDER_OF_USER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (own >= 0) {
        remove_sockets(own);
        close(own);
        (void)unlinkat(fd, WR_FOLDER_OF_USER, AT_REMOVEDIR);
    }
}

/* Is this a folder that a run of this user's left behind? Then it is locked by `fd` now. */
static bool lock_left_behind(int fd)
{
    struct stat what;
    return fstat(fd, &what) == 0 && what.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep_one(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (lock_left_behind(fd)) {
        remove_content(fd);
        (void)unlinkat(parent, name, AT_REMOVEDIR);
    }
    close(fd);
}

/* Remove what earlier runs left in the folder that holds `path`. */
static void sweep_beside(const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    char *place = strndup(path, length == 0 ? 1 : length);
    DIR *parent = place == NULL ? NULL : opendir(place);
    free(place);
    if (parent == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(parent)) != NULL) {
        if (strncmp(entry->d_name, PREFIX "-", sizeof(PREFIX)) == 0) {
            sweep_one(dirfd(parent), entry->d_name);
        }
    }
    closedir(parent);
}

/* Lock the folder at `path`. -1: somebody was faster, or errno says why. */
static int lock_new(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat there;
    struct stat locked;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 &&
        lstat(path, &there) == 0 && there.st_ino == locked.st_ino) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static weir_err create_folder(const owner *whose, char **path, wr_error *error)
{
    return whose == NULL ? wr_folder_create_private(PREFIX, path, error)
                         : wr_folder_create_for(PREFIX, whose->user, whose->group, path, error);
}

static weir_err set_own(wr_run_folder *folder, wr_error *error)
{
    wr_buffer own = WR_BUFFER_INIT;
    wr_buffer_printf(&own, "%s/" WR_FOLDER_OF_USER, folder->path);
    folder->own = wr_buffer_take(&own);
    return folder->own != NULL
               ? WEIR_OK
               : wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a folder's path");
}

static weir_err create_locked(wr_run_folder *folder, const owner *whose, wr_error *error)
{
    for (unsigned i = 0; i < ATTEMPTS && folder->fd < 0; i++) {
        free(folder->path);
        folder->path = NULL;
        weir_err err = create_folder(whose, &folder->path, error);
        if (err != WEIR_OK) {
            return err;
        }
        folder->fd = lock_new(folder->path);
    }
    if (folder->fd < 0) {
        wr_os_error_set(error, errno, "cannot lock the folder '%s'", folder->path);
        return WEIR_ERR_IO;
    }
    return whose == NULL ? WEIR_OK : set_own(folder, error);
}

static weir_err open_folder(const owner *whose, wr_run_folder **out, wr_error *error)
{
    wr_run_folder *folder = calloc(1, sizeof(*folder));
    if (folder == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a folder's path");
    }
    folder->fd = -1;
    weir_err err = create_locked(folder, whose, error);
    if (err != WEIR_OK) {
        wr_run_folder_close(folder);
        return err;
    }
    sweep_beside(folder->path);
    *out = folder;
    return WEIR_OK;
}

weir_err wr_run_folder_open(wr_run_folder **out, wr_error *error)
{
    return open_folder(NULL, out, error);
}

weir_err wr_run_folder_open_for(uint32_t user, uint32_t group, wr_run_folder **out, wr_error *error)
{
    return open_folder(&(owner){user, group}, out, error);
}

const char *wr_run_folder_path(const wr_run_folder *folder)
{
    return folder->own != NULL ? folder->own : folder->path;
}

void wr_run_folder_close(wr_run_folder *folder)
{
    if (folder == NULL) {
        return;
    }
    if (folder->fd >= 0) {
        remove_content(folder->fd);
        (void)rmdir(folder->path);
        close(folder->fd);
    }
    free(folder->own);
    free(folder->path);
    free(folder);
}
