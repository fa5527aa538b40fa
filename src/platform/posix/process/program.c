/* SPDX-License-Identifier: MIT
 *
 * Find a program as a shell would, and merge environments. Runs before the fork.
 */
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "os_error.h"
#include "platform/process.h"

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

extern char **environ;

/* `folder` / `name`, absolute. NULL and errno on failure. */
static char *join_absolute(const char *folder, size_t folder_length, const char *name)
{
    wr_buffer path = WR_BUFFER_INIT;
    if (folder_length == 0 || folder[0] != '/') {
        char *here = getcwd(NULL, 0);
        if (here == NULL) {
            return NULL;
        }
        wr_buffer_append_text(&path, here);
        wr_buffer_append_text(&path, "/");
        free(here);
    }
    if (folder_length > 0) {
        wr_buffer_append(&path, folder, folder_length);
        wr_buffer_append_text(&path, "/");
    }
    wr_buffer_append_text(&path, name);
    errno = ENOMEM;
    return wr_buffer_take(&path);
}

/* OK, NOT_FOUND, or DENIED: a file that may not be run. */
static weir_err try_program(const char *path)
{
    struct stat what;
    if (stat(path, &what) != 0 || !S_ISREG(what.st_mode)) {
        return WEIR_ERR_NOT_FOUND;
    }
    return access(path, X_OK) == 0 ? WEIR_OK : WEIR_ERR_DENIED;
}

static weir_err path_failed(const char *name, wr_error *error)
{
    return wr_os_error_set(error, errno, "cannot make the path of the program '%s'", name);
}

static weir_err search_path(const char *name, char **path, wr_error *error)
{
    const char *set = getenv("PATH");
    const char *folders = set != NULL ? set : PATH_DEFAULT;
    bool denied = false;
    for (const char *at = folders;; at++) {
        size_t length = strcspn(at, ":");
        char *candidate = join_absolute(at, length, name);
        if (candidate == NULL) {
            return path_failed(name, error);
        }
        weir_err err = try_program(candidate);
        if (err == WEIR_OK) {
            *path = candidate;
            return WEIR_OK;
        }
        denied = denied || err == WEIR_ERR_DENIED;
        free(candidate);
        at += length;
        if (*at == '\0') {
            break;
        }
    }
    if (denied) {
        return wr_error_set(error, WEIR_ERR_DENIED,
                            "the program '%s' was found in PATH but may not be run", name);
    }
    return wr_error_set(error, WEIR_ERR_NOT_FOUND, "there is no program '%s' in PATH (%s)", name,
                        folders);
}

weir_err wr_program_find(const char *name, char **path, wr_error *error)
{
    if (name[0] == '\0') {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND, "the program's path is empty");
    }
    if (strchr(name, '/') == NULL) {
        return search_path(name, path, error);
    }
    char *absolute = name[0] == '/' ? strdup(name) : join_absolute("", 0, name);
    if (absolute == NULL) {
        return path_failed(name, error);
    }
    *path = absolute;
    return WEIR_OK;
}

weir_err wr_process_find_program(const char *name, wr_error *error)
{
    char *path = NULL;
    weir_err err = wr_program_find(name, &path, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = try_program(path);
    free(path);
    if (err == WEIR_ERR_DENIED) {
        return wr_error_set(error, err, "the program '%s' may not be run", name);
    }
    return err == WEIR_OK ? err : wr_error_set(error, err, "there is no program '%s'", name);
}

static size_t list_length(const char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL) {
        count++;
    }
    return count;
}

static bool same_name(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strncmp(a, b, length) == 0 && (b[length] == '=' || b[length] == '\0');
}

/* Put `entry` in the place of the one of the same name, or at the end; returns the new count. */
static size_t put_entry(char **list, size_t count, const char *entry)
{
    size_t at = 0;
    while (at < count && !same_name(entry, list[at])) {
        at++;
    }
    list[at] = (char *)entry; /* execve writes to none of them */
    return at < count ? count : count + 1;
}

char **wr_environment_with(const char *const *additions)
{
    size_t inherited = list_length((const char *const *)environ);
    size_t added = list_length(additions);
    char **list = calloc(inherited + added + 1, sizeof(*list));
    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < inherited; i++) {
        list[i] = environ[i];
    }
    size_t count = inherited;
    for (size_t i = 0; i < added; i++) {
        count = put_entry(list, count, additions[i]);
    }
    return list;
}
