/* SPDX-License-Identifier: MIT
 *
 * Tests of child processes: what they inherit, how they end, and why they cannot start.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/process.h"

#define OUTPUT_MAX 4096u

static void wait_readable(wr_waitable what)
{
    struct pollfd watched = {(int)what, POLLIN, 0};
    assert_int_equal(poll(&watched, 1, -1), 1);
}

static wr_process *spawn(const wr_process_options *options)
{
    wr_process *process = NULL;
    wr_error error = {WEIR_OK, ""};
    weir_err err = wr_process_spawn(options, &process, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(err, WEIR_OK);
    return process;
}

static wr_process *spawn_shell(const char *script)
{
    const char *const args[] = {"-c", script, NULL};
    return spawn(&(wr_process_options){.path = "/bin/sh", .args = args});
}

static wr_process_exit wait_exit(wr_process *process)
{
    wait_readable(wr_process_waitable(process));
    wr_process_exit result;
    assert_int_equal(wr_process_reap(process, &result), WEIR_OK);
    return result;
}

static void assert_exit(wr_process *process, bool by_signal, int value)
{
    wr_process_exit result = wait_exit(process);
    assert_int_equal(result.by_signal, by_signal);
    assert_int_equal(result.value, value);
}

/* All output up to the end, or up to `stop` (0: none), as text. */
static void read_output(wr_process *process, char stop, char out[OUTPUT_MAX])
{
    wr_stream *stream = wr_process_output(process);
    size_t used = 0;
    for (;;) {
        wait_readable(wr_stream_waitable(stream));
        size_t got = 0;
        weir_err err = wr_stream_read(stream, out + used, OUTPUT_MAX - 1 - used, &got);
        if (err == WEIR_ERR_CLOSED) {
            break;
        }
        assert_int_equal(err, WEIR_OK);
        used += got;
        if (stop != '\0' && memchr(out, stop, used) != NULL) {
            break;
        }
    }
    out[used] = '\0';
}

static void assert_output(wr_process *process, const char *wanted)
{
    char out[OUTPUT_MAX];
    read_output(process, '\0', out);
    assert_string_equal(out, wanted);
    assert_exit(process, false, 0);
    wr_process_destroy(process);
}

/* The process whose id the child prints first, to watch its end. */
static int watch_printed(wr_process *process)
{
    char out[OUTPUT_MAX];
    read_output(process, '\n', out);
    int fd = pidfd_open((pid_t)strtol(out, NULL, 10), 0);
    assert_true(fd >= 0);
    return fd;
}

static void child_that_exits_tells_its_status(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("exit 3");
    wr_process_exit result = wait_exit(process);
    assert_false(result.by_signal);
    assert_int_equal(result.value, 3);
    char text[64];
    wr_process_exit_text(&result, text, sizeof(text));
    assert_string_equal(text, "exit status 3");
    assert_exit(process, false, 3);
    wr_process_destroy(process);
}

static void child_that_is_killed_tells_its_signal(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("kill -KILL $$");
    wr_process_exit result = wait_exit(process);
    assert_true(result.by_signal);
    char text[64];
    wr_process_exit_text(&result, text, sizeof(text));
    assert_string_equal(text, "signal 9 (Killed)");
    assert_true(wr_process_was_killed(&result));
    assert_false(wr_process_was_killed(&(wr_process_exit){.by_signal = true, .value = SIGSEGV}));
    assert_false(wr_process_was_killed(&(wr_process_exit){.by_signal = false, .value = SIGKILL}));
    wr_process_destroy(process);
}

static void living_child_cannot_be_reaped(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("exec sleep 1000");
    wr_process_exit result;
    assert_int_equal(wr_process_reap(process, &result), WEIR_ERR_WOULD_BLOCK);
    assert_true(wr_process_id(process) > 0);
    wr_process_terminate(process);
    assert_exit(process, true, SIGTERM);
    wr_process_terminate(process);
    wr_process_kill(process);
    wr_process_destroy(process);
}

static void destroy_ends_a_living_child(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("trap '' TERM; echo $$; exec sleep 1000");
    int child = watch_printed(process);
    wr_process_destroy(process);
    wait_readable(child);
    close(child);
    wr_process_destroy(NULL);
}

static void child_collected_by_the_system_has_an_unknown_status(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    assert_int_equal(sigaction(SIGCHLD, &ignore, &before), 0);
    wr_process *process = spawn_shell("exit 3");
    wr_process_exit result = wait_exit(process);
    assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
    assert_false(result.by_signal);
    assert_int_equal(result.value, WR_EXIT_UNKNOWN);
    char text[64];
    wr_process_exit_text(&result, text, sizeof(text));
    assert_string_equal(text, "exit status unknown");
    wr_process_destroy(process);
}

static void output_and_errors_arrive_on_one_stream(void **state)
{
    (void)state;
    assert_output(spawn_shell("echo out; echo err >&2; echo more >/dev/stderr"),
                  "out\nerr\nmore\n");
}

static void input_is_at_its_end(void **state)
{
    (void)state;
    assert_output(spawn_shell("cat; echo end"), "end\n");
}

static void child_has_no_other_descriptors(void **state)
{
    (void)state;
    assert_true(dup2(STDERR_FILENO, 50) == 50);
    assert_true(dup2(STDERR_FILENO, 99) == 99);
    wr_process *process = spawn_shell("n=0; while [ $n -lt 256 ]; do"
                                      " [ -e /proc/self/fd/$n ] && echo $n; n=$((n+1)); done; :");
    close(50);
    close(99);
    assert_output(process, "0\n1\n2\n");
}

