/* SPDX-License-Identifier: MIT
 *
 * Sandboxes: made in the parent, entered in the child step by step (contract in
 * platform/sandbox.h).
 */
#define _DEFAULT_SOURCE /* not _GNU_SOURCE: with it, setrlimit takes no int */
#include "sandbox_os.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/user.h"

/* Not glibc's wrappers: those signal all threads that the parent had, and wait for its locks. */
#ifdef SYS_setresuid32
#define SET_USER SYS_setresuid32
#define SET_GROUP SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_USER SYS_setresuid
#define SET_GROUP SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

static const int resources[WR_LIMIT_COUNT] = {
    /* Address space, as it is the only limit that counts shared mappings, too. */
    [WR_LIMIT_MEMORY] = RLIMIT_AS,    [WR_LIMIT_CPU] = RLIMIT_CPU,
    [WR_LIMIT_FILES] = RLIMIT_NOFILE, [WR_LIMIT_PROCESSES] = RLIMIT_NPROC,
    [WR_LIMIT_CORE] = RLIMIT_CORE,    [WR_LIMIT_FILE_SIZE] = RLIMIT_FSIZE,
};

void wr_sandbox_lacks(wr_buffer *missing, const char *what)
{
    wr_buffer_append_text(missing, missing->size > 0 ? "; " : "");
    wr_buffer_append_text(missing, what);
}

static void note_limits(const wr_sandbox_options *options, wr_buffer *missing)
{
    uint32_t user = options->change_user ? options->user : wr_user_self();
    if (options->limits[WR_LIMIT_PROCESSES] != WR_LIMIT_INHERITED && user == WR_USER_ROOT) {
        wr_sandbox_lacks(missing, "the number of processes (root has no such limit)");
    }
}

weir_err wr_sandbox_create(const wr_sandbox_options *options, wr_sandbox **out, wr_error *error)
{
    wr_sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (sandbox == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a sandbox");
    }
    memcpy(sandbox->limits, options->limits, sizeof(sandbox->limits));
    sandbox->change_user = options->change_user;
    sandbox->user = options->user;
    sandbox->group = options->group;
    sandbox->ruleset = WR_FD_NONE;
    note_limits(options, &sandbox->missing);
    weir_err err = wr_paths_create(options, &sandbox->ruleset, &sandbox->missing, error);
    if (err == WEIR_OK) {
        err = wr_filter_create(options, &sandbox->filter, error);
    }
    if (err == WEIR_OK && sandbox->missing.failed) {
        err = wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a sandbox");
    }
    if (err != WEIR_OK) {
        wr_sandbox_destroy(sandbox);
        return err;
    }
    *out = sandbox;
    return WEIR_OK;
}

const char *wr_sandbox_missing(const wr_sandbox *sandbox)
{
    return sandbox->missing.size == 0 ? "" : sandbox->missing.data;
}

void wr_sandbox_destroy(wr_sandbox *sandbox)
{
    if (sandbox == NULL) {
        return;
    }
    if (sandbox->ruleset != WR_FD_NONE) {
        close(sandbox->ruleset);
    }
    free(sandbox->filter.filter);
    wr_buffer_deinit(&sandbox->missing);
    free(sandbox);
}

/* ---- in the child ---- */

/* For processor time the system first asks (SIGXCPU, which may be ignored), then kills. */
static bool set_limit(wr_limit limit, uint64_t value)
{
    struct rlimit now;
    if (getrlimit(resources[limit], &now) != 0) {
        return false;
    }
    rlim_t soft = value;
    rlim_t hard = limit == WR_LIMIT_CPU ? soft + 1 : soft;
    now.rlim_max = hard < now.rlim_max ? hard : now.rlim_max;
    now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
    return setrlimit(resources[limit], &now) == 0;
}

bool wr_sandbox_set_limits(const wr_sandbox *sandbox)
{
    for (unsigned i = 0; i < WR_LIMIT_COUNT; i++) {
        if (sandbox->limits[i] != WR_LIMIT_INHERITED &&
            !set_limit((wr_limit)i, sandbox->limits[i])) {
            return false;
        }
    }
    return true;
}

bool wr_sandbox_set_user(const wr_sandbox *sandbox)
{
    if (!sandbox->change_user) {
        return true;
    }
    unsigned user = sandbox->user;
    unsigned group = sandbox->group;
    return syscall(SET_GROUPS, 0, NULL) == 0 && syscall(SET_GROUP, group, group, group) == 0 &&
           syscall(SET_USER, user, user, user) == 0;
}

bool wr_sandbox_drop_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &header, none) == 0;
}

bool wr_sandbox_confine(const wr_sandbox *sandbox)
{
    return sandbox->ruleset == WR_FD_NONE ||
           syscall(SYS_landlock_restrict_self, sandbox->ruleset, 0) == 0;
}

bool wr_sandbox_filter(const wr_sandbox *sandbox)
{
    return sandbox->filter.len == 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &sandbox->filter, 0, 0) == 0;
}
