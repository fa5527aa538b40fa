/* SPDX-License-Identifier: MIT
 *
 * Child processes, the parent's side. Invariant: a child's id is used only until it is reaped,
 * because the system may then give it to another process.
 */
#define _GNU_SOURCE
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os_error.h"
#include "program.h"
#include "stream_os.h"

#define FD_NONE (-1)
#define STDIO_COUNT 3
/* Many times what a child needs before exec. */
#define CHILD_STACK_SIZE 32768u

struct wr_process {
    pid_t pid;
    int exit_fd; /* a pidfd */
    wr_stream *output;
    bool reaped;
    wr_process_exit exit; /* once reaped */
};

/* The descriptors of a spawn under way, each FD_NONE or open. */
typedef struct spawn_fds {
    int input;
    int output_read, output_write;
    int failure_read, failure_write;
} spawn_fds;

static void close_fd(int *fd)
{
    if (*fd != FD_NONE) {
        close(*fd);
        *fd = FD_NONE;
    }
}

static void close_spawn_fds(spawn_fds *fds)
{
    close_fd(&fds->input);
    close_fd(&fds->output_read);
    close_fd(&fds->output_write);
    close_fd(&fds->failure_read);
    close_fd(&fds->failure_write);
}

/* Move a descriptor out of the way of 0, 1 and 2, which a parent may have closed. */
static int above_stdio(int *fd)
{
    if (*fd >= STDIO_COUNT) {
        return 0;
    }
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDIO_COUNT);
    if (moved < 0) {
        return -1;
    }
    close(*fd);
    *fd = moved;
    return 0;
}

static int open_pipe(int *read_end, int *write_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    *read_end = ends[0];
    *write_end = ends[1];
    return above_stdio(write_end);
}

/* A pipe and not a socket for the output: a child may want to open /dev/stderr. */
static int open_spawn_fds(spawn_fds *fds)
{
    fds->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fds->input < 0 || above_stdio(&fds->input) != 0) {
        return -1;
    }
    if (open_pipe(&fds->output_read, &fds->output_write) != 0 ||
        open_pipe(&fds->failure_read, &fds->failure_write) != 0) {
        return -1;
    }
    return fcntl(fds->output_read, F_SETFL, O_NONBLOCK);
}

static int run_child(void *plan)
{
    wr_child_run(plan);
}

/*
 * As vfork, on a stack of its own: the child has our memory, and this thread waits until it runs
 * its program. With fork, each page that any thread then writes to would be copied first: every
 * launch would hold up all modules.
 */
static pid_t clone_child(wr_child_plan *plan)
{
    _Alignas(16) char stack[CHILD_STACK_SIZE];
    return clone(run_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, plan);
}

/* In our memory a child must not change users: the C library would change them in all our threads.
 * And sanitizers keep notes of system calls in memory. */
static bool may_share_memory(const wr_child_plan *plan)
{
#ifdef WEIR_SANITIZED
    (void)plan;
    return false;
#else
    return plan->sandbox == NULL;
#endif
}

/* With all signals blocked in the child, so that no handler of the parent's runs there. */
static pid_t make_child(wr_child_plan *plan)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = may_share_memory(plan) ? clone_child(plan) : fork();
    if (pid == 0) {
        wr_child_run(plan);
    }
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return pid;
}

/* What a failed exec means, where errno alone would mislead. */
static weir_err exec_error(const wr_child_plan *plan, int number, wr_error *error)
{
    const char *path = plan->path;
    struct stat what;
    bool exists = stat(path, &what) == 0;
    if (number == ENOENT && exists) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND,
                            "cannot run '%s': the interpreter that it asks for is missing", path);
    }
    if (number == EACCES && exists && S_ISDIR(what.st_mode)) {
        return wr_error_set(error, WEIR_ERR_DENIED, "cannot run '%s': it is a folder", path);
    }
    if (number == EACCES && exists && plan->sandbox != NULL) {
        return wr_error_set(error, WEIR_ERR_DENIED,
                            "cannot run '%s': its sandbox lets it not (by its user, or by its "
                            "paths), or it is not executable",
                            path);
    }
    if (number == EACCES && exists) {
        return wr_error_set(error, WEIR_ERR_DENIED,
                            "cannot run '%s': it is not executable for this user", path);
    }
    if (number == ENOEXEC) {
        return wr_error_set(error, WEIR_ERR_IO,
                            "cannot run '%s': it is no program for this machine (a script needs a "
                            "first line with #!)",
                            path);
    }
    return wr_os_error_set(error, number, "cannot run '%s'", path);
}

