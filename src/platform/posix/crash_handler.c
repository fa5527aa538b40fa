/* SPDX-License-Identifier: MIT
 *
 * The crash handler (contract in platform/crash_handler.h). Invariant: what runs in the handler is
 * async-signal-safe, with one exception: backtrace and backtrace_symbols_fd take the dynamic
 * linker's lock. Where that lock is held by the code that crashed, an alarm ends the process.
 */
#define _GNU_SOURCE
#include "platform/crash_handler.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/clock.h"

#define FRAMES_MAX 64
#define STACK_SIZE (64u * 1024u)
#define WHO_MAX 129u
#define LINE_MAX_BYTES 512u
#define PATIENCE_S 5u
#define THREAD_NAME_SIZE 16u

typedef struct crash_signal {
    int number;
    const char *name;
    bool has_address; /* of the memory or instruction that is to blame */
} crash_signal;

static const crash_signal crash_signals[] = {
    {SIGSEGV, "SIGSEGV, memory that it may not use", true},
    {SIGBUS, "SIGBUS, memory that is not there", true},
    {SIGFPE, "SIGFPE, arithmetic without a result", true},
    {SIGILL, "SIGILL, no instruction of this machine", true},
    {SIGABRT, "SIGABRT, it called abort or was told to", false},
};
#define SIGNAL_COUNT (sizeof(crash_signals) / sizeof(crash_signals[0]))

/* A line that is being put together. */
typedef struct line {
    size_t size;
    char text[LINE_MAX_BYTES];
} line;

static char name_in_log[WHO_MAX];
static _Alignas(16) unsigned char handler_stack[STACK_SIZE];
static atomic_flag crashing = ATOMIC_FLAG_INIT; /* the first thread to crash has the word */
static volatile sig_atomic_t dying_of;          /* set before the alarm, read by it */

static void add(line *to, const char *text)
{
    while (*text != '\0' && to->size < LINE_MAX_BYTES) {
        to->text[to->size++] = *text++;
    }
}

static void add_number(line *to, uintmax_t number, unsigned base)
{
    static const char digits[] = "0123456789abcdef";
    char text[24];
    size_t at = sizeof(text) - 1;
    text[at] = '\0';
    do {
        text[--at] = digits[number % base];
        number /= base;
    } while (number > 0);
    add(to, text + at);
}

/* What cannot be written has nowhere to be reported. */
static void put(const line *from)
{
    size_t done = 0;
    while (done < from->size) {
        ssize_t wrote = write(STDERR_FILENO, from->text + done, from->size - done);
        if (wrote < 0 && errno != EINTR) {
            return;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
}

/* As the log begins its lines, see base/log.c. */
static void begin(line *what)
{
    char now[WEIR_TIME_SIZE];
    wr_clock_calendar(now);
    what->size = 0;
    add(what, now);
    add(what, " error [");
    add(what, name_in_log);
    add(what, "] ");
}

static const crash_signal *find_signal(int number)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (crash_signals[i].number == number) {
            return &crash_signals[i];
        }
    }
    return &crash_signals[0];
}

/* si_code over 0: the system found the fault, and knows its place. */
static void say_what(int number, const siginfo_t *info)
{
    const crash_signal *what = find_signal(number);
    char thread[THREAD_NAME_SIZE] = "";
    line head;
    begin(&head);
    add(&head, "crashed: signal ");
    add_number(&head, (unsigned)number, 10);
    add(&head, " (");
    add(&head, what->name);
    add(&head, ")");
    if (what->has_address && info->si_code > 0) {
        add(&head, " at address 0x");
        add_number(&head, (uintptr_t)info->si_addr, 16);
    }
    (void)prctl(PR_GET_NAME, thread);
    add(&head, " in thread ");
    add_number(&head, (uintmax_t)gettid(), 10);
    add(&head, " (");
    add(&head, thread);
    add(&head, "); its stack:\n");
    put(&head);
}

/* `trampoline`: where the handler returns to. The frames up to it are the handler's own. */
static void say_stack(const void *trampoline)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    int first = 0;
    while (first < count && frames[first] != trampoline) {
        first++;
    }
    first = first + 1 < count ? first + 1 : 0;
    for (int i = first; i < count; i++) {
        line start;
        begin(&start);
        add(&start, "#");
        add_number(&start, (unsigned)(i - first), 10);
        add(&start, " ");
        put(&start);
        backtrace_symbols_fd(&frames[i], 1, STDERR_FILENO);
    }
}

static void set_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* The handler hangs: the last words stay unsaid. */
static void on_alarm(int number)
{
    (void)number;
    int cause = dying_of;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, cause);
    set_default(cause);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)raise(cause);
}

static void set_alarm(int number)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK};
    sigset_t one;
    dying_of = number;
    sigemptyset(&action.sa_mask);
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)alarm(PATIENCE_S);
}

/*
 * All crash signals are blocked in here, so that a fault of the handler's own ends the process at
 * once. A second thread that crashes waits until the first is done, and the process with it. The
 * signal that is raised at the end arrives when the handler returns: the core dump then shows the
 * place of the crash, not the handler.
 */
static void on_crash(int number, siginfo_t *info, void *context)
{
    (void)context;
    const void *trampoline = __builtin_return_address(0);
    while (atomic_flag_test_and_set(&crashing)) {
        (void)pause();
    }
    set_alarm(number);
    say_what(number, info);
    say_stack(trampoline);
    (void)alarm(0);
    set_default(number);
    (void)raise(number);
}

static weir_err install_for(int number)
{
    struct sigaction before;
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigaddset(&action.sa_mask, crash_signals[i].number);
    }
    if (sigaction(number, NULL, &before) != 0) {
        return WEIR_ERR_IO;
    }
    if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL) {
        return WEIR_OK;
    }
    return sigaction(number, &action, NULL) == 0 ? WEIR_OK : WEIR_ERR_IO;
}

static weir_err install(const char *who)
{
    void *frame;
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
    wr_text_escape(name_in_log, sizeof(name_in_log), who);
    (void)backtrace(&frame, 1); /* loads what it needs: in the handler it is too late for that */
    weir_err err = sigaltstack(&stack, NULL) == 0 ? WEIR_OK : WEIR_ERR_IO;
    for (size_t i = 0; err == WEIR_OK && i < SIGNAL_COUNT; i++) {
        err = install_for(crash_signals[i].number);
    }
    return err;
}

weir_err wr_crash_handler_install(const char *who)
{
#ifdef WEIR_SANITIZED
    (void)install;
    (void)who;
    return WEIR_OK;
#else
    return install(who);
#endif
}
