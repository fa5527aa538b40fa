/* SPDX-License-Identifier: MIT
 *
 * Which system calls a process in a sandbox may make, as a filter of seccomp. What is not listed
 * fails as if the kernel did not have it (ENOSYS), so that programs take another way; what is only
 * of use to get out fails with EPERM.
 *
 * Left out on purpose are calls that reach other processes of the same user (ptrace,
 * process_vm_*, prlimit64 and sched_set* with another's id), that make what outlives the process
 * (System V IPC, POSIX message queues), that get around its memory limit (memfd_create), that make
 * system calls unseen (io_uring), that open new name spaces (clone3, whose flags a filter cannot
 * see; C libraries fall back on clone), that leave its process group, and what needs privileges.
 */
#define _GNU_SOURCE
#include "sandbox_os.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os_error.h"

/* By what they are about. Names that this machine does not have are passed over. */
static const char *const allowed[] = {
    /* memory */
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock",
    "mlock2", "mlockall", "munlock", "munlockall", "membarrier", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "arch_prctl", "cacheflush", "riscv_flush_icache", "set_tls", "get_tls",
    /* threads, and waiting for each other */
    "futex", "futex_time64", "futex_waitv", "get_robust_list", "set_robust_list", "set_tid_address",
    "gettid", "rseq", "sched_yield", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "sched_rr_get_interval", "sched_rr_get_interval_time64", "getcpu", "restart_syscall",
    /* processes */
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid",
    "getpid", "getppid", "getpgid", "getpgrp", "getsid", "getpriority", "getrusage", "times",
    "getrlimit", "ugetrlimit", "setrlimit", "prctl", "pidfd_open", "seccomp",
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    /* signals */
    "kill", "tkill", "tgkill", "pidfd_send_signal", "pause", "sigaltstack", "signal", "sigaction",
    "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "signalfd", "signalfd4", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    /* users and the system: to ask */
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getuid32",
    "geteuid32", "getgid32", "getegid32", "getresuid32", "getresgid32", "getgroups32", "capget",
    "capset", "uname", "sysinfo", "getrandom",
    /* time */
    "time", "gettimeofday", "clock_gettime", "clock_gettime64", "clock_getres",
    "clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "alarm",
    "getitimer", "setitimer", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
    /* descriptors */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "lseek", "_llseek", "sendfile", "sendfile64", "splice", "tee", "copy_file_range",
    "readahead", "fadvise64", "fadvise64_64", "arm_fadvise64_64", "close", "close_range", "dup",
    "dup2", "dup3", "fcntl", "fcntl64", "ioctl", "flock", "pipe", "pipe2", "eventfd", "eventfd2",
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait", "epoll_wait_old",
    "epoll_pwait", "epoll_pwait2", "inotify_init", "inotify_init1", "inotify_add_watch",
    "inotify_rm_watch", "io_setup", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
    "io_pgetevents_time64", "io_destroy",
    /* files */
    "open", "openat", "openat2", "creat", "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64",
    "fstatat64", "newfstatat", "statx", "oldstat", "oldlstat", "oldfstat", "statfs", "statfs64",
    "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
    "getdents", "getdents64", "getcwd", "chdir", "fchdir", "mkdir", "mkdirat", "mknod", "mknodat",
    "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink",
    "unlinkat", "truncate", "truncate64", "ftruncate", "ftruncate64", "fallocate", "fsync",
    "fdatasync", "sync_file_range", "sync_file_range2", "syncfs", "sync", "chmod", "fchmod",
    "fchmodat", "fchmodat2", "chown", "chown32", "fchown", "fchown32", "lchown", "lchown32",
    "fchownat", "umask", "utime", "utimes", "futimesat", "utimensat", "utimensat_time64",
    "getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr", "listxattr",
    "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr", "name_to_handle_at",
    /* sockets; which kinds are made is below */
    "socketpair", "bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname",
    "getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv",
    "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", NULL};

/* Only of use to get out, or to others' harm. */
static const char *const forbidden[] = {"acct",
                                        "add_key",
                                        "adjtimex",
                                        "bpf",
                                        "chroot",
                                        "clock_adjtime",
                                        "clock_settime",
                                        "create_module",
                                        "delete_module",
                                        "fanotify_init",
                                        "finit_module",
                                        "fsmount",
                                        "fsopen",
                                        "init_module",
                                        "ioperm",
                                        "iopl",
                                        "io_uring_setup",
                                        "kcmp",
                                        "kexec_file_load",
                                        "kexec_load",
                                        "keyctl",
                                        "lookup_dcookie",
                                        "mbind",
                                        "memfd_create",
                                        "migrate_pages",
                                        "mount",
                                        "mount_setattr",
                                        "move_mount",
                                        "move_pages",
                                        "mq_open",
                                        "msgget",
                                        "open_by_handle_at",
                                        "open_tree",
                                        "perf_event_open",
                                        "pidfd_getfd",
                                        "pivot_root",
                                        "process_madvise",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "ptrace",
                                        "quotactl",
                                        "reboot",
                                        "request_key",
                                        "sched_setaffinity",
                                        "sched_setattr",
                                        "sched_setparam",
                                        "sched_setscheduler",
                                        "semget",
                                        "setdomainname",
                                        "setgid",
                                        "setgroups",
                                        "sethostname",
                                        "setns",
                                        "setpgid",
                                        "setpriority",
                                        "setregid",
                                        "setresgid",
                                        "setresuid",
                                        "setreuid",
                                        "setsid",
                                        "settimeofday",
                                        "setuid",
                                        "shmget",
                                        "swapoff",
                                        "swapon",
                                        "syslog",
                                        "umount",
                                        "umount2",
                                        "unshare",
                                        "userfaultfd",
                                        "vhangup",
                                        NULL};