static weir_err child_error(const wr_child_plan *plan, const wr_child_failure *failure,
                            wr_error *error)
{
    switch (failure->step) {
    case WR_CHILD_EXEC:
        return exec_error(plan, failure->number, error);
    case WR_CHILD_FOLDER:
        return wr_os_error_set(error, failure->number, "cannot run '%s' in the working folder '%s'",
                               plan->path, plan->working_dir);
    case WR_CHILD_GROUP:
    case WR_CHILD_LIMITS:
    case WR_CHILD_USER:
    case WR_CHILD_PARENT:
    case WR_CHILD_STDIO:
    case WR_CHILD_PRIVILEGES:
    case WR_CHILD_PATHS:
    case WR_CHILD_DESCRIPTORS:
    case WR_CHILD_FILTER:
        break;
    }
    static const char *const steps[] = {
        [WR_CHILD_GROUP] = "make a process group",
        [WR_CHILD_LIMITS] = "set the limits of its sandbox",
        [WR_CHILD_USER] = "become the user of its sandbox",
        [WR_CHILD_PARENT] = "tie it to this process",
        [WR_CHILD_STDIO] = "connect its output",
        [WR_CHILD_PRIVILEGES] = "give up privileges for its sandbox",
        [WR_CHILD_PATHS] = "confine it to the paths of its sandbox",
        [WR_CHILD_DESCRIPTORS] = "close inherited descriptors",
        [WR_CHILD_FILTER] = "filter system calls for its sandbox",
    };
    return wr_os_error_set(error, failure->number, "cannot run '%s': cannot %s", plan->path,
                           steps[failure->step]);
}

/* Wait until the child runs its program (OK) or reports why it cannot. */
static weir_err await_exec(const wr_child_plan *plan, int failure_read, wr_error *error)
{
    wr_child_failure failure;
    ssize_t got;
    do {
        got = read(failure_read, &failure, sizeof(failure));
    } while (got < 0 && errno == EINTR);
    /* So few bytes come whole or not at all; none: exec closed the pipe. */
    if (got != (ssize_t)sizeof(failure)) {
        return WEIR_OK;
    }
    return child_error(plan, &failure, error);
}

static weir_err start_and_watch(wr_process *process, wr_child_plan *plan, spawn_fds *fds,
                                wr_error *error)
{
    process->pid = make_child(plan);
    if (process->pid < 0) {
        int number = errno;
        process->reaped = true;
        return wr_os_error_set(error, number, "cannot make a process for '%s'", plan->path);
    }
    close_fd(&fds->failure_write);
    process->exit_fd = pidfd_open(process->pid, 0);
    if (process->exit_fd < 0 && errno == ESRCH) {
        /* It has ended, and the system has collected it, as for a program that ignores SIGCHLD. The
         * pipe's end, too, shows that as readable. */
        process->exit_fd = fcntl(fds->failure_read, F_DUPFD_CLOEXEC, STDIO_COUNT);
    }
    if (process->exit_fd < 0) {
        return wr_os_error_set(error, errno, "cannot watch the process of '%s'", plan->path);
    }
    return await_exec(plan, fds->failure_read, error);
}

static weir_err spawn_plan(wr_child_plan *plan, wr_process **out, wr_error *error)
{
    spawn_fds fds = {FD_NONE, FD_NONE, FD_NONE, FD_NONE, FD_NONE};
    weir_err err = WEIR_ERR_MEMORY;
    wr_process *process = calloc(1, sizeof(*process));
    if (process == NULL) {
        return wr_error_set(error, err, "no memory to run '%s'", plan->path);
    }
    process->reaped = true; /* until there is a child */
    process->exit_fd = FD_NONE;
    if (open_spawn_fds(&fds) != 0) {
        err = wr_os_error_set(error, errno, "cannot make the pipes to run '%s'", plan->path);
        goto done;
    }
    int output = fds.output_read;
    fds.output_read = FD_NONE;
    err = wr_stream_adopt(output, &process->output);
    if (err != WEIR_OK) {
        wr_error_set(error, err, "no memory to run '%s'", plan->path);
        goto done;
    }
    plan->input = fds.input;
    plan->output = fds.output_write;
    plan->failure = fds.failure_write;
    process->reaped = false;
    err = start_and_watch(process, plan, &fds, error);
done:
    close_spawn_fds(&fds);
    if (err != WEIR_OK) {
        wr_process_destroy(process);
        return err;
    }
    *out = process;
    return WEIR_OK;
}

