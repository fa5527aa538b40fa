/* SPDX-License-Identifier: MIT
 *
 * Looking at another process by /proc, and by gdb (contract in platform/stack_dump.h). The pidfd
 * makes sure that a signal reaches this process or nobody.
 */
#define _GNU_SOURCE
#include "platform/stack_dump.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "os_error.h"

#define THREADS_MAX 64u
#define FILE_MAX 1024u
#define LINE_MAX_BYTES 512u
#define MS_PER_S 1000u

struct wr_stack_target {
    pid_t pid;
    int fd; /* a pidfd */
};

/* What a thread does, from its files in /proc. */
typedef struct thread_facts {
    char name[64];
    char state;
    unsigned long long cpu_ms;
    long call;       /* the number of a system call; -1: none, or not known */
    char place[128]; /* the kernel's function that it waits in; "": not known */
} thread_facts;

weir_err wr_stack_target_open(int64_t pid, wr_stack_target **out)
{
    wr_stack_target *target = calloc(1, sizeof(*target));
    if (target == NULL) {
        return WEIR_ERR_MEMORY;
    }
    target->pid = (pid_t)pid;
    target->fd = pidfd_open(target->pid, 0);
    if (target->fd < 0) {
        weir_err err = errno == ESRCH ? WEIR_ERR_NOT_FOUND : wr_os_error(errno);
        free(target);
        return err;
    }
    *out = target;
    return WEIR_OK;
}

void wr_stack_target_continue(const wr_stack_target *target)
{
    (void)pidfd_send_signal(target->fd, SIGCONT, NULL, 0); /* fails when it is gone */
}

void wr_stack_target_close(wr_stack_target *target)
{
    if (target != NULL) {
        close(target->fd);
        free(target);
    }
}

/* The begin of /proc/PID/task/TID/NAME without the line break at its end; "" where there is none.
 */
static void read_fact(const wr_stack_target *target, const char *tid, const char *name, char *out,
                      size_t size)
{
    char path[128];
    out[0] = '\0';
    (void)snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/%s", (long)target->pid, tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t got = read(fd, out, size - 1);
    close(fd);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* "PID (NAME) STATE ...": the name may hold anything, so the last ")" counts. The 14th and 15th
 * fields are the processor time in user and system mode. */
static void parse_stat(const char *stat, thread_facts *facts)
{
    unsigned long long user = 0;
    unsigned long long sys = 0;
    const char *rest = strrchr(stat, ')');
    facts->state = '?';
    if (rest == NULL || rest[1] == '\0') {
        return;
    }
    (void)sscanf(rest + 2, "%c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &facts->state,
                 &user, &sys);
    long ticks = sysconf(_SC_CLK_TCK);
    facts->cpu_ms = (user + sys) * MS_PER_S / (unsigned long long)(ticks > 0 ? ticks : 1);
}

static void gather(const wr_stack_target *target, const char *tid, thread_facts *facts)
{
    char text[FILE_MAX];
    read_fact(target, tid, "comm", facts->name, sizeof(facts->name));
    read_fact(target, tid, "stat", text, sizeof(text));
    parse_stat(text, facts);
    read_fact(target, tid, "wchan", facts->place, sizeof(facts->place));
    if (strcmp(facts->place, "0") == 0) {
        facts->place[0] = '\0';
    }
    read_fact(target, tid, "syscall", text, sizeof(text));
    facts->call = isdigit((unsigned char)text[0]) ? strtol(text, NULL, 10) : -1;
}

static const char *state_words(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "waiting for a device";
    case 'T':
        return "stopped by a signal";
    case 't':
        return "stopped by a debugger";
    case 'Z':
    case 'X':
        return "dead";
    default:
        return "in an unknown state";
    }
}

/* The system calls in which threads hang, or wait as they should. */
static const struct {
    long number;
    const char *name;
} calls[] = {
    {SYS_futex, "futex: a lock or a condition"},
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_sendto, "sendto"},
    {SYS_ppoll, "ppoll"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_wait4, "wait4: a child"},
    {SYS_accept4, "accept4"},
    {SYS_connect, "connect"},
    {SYS_flock, "flock: a file's lock"},
    {SYS_fsync, "fsync"},
    {SYS_openat, "openat"},
