/* SPDX-License-Identifier: MIT
 *
 * A module that tries what it should not. Its args, a JSON string, are attempts with spaces
 * between, each NAME or NAME:ARGUMENT. When it is started it makes them one after the other and
 * publishes for each how it went: "NAME done", or "NAME" and why it failed, the name of an errno.
 * At the end it publishes "end".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/module.h"

#define CHUNK (16u << 20) /* bytes taken at once */
#define CHUNKS_MAX 128u
#define FILES_MAX 5000u
#define PROCESSES_MAX 300u
#define OUTPUT_MAX 256u

typedef struct hostile {
    weir_host *host;
    char attempts[4096];
} hostile;

/* Each returns 0 when it got what it should not, or an errno. */
typedef int (*attempt_fn)(const char *argument);

static int result_of(long value)
{
    return value < 0 ? errno : 0;
}

static int take_memory(int flags)
{
    void *chunks[CHUNKS_MAX];
    size_t count = 0;
    int number = 0;
    while (count < CHUNKS_MAX && number == 0) {
        chunks[count] = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        number = chunks[count] == MAP_FAILED ? errno : 0;
        count += number == 0;
    }
    for (size_t i = 0; i < count; i++) {
        munmap(chunks[i], CHUNK);
    }
    return number;
}

static int try_memory(const char *argument)
{
    (void)argument;
    return take_memory(MAP_PRIVATE);
}

static int try_shared_memory(const char *argument)
{
    (void)argument;
    return take_memory(MAP_SHARED);
}

static int try_cpu(const char *argument)
{
    (void)argument;
    for (volatile unsigned i = 0;; i++) {
    }
    return 0;
}

static int try_files(const char *argument)
{
    (void)argument;
    static int fds[FILES_MAX];
    size_t count = 0;
    int number = 0;
    while (count < FILES_MAX && number == 0) {
        fds[count] = dup(STDIN_FILENO);
        number = result_of(fds[count]);
        count += number == 0;
    }
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    return number;
}

/* The children live until the pipe's writing end is closed. */
static int try_processes(const char *argument)
{
    (void)argument;
    int ends[2];
    if (pipe(ends) != 0) {
        return errno;
    }
    int number = 0;
    size_t count = 0;
    while (count < PROCESSES_MAX && number == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            char none;
            close(ends[1]);
            _exit(read(ends[0], &none, 1) == 0 ? 0 : 1);
        }
        number = result_of(pid);
        count += number == 0;
    }
    close(ends[0]);
    close(ends[1]);
    for (size_t i = 0; i < count; i++) {
        (void)wait(NULL);
    }
    return number;
}

static int try_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int try_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int try_truncate(const char *path)
{
    return result_of(truncate(path, 0));
}

static int try_remove(const char *path)
{
    return result_of(unlink(path));
}

static int try_list(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int try_long_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    signal(SIGXFSZ, SIG_IGN);
    char block[4096] = {0};
    long written = 1;
    for (unsigned i = 0; i < 1024 && written > 0; i++) {
        written = write(fd, block, sizeof(block));
    }
    int number = result_of(written);
    close(fd);
    return number;
}

/* Run a program that prints the id of its user; it is the attempt's success if that is root. */
static int try_set_user_program(const char *path)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return errno;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(path, path, "-u", (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    char text[OUTPUT_MAX] = "";
    ssize_t got = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    (void)waitpid(pid, NULL, 0);
    return got > 0 && strcmp(text, "0\n") == 0 ? 0 : EPERM;
}

static int try_become_root(const char *argument)
{
    (void)argument;
    return result_of(syscall(SYS_setresuid, 0, 0, 0));
}

static int try_socket(const char *family)
{
    int fd = socket((int)strtol(family, NULL, 10), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int number = result_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
    close(fd);
    return number;
}

static pid_t process_of(const char *argument)
{
    return argument[0] == '\0' ? getppid() : (pid_t)strtol(argument, NULL, 10);
}

static int try_kill(const char *argument)
{
    return result_of(kill(process_of(argument), SIGKILL));
}

static int try_debug(const char *argument)
{
    return result_of(ptrace(PTRACE_SEIZE, process_of(argument), NULL, NULL));
}

static int try_read_memory(const char *argument)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)process_of(argument));
    return try_read(path);
}