/* The program's name and then `args` (NULL: none). NULL: no memory. */
static char **argument_list(char *path, const char *const *args)
{
    size_t count = 0;
    while (args != NULL && args[count] != NULL) {
        count++;
    }
    char **list = calloc(count + 2, sizeof(*list));
    if (list == NULL) {
        return NULL;
    }
    list[0] = path;
    for (size_t i = 0; i < count; i++) {
        list[i + 1] = (char *)args[i]; /* execve writes to none of them */
    }
    return list;
}

weir_err wr_process_spawn(const wr_process_options *options, wr_process **out, wr_error *error)
{
    char *path = NULL;
    weir_err err = wr_program_find(options->path, &path, error);
    if (err != WEIR_OK) {
        return err;
    }
    char **argv = argument_list(path, options->args);
    char **envp = wr_environment_with(options->env);
    if (argv == NULL || envp == NULL) {
        err = wr_error_set(error, WEIR_ERR_MEMORY, "no memory to run '%s'", path);
    } else {
        wr_child_plan plan = {
            .path = path,
            .argv = argv,
            .envp = envp,
            .working_dir = options->working_dir,
            .sandbox = options->sandbox,
            .parent = getpid(),
        };
        err = spawn_plan(&plan, out, error);
    }
    free(envp);
    free(argv);
    free(path);
    return err;
}

int64_t wr_process_id(const wr_process *process)
{
    return process->pid;
}

wr_waitable wr_process_waitable(const wr_process *process)
{
    return process->exit_fd;
}

wr_stream *wr_process_output(wr_process *process)
{
    return process->output;
}

/* waitid that an interrupting signal does not fail. 0, or -1 and errno. */
static int wait_child(pid_t pid, siginfo_t *info, int options)
{
    int result;
    do {
        memset(info, 0, sizeof(*info));
        result = waitid(P_PID, (id_t)pid, info, WEXITED | options);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* Not where the child was collected: by us, or, where the program ignores SIGCHLD, by the system.
 */
static void signal_group(const wr_process *process, int number)
{
    siginfo_t info;
    if (process->reaped || wait_child(process->pid, &info, WNOHANG | WNOWAIT) != 0) {
        return;
    }
    /* Without a group, the child ended before it made one. */
    if (kill(-process->pid, number) != 0 && errno == ESRCH) {
        (void)kill(process->pid, number);
    }
}

/* End the child and what it left in its group while its id is still its own, then let go of it. */
static void collect(wr_process *process)
{
    signal_group(process, SIGKILL);
    siginfo_t info;
    int result = wait_child(process->pid, &info, 0);
    process->reaped = true;
    if (result != 0) {
        /* Somebody else collected it. */
        process->exit = (wr_process_exit){.by_signal = false, .value = WR_EXIT_UNKNOWN};
        return;
    }
    process->exit.by_signal = info.si_code != CLD_EXITED;
    process->exit.value = info.si_status;
}

weir_err wr_process_reap(wr_process *process, wr_process_exit *result)
{
    if (!process->reaped) {
        siginfo_t info;
        int waited = wait_child(process->pid, &info, WNOHANG | WNOWAIT);
        if (waited == 0 && info.si_pid == 0) {
            return WEIR_ERR_WOULD_BLOCK;
        }
        collect(process);
    }
    *result = process->exit;
    return WEIR_OK;
}

void wr_process_terminate(wr_process *process)
{
    signal_group(process, SIGTERM);
}

void wr_process_kill(wr_process *process)
{
    signal_group(process, SIGKILL);
}

void wr_process_exit_text(const wr_process_exit *result, char *out, size_t size)
{
    if (result->by_signal) {
        (void)snprintf(out, size, "signal %d (%s)", result->value, strsignal(result->value));
    } else if (result->value == WR_EXIT_UNKNOWN) {
        (void)snprintf(out, size, "exit status unknown");
    } else {
        (void)snprintf(out, size, "exit status %d", result->value);
    }
}

bool wr_process_was_killed(const wr_process_exit *result)
{
    static const int from_others[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    bool killed = false;
    for (size_t i = 0; i < sizeof(from_others) / sizeof(from_others[0]); i++) {
        killed = killed || (result->by_signal && result->value == from_others[i]);
    }
    return killed;
}

void wr_process_destroy(wr_process *process)
{
    if (process == NULL) {
        return;
    }
    if (!process->reaped) {
        collect(process);
    }
    wr_stream_close(process->output);
    close_fd(&process->exit_fd);
    free(process);
}