#define DENY SCMP_ACT_ERRNO(EPERM)
#define DENY_SOCKET SCMP_ACT_ERRNO(EACCES)

#define NAME_SPACES                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

/* What personality(2) is asked to do by ordinary programs: tell, and undo. */
static const uint32_t personalities[] = {0xffffffff, 0x0, 0x40000};

/* Each 0, or a negative errno, as of the library. */

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names)
{
    int result = 0;
    for (size_t i = 0; names[i] != NULL && result == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number >= 0) {
            result = seccomp_rule_add_array(filter, action, number, 0, NULL);
        }
    }
    return result;
}

/* Do it where one argument is as compared. */
static int add_compared(scmp_filter_ctx filter, uint32_t action, int number,
                        struct scmp_arg_cmp compared)
{
    return number < 0 ? 0 : seccomp_rule_add_array(filter, action, number, 1, &compared);
}

static int allow_own_limits(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp itself = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0};
    return add_compared(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), itself);
}

static int allow_threads(scmp_filter_ctx filter)
{
#ifdef __s390__
    unsigned flags = 1;
#else
    unsigned flags = 0;
#endif
    struct scmp_arg_cmp none = {
        .arg = flags, .op = SCMP_CMP_MASKED_EQ, .datum_a = NAME_SPACES, .datum_b = 0};
    return add_compared(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), none);
}

static int allow_personalities(scmp_filter_ctx filter)
{
    int result = 0;
    for (size_t i = 0; i < sizeof(personalities) / sizeof(personalities[0]) && result == 0; i++) {
        struct scmp_arg_cmp that = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = personalities[i]};
        result = add_compared(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), that);
    }
    return result;
}

/* Local sockets are allowed already, where there is a list. */
static int add_sockets(scmp_filter_ctx filter, uint32_t action)
{
    struct scmp_arg_cmp other = {.arg = 0, .op = SCMP_CMP_NE, .datum_a = AF_UNIX};
    return add_compared(filter, action, SCMP_SYS(socket), other);
}

static int add_list(scmp_filter_ctx filter, bool network)
{
    struct scmp_arg_cmp local = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX};
    int result = add_names(filter, SCMP_ACT_ALLOW, allowed);
    if (result == 0) {
        result = add_names(filter, DENY, forbidden);
    }
    if (result == 0) {
        result = allow_own_limits(filter);
    }
    if (result == 0) {
        result = allow_threads(filter);
    }
    if (result == 0) {
        result = allow_personalities(filter);
    }
    if (result == 0) {
        result = add_compared(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), local);
    }
    return result == 0 ? add_sockets(filter, network ? SCMP_ACT_ALLOW : DENY_SOCKET) : result;
}

/* All system calls, but no way to a socket. */
static int add_no_network(scmp_filter_ctx filter)
{
    static const char *const ways[] = {"io_uring_setup", NULL};
    int result = add_names(filter, DENY, ways);
    return result == 0 ? add_sockets(filter, DENY_SOCKET) : result;
}

/* Read the instructions that the library writes to a descriptor only. 0, or an errno. */
static int read_program(int fd, struct sock_fprog *out)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || (uint64_t)size > BPF_MAXINSNS * sizeof(struct sock_filter)) {
        return size < 0 ? errno : EINVAL;
    }
    struct sock_filter *instructions = malloc((size_t)size);
    if (instructions == NULL) {
        return ENOMEM;
    }
    if (pread(fd, instructions, (size_t)size, 0) != size) {
        free(instructions);
        return EIO;
    }
    out->len = (unsigned short)((size_t)size / sizeof(*instructions));
    out->filter = instructions;
    return 0;
}

/* 0, or an errno. */
static int export_program(scmp_filter_ctx filter, struct sock_fprog *out)
{
    int fd = memfd_create("weir-sandbox", MFD_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int result = seccomp_export_bpf(filter, fd);
    int number = result == 0 ? read_program(fd, out) : -result;
    close(fd);
    return number;
}

/* 0, or an errno. */
static int build(scmp_filter_ctx filter, const wr_sandbox_options *options, struct sock_fprog *out)
{
    /* A tree instead of a chain: a few comparisons for each system call instead of hundreds. */
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result == 0) {
        result = options->filter ? add_list(filter, options->network) : add_no_network(filter);
    }
    return result == 0 ? export_program(filter, out) : -result;
}

weir_err wr_filter_create(const wr_sandbox_options *options, struct sock_fprog *out,
                          wr_error *error)
{
    if (!options->filter && options->network) {
        return WEIR_OK; /* there is nothing to filter */
    }
    scmp_filter_ctx filter =
        seccomp_init(options->filter ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
    if (filter == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for the filter of system calls");
    }
    int number = build(filter, options, out);
    seccomp_release(filter);
    if (number != 0) {
        return wr_os_error_set(error, number, "cannot make the filter of system calls");
    }
    return WEIR_OK;
}
