/* SPDX-License-Identifier: MIT
 *
 * Private folders by POSIX (contract in folder.h).
 */
#define _GNU_SOURCE
#include "platform/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "os_error.h"

weir_err wr_folder_make(const char *path, wr_error *error)
{
    if (mkdir(path, S_IRWXU) != 0) {
        return wr_os_error_set(error, errno, "cannot make the folder '%s'", path);
    }
    return WEIR_OK;
}

weir_err wr_folder_ensure(const char *path, wr_error *error)
{
    struct stat what;
    weir_err err = wr_folder_make(path, error);
    if (err != WEIR_ERR_EXISTS) {
        return err;
    }
    if (stat(path, &what) != 0) {
        return wr_os_error_set(error, errno, "cannot inspect '%s'", path);
    }
    if (!S_ISDIR(what.st_mode)) {
        return wr_error_set(error, WEIR_ERR_INVALID, "'%s' is not a folder", path);
    }
    if (what.st_uid != geteuid()) {
        return wr_error_set(error, WEIR_ERR_DENIED,
                            "the folder '%s' belongs to user %ld, not to this one", path,
                            (long)what.st_uid);
    }
    return WEIR_OK;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

weir_err wr_folder_each(const char *path, void (*visit)(void *arg, const char *name), void *arg,
                        wr_error *error)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return wr_os_error_set(error, errno, "cannot look into '%s'", path);
    }
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (!is_dots(entry->d_name)) {
            visit(arg, entry->d_name);
        }
    }
    closedir(folder);
    return WEIR_OK;
}

weir_err wr_folder_remove(const char *path, wr_error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        int number = errno;
        if (fd >= 0) {
            close(fd);
        }
        return wr_os_error_set(error, number, "cannot remove the folder '%s'", path);
    }
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (!is_dots(entry->d_name)) {
            (void)unlinkat(fd, entry->d_name, 0); /* if that fails, so does what follows */
        }
    }
    closedir(folder);
    if (rmdir(path) != 0) {
        return wr_os_error_set(error, errno, "cannot remove the folder '%s'", path);
    }
    return WEIR_OK;
}

weir_err wr_file_create(const char *path, FILE **out, wr_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return wr_os_error_set(error, errno, "cannot make the file '%s'", path);
    }
    FILE *file = fdopen(fd, "wb");
    if (file == NULL) {
        close(fd);
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory to write '%s'", path);
    }
    *out = file;
    return WEIR_OK;
}

char *wr_path_absolute(const char *path)
{
    if (path[0] == '/') {
        return wr_text_copy(path);
    }
    char *here = getcwd(NULL, 0); /* on the heap */
    if (here == NULL || strcmp(path, ".") == 0) {
        return here;
    }
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_printf(&text, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
    free(here);
    return wr_buffer_take(&text);
}