#ifdef SYS_poll /* newer machines have only the calls above */
    {SYS_poll, "poll"},
    {SYS_select, "select"},
    {SYS_pause, "pause"},
    {SYS_epoll_wait, "epoll_wait"},
#endif
};

static const char *call_name(long number)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number == number) {
            return calls[i].name;
        }
    }
    return NULL;
}

static void describe_call(long number, char *out, size_t size)
{
    const char *name = call_name(number);
    out[0] = '\0';
    if (number >= 0 && name != NULL) {
        (void)snprintf(out, size, " in the system call %s", name);
    } else if (number >= 0) {
        (void)snprintf(out, size, " in system call %ld", number);
    }
}

static void describe_thread(const wr_stack_target *target, const char *tid,
                            void (*on_line)(void *arg, const char *line), void *arg)
{
    char line[LINE_MAX_BYTES];
    char call[96];
    thread_facts facts = {.state = '?'};
    gather(target, tid, &facts);
    describe_call(facts.call, call, sizeof(call));
    (void)snprintf(line, sizeof(line), "Thread %.20s \"%s\": %s%s%s%s%s, %llu ms of processor time",
                   tid, facts.name, state_words(facts.state), call,
                   facts.place[0] != '\0' ? " (" : "", facts.place,
                   facts.place[0] != '\0' ? ")" : "", facts.cpu_ms);
    on_line(arg, line);
}

void wr_stack_target_describe(const wr_stack_target *target,
                              void (*on_line)(void *arg, const char *line), void *arg)
{
    char text[LINE_MAX_BYTES];
    size_t count = 0;
    (void)snprintf(text, sizeof(text), "/proc/%ld/task", (long)target->pid);
    DIR *tasks = opendir(text);
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && count++ < THREADS_MAX) {
            describe_thread(target, entry->d_name, on_line, arg);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    if (count > THREADS_MAX) {
        (void)snprintf(text, sizeof(text), "and %zu %s more", count - THREADS_MAX,
                       wr_text_plural(count - THREADS_MAX, "thread", "threads"));
        on_line(arg, text);
    }
}

bool wr_stack_target_stopped(const wr_stack_target *target)
{
    char tid[24];
    thread_facts facts = {.state = '?'};
    (void)snprintf(tid, sizeof(tid), "%ld", (long)target->pid);
    gather(target, tid, &facts);
    return facts.state == 'T';
}

/* Nothing of the user's or the program's own is run by it (-nx, auto-load), and nothing is fetched
 * from elsewhere. */
void wr_debugger_init(wr_debugger *debugger, const wr_stack_target *target)
{
    static const char *const fixed[] = {"-nx",  "-nh",
                                        "-q",   "-batch",
                                        "-iex", "set auto-load off",
                                        "-iex", "set debuginfod enabled off",
                                        "-iex", "set print thread-events off",
                                        "-iex", "set pagination off",
                                        "-iex", "set width 0",
                                        "-ex",  "thread apply all backtrace 64",
                                        "-p"};
    const size_t count = sizeof(fixed) / sizeof(fixed[0]);
    memcpy(debugger->args, fixed, sizeof(fixed));
    (void)snprintf(debugger->pid, sizeof(debugger->pid), "%ld", (long)target->pid);
    debugger->args[count] = debugger->pid;
    debugger->args[count + 1] = NULL;
    debugger->options = (wr_process_options){.path = "gdb", .args = debugger->args};
}

void wr_debugger_allow_parent(void)
{
    (void)prctl(PR_SET_PTRACER, (unsigned long)getppid(), 0, 0, 0); /* fails where nobody asks */
}

bool wr_debugger_says_stack(const char *line)
{
    return line[0] == '#' || strncmp(line, "Thread ", strlen("Thread ")) == 0;
}
