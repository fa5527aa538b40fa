/* SPDX-License-Identifier: MIT
 *
 * Which files a process in a sandbox may touch, as rules of Landlock. Rules can only allow: what a
 * ruleset handles and no rule allows is denied. Kernels know more or less of it; the version is
 * asked, and what is missing is said.
 *
 * Every ruleset also keeps signals and debuggers inside the sandbox. (The kernel does the latter
 * for any ruleset.)
 */
#define _GNU_SOURCE
#include "sandbox_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os_error.h"
#include "program.h"

/* What the kernel calls them, as headers may be older than it. */
#define FS_REFER (UINT64_C(1) << 13)             /* version 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)          /* version 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)         /* version 5 */
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0) /* version 6 */
#define SCOPE_SIGNAL (UINT64_C(1) << 1)          /* version 6 */
#define FS_VERSION_1 (FS_REFER - 1)

enum { VERSION_REFER = 2, VERSION_TRUNCATE = 3, VERSION_IOCTL_DEV = 5, VERSION_SCOPE = 6 };

/* As of version 6; the kernel takes the size that it knows. */
typedef struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* the filter of system calls does that, for all protocols */
    uint64_t scoped;
} ruleset_attr;

#define FS_READ                                                                                    \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_SOCKETS                                                                                 \
    (LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* What a rule for something that is no folder may say. */
#define FS_OF_A_FILE                                                                               \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FS_TRUNCATE | FS_IOCTL_DEV)

/* What any program needs to begin at all; where something is missing, no program misses it. */
static const char *const system_read[] = {
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    NULL,
};
static const char *const system_write[] = {"/dev/null", NULL};

static int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

/* All that this version of Landlock can take away. */
static uint64_t known_rights(int version)
{
    uint64_t rights = FS_VERSION_1;
    rights |= version >= VERSION_REFER ? FS_REFER : 0;
    rights |= version >= VERSION_TRUNCATE ? FS_TRUNCATE : 0;
    rights |= version >= VERSION_IOCTL_DEV ? FS_IOCTL_DEV : 0;
    return rights;
}

/* Without "confine", one right that nobody in a sandbox has, since a ruleset must not be empty. */
static int create_ruleset(int version, bool confine)
{
    ruleset_attr attr = {
        .handled_access_fs = confine ? known_rights(version) : LANDLOCK_ACCESS_FS_MAKE_BLOCK,
        .scoped = version >= VERSION_SCOPE ? SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL : 0,
    };
    size_t size = version >= VERSION_SCOPE ? sizeof(attr) : sizeof(attr.handled_access_fs);
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static bool add_rule(int ruleset, int fd, uint64_t rights)
{
    struct stat what;
    if (fstat(fd, &what) != 0) {
        return false;
    }
    struct landlock_path_beneath_attr attr = {
        .allowed_access = S_ISDIR(what.st_mode) ? rights : rights & FS_OF_A_FILE,
        .parent_fd = fd,
    };
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) == 0;
}

/* 0, or an errno. */
static int allow(int ruleset, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int number = add_rule(ruleset, fd, rights) ? 0 : errno;
    close(fd);
    return number;
}

static weir_err allow_all(int ruleset, const char *const *paths, uint64_t rights, bool must_exist,
                          wr_error *error)
{
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++) {
        int number = allow(ruleset, paths[i], rights);
        if (number != 0 && (must_exist || number != ENOENT)) {
            return wr_os_error_set(error, number, "cannot let the sandbox have '%s'", paths[i]);
        }
    }
    return WEIR_OK;
}

/* Where there is none, launching it says so. */
static weir_err allow_program(int ruleset, const char *name, wr_error *error)
{
    char *path = NULL;
    weir_err err = wr_program_find(name, &path, error);
    if (err != WEIR_OK) {
        return err;
    }
    const char *const paths[] = {path, NULL};
    err = allow_all(ruleset, paths, FS_READ, false, error);
    free(path);
    return err;
}

static weir_err add_rules(const wr_sandbox_options *options, int version, int ruleset,
                          wr_error *error)
{
    uint64_t all = known_rights(version);
    weir_err err = allow_all(ruleset, system_read, FS_READ, false, error);
    if (err == WEIR_OK) {
        err = allow_all(ruleset, system_write, all & ~LANDLOCK_ACCESS_FS_EXECUTE, false, error);
    }
    if (err == WEIR_OK) {
        err = allow_all(ruleset, options->read, FS_READ, true, error);
    }
    if (err == WEIR_OK && options->program != NULL) {
        err = allow_program(ruleset, options->program, error);
    }
    if (err == WEIR_OK) {
        err = allow_all(ruleset, options->write, all, true, error);
    }
    return err == WEIR_OK ? allow_all(ruleset, options->sockets, FS_SOCKETS, true, error) : err;
}

static void note_missing(const wr_sandbox_options *options, int version, wr_buffer *missing)
{
    if (options->confine && version == 0) {
        wr_sandbox_lacks(missing, "paths (this kernel has no Landlock)");
    } else if (options->confine && version < VERSION_TRUNCATE) {
        wr_sandbox_lacks(missing, "that files outside of its paths are not truncated (Landlock "
                                  "version 3)");
    }
    if (!options->change_user && version < VERSION_SCOPE) {
        wr_sandbox_lacks(missing, "that it sends no signals to other processes of its user "
                                  "(Landlock version 6; or give it a user of its own)");
    }
}

weir_err wr_paths_create(const wr_sandbox_options *options, int *ruleset, wr_buffer *missing,
                         wr_error *error)
{
    int version = landlock_version();
    note_missing(options, version, missing);
    if (version == 0) {
        return WEIR_OK;
    }
    int fd = create_ruleset(version, options->confine);
    if (fd < 0) {
        return wr_os_error_set(error, errno, "cannot make the sandbox's rules for files");
    }
    weir_err err = options->confine ? add_rules(options, version, fd, error) : WEIR_OK;
    if (err != WEIR_OK) {
        close(fd);
        return err;
    }
    *ruleset = fd;
    return WEIR_OK;
}