static int try_copy_memory(const char *argument)
{
    char byte;
    struct iovec local = {&byte, 1};
    struct iovec remote = {(void *)(uintptr_t)&environ, 1};
    return result_of(process_vm_readv(process_of(argument), &local, 1, &remote, 1, 0));
}

static int try_limit_other(const char *argument)
{
    struct rlimit none = {0, 0};
    return result_of(prlimit(process_of(argument), RLIMIT_CORE, &none, NULL));
}

static int try_pin_other(const char *argument)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return result_of(sched_setaffinity(process_of(argument), sizeof(one), &one));
}

static const struct {
    const char *name;
    long number;
} calls[] = {
    {"acct", SYS_acct},
    {"add_key", SYS_add_key},
    {"bpf", SYS_bpf},
    {"chroot", SYS_chroot},
    {"clone3", SYS_clone3},
    {"fsopen", SYS_fsopen},
    {"init_module", SYS_init_module},
    {"io_uring_setup", SYS_io_uring_setup},
    {"kexec_load", SYS_kexec_load},
    {"keyctl", SYS_keyctl},
    {"memfd_create", SYS_memfd_create},
    {"mount", SYS_mount},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"perf_event_open", SYS_perf_event_open},
    {"pivot_root", SYS_pivot_root},
    {"process_vm_writev", SYS_process_vm_writev},
    {"ptrace", SYS_ptrace},
    {"reboot", SYS_reboot},
    {"setns", SYS_setns},
    {"shmget", SYS_shmget},
    {"swapon", SYS_swapon},
    {"umount2", SYS_umount2},
    {"unshare", SYS_unshare},
    {"userfaultfd", SYS_userfaultfd},
};

/* A system call with arguments that do no harm, should it be made. */
static int try_call(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0) {
            return result_of(syscall(calls[i].number, 0, 0, 0, 0, 0, 0));
        }
    }
    return ENOENT;
}

static const struct {
    const char *name;
    attempt_fn make;
} attempts[] = {
    {"memory", try_memory},
    {"shared.memory", try_shared_memory},
    {"cpu", try_cpu},
    {"files", try_files},
    {"processes", try_processes},
    {"read", try_read},
    {"write", try_write},
    {"truncate", try_truncate},
    {"remove", try_remove},
    {"list", try_list},
    {"long.file", try_long_file},
    {"set.user.program", try_set_user_program},
    {"become.root", try_become_root},
    {"socket", try_socket},
    {"connect", try_connect},
    {"kill", try_kill},
    {"debug", try_debug},
    {"read.memory", try_read_memory},
    {"copy.memory", try_copy_memory},
    {"limit.other", try_limit_other},
    {"pin.other", try_pin_other},
    {"call", try_call},
};

static void tell(weir_host *host, const char *text)
{
    weir_message *msg = NULL;
    if (weir_message_new(NULL, 0, text, strlen(text), &msg) != WEIR_OK ||
        weir_publish(host, msg) != WEIR_OK) {
        weir_log(host, WEIR_LOG_ERROR, "cannot tell: %s", text);
    }
    weir_message_unref(msg);
}

static void make_attempt(weir_host *host, char *attempt)
{
    char text[512];
    char *argument = strchr(attempt, ':');
    size_t length = argument == NULL ? strlen(attempt) : (size_t)(argument - attempt);
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        if (strlen(attempts[i].name) == length && strncmp(attempt, attempts[i].name, length) == 0) {
            int number = attempts[i].make(argument == NULL ? "" : argument + 1);
            (void)snprintf(text, sizeof(text), "%s %s", attempt,
                           number == 0 ? "done" : strerrorname_np(number));
            tell(host, text);
            return;
        }
    }
    weir_log(host, WEIR_LOG_ERROR, "there is no attempt '%s'", attempt);
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    hostile *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    if (sscanf(args, "\"%4095[^\"]\"", made->attempts) != 1) {
        free(made);
        return weir_fail(host, WEIR_ERR_INVALID, "args: expected a string, found %s", args);
    }
    *self = made;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    hostile *self = arg;
    char *rest = NULL;
    for (char *attempt = strtok_r(self->attempts, " ", &rest); attempt != NULL;
         attempt = strtok_r(NULL, " ", &rest)) {
        make_attempt(self->host, attempt);
    }
    tell(self->host, "end");
    return WEIR_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "hostile",
    .summary = "tries what it should not",
    .create = create,
    .start = start,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