static void child_has_default_signals(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    sigset_t blocked;
    sigset_t mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &mask), 0);
    wr_process *process = spawn_shell("kill -PIPE $$; exit 0");
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
    assert_exit(process, true, SIGPIPE);
    wr_process_destroy(process);
}

static void spawn_keeps_the_callers_signal_mask(void **state)
{
    (void)state;
    wr_process_destroy(spawn_shell("exit 0"));
    sigset_t mask;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_false(sigismember(&mask, SIGTERM));
}

static void environment_is_the_parents_with_additions(void **state)
{
    (void)state;
    assert_int_equal(setenv("WEIR_TEST_KEPT", "kept", 1), 0);
    assert_int_equal(setenv("WEIR_TEST_OLD", "old", 1), 0);
    const char *const args[] = {"-c", "echo $WEIR_TEST_KEPT $WEIR_TEST_OLD $WEIR_TEST_NEW", NULL};
    const char *const env[] = {"WEIR_TEST_OLD=1", "WEIR_TEST_OLD=2", "WEIR_TEST_NEW=x=y", NULL};
    assert_output(spawn(&(wr_process_options){.path = "/bin/sh", .args = args, .env = env}),
                  "kept 2 x=y\n");
    assert_string_equal(getenv("WEIR_TEST_OLD"), "old");
}

static void child_runs_in_its_working_folder(void **state)
{
    (void)state;
    const char *const args[] = {"-c", "pwd -P", NULL};
    assert_output(
        spawn(&(wr_process_options){.path = "/bin/sh", .args = args, .working_dir = "/proc"}),
        "/proc\n");
}

static void child_leads_its_own_group(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("exec sleep 1000");
    pid_t pid = (pid_t)wr_process_id(process);
    assert_int_equal(getpgid(pid), pid);
    wr_process_destroy(process);
}

static void terminate_reaches_grandchildren(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("sleep 1000 & echo $!; wait");
    int grandchild = watch_printed(process);
    wr_process_terminate(process);
    wait_readable(grandchild);
    close(grandchild);
    assert_exit(process, true, SIGTERM);
    wr_process_destroy(process);
}

static void reap_ends_what_the_child_left(void **state)
{
    (void)state;
    wr_process *process = spawn_shell("sleep 1000 & echo $!");
    int grandchild = watch_printed(process);
    assert_exit(process, false, 0);
    wait_readable(grandchild);
    close(grandchild);
    wr_process_destroy(process);
}

/* A parent of its own: starts a child, tells its id, and waits to be killed. */
_Noreturn static void run_doomed_parent(int tell)
{
    const char *const args[] = {"1000", NULL};
    wr_process *process = NULL;
    weir_err err =
        wr_process_spawn(&(wr_process_options){.path = "sleep", .args = args}, &process, NULL);
    if (err != WEIR_OK) {
        _exit(1);
    }
    int64_t id = wr_process_id(process);
    if (write(tell, &id, sizeof(id)) != (ssize_t)sizeof(id)) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

static void child_dies_with_a_killed_parent(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        run_doomed_parent(ends[1]);
    }
    close(ends[1]);
    int64_t id = 0;
    assert_int_equal(read(ends[0], &id, sizeof(id)), sizeof(id));
    close(ends[0]);
    int child = pidfd_open((pid_t)id, 0);
    assert_true(child >= 0);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    wait_readable(child);
    close(child);
}

/* As a daemon that closed its own 0, 1 and 2. */
_Noreturn static void run_parent_without_stdio(void)
{
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    const char *const args[] = {"-c", "cat; echo text", NULL};
    wr_process *process = NULL;
    weir_err err =
        wr_process_spawn(&(wr_process_options){.path = "/bin/sh", .args = args}, &process, NULL);
    if (err != WEIR_OK) {
        _exit(1);
    }
    struct pollfd watched = {(int)wr_stream_waitable(wr_process_output(process)), POLLIN, 0};
    char out[8];
    size_t got = 0;
    if (poll(&watched, 1, -1) != 1 ||
        wr_stream_read(wr_process_output(process), out, sizeof(out), &got) != WEIR_OK) {
        _exit(2);
    }
    _exit(got == 5 && memcmp(out, "text\n", 5) == 0 ? 0 : 3);
}

static void parent_without_stdio_can_spawn(void **state)
{
    (void)state;
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        run_parent_without_stdio();
    }
    int status = -1;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_that_exits_tells_its_status),
        cmocka_unit_test(child_that_is_killed_tells_its_signal),
        cmocka_unit_test(living_child_cannot_be_reaped),
        cmocka_unit_test(destroy_ends_a_living_child),
        cmocka_unit_test(child_collected_by_the_system_has_an_unknown_status),
        cmocka_unit_test(output_and_errors_arrive_on_one_stream),
        cmocka_unit_test(input_is_at_its_end),
        cmocka_unit_test(child_has_no_other_descriptors),
        cmocka_unit_test(child_has_default_signals),
        cmocka_unit_test(spawn_keeps_the_callers_signal_mask),
        cmocka_unit_test(environment_is_the_parents_with_additions),
        cmocka_unit_test(child_runs_in_its_working_folder),
        cmocka_unit_test(child_leads_its_own_group),
        cmocka_unit_test(terminate_reaches_grandchildren),
        cmocka_unit_test(reap_ends_what_the_child_left),
        cmocka_unit_test(child_dies_with_a_killed_parent),
        cmocka_unit_test(parent_without_stdio_can_spawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
