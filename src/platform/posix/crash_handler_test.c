/* SPDX-License-Identifier: MIT
 *
 * Crashes of a child process: what it says, and that it dies of what it would have died of.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/crash_handler.h"

#define SAID_MAX 65536u

static void write_to_nowhere(void)
{
    *(volatile int *)8 = 1;
}

/* A mapping of an empty file has pages that do not exist. */
static void read_beyond_a_file(void)
{
    char *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, memfd_create("empty", 0), 0);
    (void)*(volatile char *)page;
}

static void divide_by_zero(void)
{
    volatile int zero = 0;
    (void)raise(zero == 0 ? SIGFPE : 0); /* not every machine traps it */
}

static void run_what_is_no_code(void)
{
    (void)raise(SIGILL);
}

static void give_up(void)
{
    abort();
}

static volatile unsigned depth;

static int recurse(volatile char *above)
{
    volatile char room[4096];
    room[0] = *above;
    return ++depth == 0 ? 0 : recurse(room) + room[0]; /* the stack ends long before the numbers */
}

static void overflow_the_stack(void)
{
    char start = 1;
    (void)recurse(&start);
}

static void *crash_on_a_thread(void *arg)
{
    (void)pthread_setname_np(pthread_self(), "culprit");
    write_to_nowhere();
    return arg;
}

static void crash_on_another_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, crash_on_a_thread, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

static void *crash_at_once(void *arg)
{
    (void)pthread_barrier_wait(arg);
    write_to_nowhere();
    return arg;
}

static void crash_on_many_threads(void)
{
    enum { COUNT = 8 };
    pthread_barrier_t barrier;
    pthread_t threads[COUNT];
    (void)pthread_barrier_init(&barrier, NULL, COUNT);
    for (int i = 0; i < COUNT; i++) {
        (void)pthread_create(&threads[i], NULL, crash_at_once, &barrier);
    }
    (void)pthread_join(threads[0], NULL);
}

static void be_killed_by_somebody(void)
{
    (void)kill(getpid(), SIGSEGV);
}

static void do_nothing(void)
{
}

static void end_quietly(int number)
{
    (void)number;
    _exit(9);
}

/* A child that installs the handler and calls `crash`; what it says goes to `said`. */
static int run_child(void (*crash)(void), void (*own_handler)(int), char said[SAID_MAX])
{
    int ends[2];
    int status = 0;
    size_t size = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        for (int number = 1; number < NSIG; number++) { /* cmocka has handlers of its own */
            (void)signal(number, SIG_DFL);
        }
        if (own_handler != NULL) {
            (void)signal(SIGSEGV, own_handler);
        }
        if (wr_crash_handler_install("the\nmodule") == WEIR_OK) {
            crash();
        }
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + size, SAID_MAX - 1 - size)) > 0) {
        size += (size_t)got;
    }
    said[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static unsigned count(const char *text, const char *part)
{
    unsigned found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        found++;
    }
    return found;
}

static void assert_said(const char *said, const char *text)
{
    if (strstr(said, text) == NULL) {
        fail_msg("'%s' is not in:\n%s", text, said);
    }
}

/* Sanitizers have a handler of their own. */
static void need_handler(void)
{
#ifdef WEIR_SANITIZED
    skip();
#endif
}

static void assert_crash(void (*crash)(void), int number, const char *text)
{
    char said[SAID_MAX];
    need_handler();
    int status = run_child(crash, NULL, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    assert_said(said, "Z error [the\\x0Amodule] crashed: signal ");
    assert_said(said, text);
    assert_said(said, "Z error [the\\x0Amodule] #0 ");
    assert_said(said, "Z error [the\\x0Amodule] #1 ");
    assert_int_equal(count(said, "crashed: "), 1);
    assert_int_equal(count(said, "\n"), count(said, " error [the\\x0Amodule] "));
}

static void every_kind_of_crash_is_told(void **state)
{
    (void)state;
    assert_crash(write_to_nowhere, SIGSEGV,
                 "11 (SIGSEGV, memory that it may not use) at address "
                 "0x8 in thread ");
    assert_crash(read_beyond_a_file, SIGBUS, "(SIGBUS, memory that is not there) at address 0x");
    assert_crash(divide_by_zero, SIGFPE, "(SIGFPE, ");
    assert_crash(run_what_is_no_code, SIGILL, "(SIGILL, ");
    assert_crash(give_up, SIGABRT, "6 (SIGABRT, it called abort or was told to) in thread ");
    assert_crash(be_killed_by_somebody, SIGSEGV, "may not use) in thread ");
}

static void an_overflown_stack_is_told(void **state)
{
    (void)state;
    assert_crash(overflow_the_stack, SIGSEGV, "at address 0x");
}

static void a_crash_on_another_thread_is_told(void **state)
{
    (void)state;
    assert_crash(crash_on_another_thread, SIGSEGV, "(culprit); its stack:");
}

static void of_many_crashes_at_once_one_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_crash(crash_on_many_threads, SIGSEGV, "at address 0x8");
    }
}

static void a_handler_of_the_program_is_left_alone(void **state)
{
    char said[SAID_MAX];
    (void)state;
    need_handler();
    int status = run_child(write_to_nowhere, end_quietly, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_string_equal(said, "");
}

/* Nobody reads what it says, and the pipe is full. */
static void crash_without_a_listener(void)
{
    int ends[2];
    char filler[4096] = "";
    if (pipe(ends) != 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
        return;
    }
    while (write(ends[1], filler, sizeof(filler)) > 0) {
    }
    (void)fcntl(ends[1], F_SETFL, 0);
    (void)dup2(ends[1], STDERR_FILENO);
    write_to_nowhere();
}

static void it_dies_even_if_it_cannot_speak(void **state)
{
    char said[SAID_MAX];
    (void)state;
    need_handler();
    int status = run_child(crash_without_a_listener, NULL, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void no_crash_no_word(void **state)
{
    char said[SAID_MAX];
    (void)state;
    int status = run_child(do_nothing, NULL, said);
    assert_int_equal(status, 0);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_crash_no_word),
        cmocka_unit_test(every_kind_of_crash_is_told),
        cmocka_unit_test(an_overflown_stack_is_told),
        cmocka_unit_test(a_crash_on_another_thread_is_told),
        cmocka_unit_test(of_many_crashes_at_once_one_is_told),
        cmocka_unit_test(it_dies_even_if_it_cannot_speak),
        cmocka_unit_test(a_handler_of_the_program_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
