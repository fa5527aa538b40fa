/* SPDX-License-Identifier: MIT
 *
 * Stack dumps of another process: this program once more, hanging. With gdb, with things in its
 * place that fail, and without.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "loop/stack_dump.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/folder.h"
#include "platform/thread.h"

#define PATIENCE_MS 120000u
#define CANCELS 12u

/* What hangs. Not static, so that it has a name in a stack. */
void *hang_for_ever(void *arg);
void *hang_for_ever(void *arg)
{
    /* From here, so that it is on the stack of whoever is stopped after that. */
    if (write(STDOUT_FILENO, "x", 1) != 1) {
        return arg;
    }
    for (;;) {
        pause();
    }
}

static int hang(void)
{
    pthread_t thread;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NAME, "hanging") != 0 ||
        pthread_create(&thread, NULL, hang_for_ever, NULL) != 0) {
        return 1;
    }
    for (;;) {
        sched_yield();
    }
}

typedef struct fixture {
    wr_loop *loop;
    pid_t target;
    wr_stack_dump *dump;
    wr_mutex lock; /* guards the rest */
    wr_cond changed;
    wr_buffer text;
    unsigned lines;
    bool done;
    uint32_t timeout_ms;
    weir_err started;
    char *folder; /* of a thing in place of gdb; NULL: none */
    char *path;   /* PATH as it was */
} fixture;

static void start_target(fixture *fix)
{
    int ends[2];
    char ready;
    assert_int_equal(pipe(ends), 0);
    fix->target = fork();
    assert_true(fix->target >= 0);
    if (fix->target == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "stack_dump_test", "--hang", (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &ready, 1), 1);
    close(ends[0]);
}

static int setup(void **state)
{
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    wr_mutex_init(&fix->lock);
    wr_cond_init(&fix->changed);
    fix->timeout_ms = PATIENCE_MS;
    fix->path = strdup(getenv("PATH"));
    assert_int_equal(wr_loop_create(&fix->loop), WEIR_OK);
    start_target(fix);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;
    wr_loop_destroy(fix->loop);
    kill(fix->target, SIGKILL);
    assert_int_equal(waitpid(fix->target, NULL, 0), fix->target);
    assert_int_equal(setenv("PATH", fix->path, 1), 0);
    if (fix->folder != NULL) {
        assert_int_equal(wr_folder_remove(fix->folder, NULL), WEIR_OK);
    }
    wr_buffer_deinit(&fix->text);
    wr_cond_deinit(&fix->changed);
    wr_mutex_deinit(&fix->lock);
    free(fix->folder);
    free(fix->path);
    free(fix);
    return 0;
}

static void on_line(void *arg, const char *line)
{
    fixture *fix = arg;
    wr_mutex_lock(&fix->lock);
    assert_false(fix->done);
    fix->lines++;
    wr_buffer_printf(&fix->text, "%s\n", line);
    wr_mutex_unlock(&fix->lock);
}

static void on_done(void *arg)
{
    fixture *fix = arg;
    wr_stack_dump_destroy(fix->dump);
    wr_mutex_lock(&fix->lock);
    assert_false(fix->done);
    fix->done = true;
    wr_cond_signal(&fix->changed);
    wr_mutex_unlock(&fix->lock);
}

static void start_on_loop(void *arg)
{
    static const wr_stack_dump_fns fns = {on_line, on_done};
    fixture *fix = arg;
    fix->started =
        wr_stack_dump_start(fix->loop, fix->target, fix->timeout_ms, &fns, fix, &fix->dump);
    assert_int_equal(fix->lines, 0);
}

static void dump_it(fixture *fix)
{
    wr_loop_call(fix->loop, start_on_loop, fix);
    assert_int_equal(fix->started, WEIR_OK);
    wr_mutex_lock(&fix->lock);
    while (!fix->done) {
        wr_cond_wait(&fix->changed, &fix->lock);
    }
    wr_mutex_unlock(&fix->lock);
}

static bool says(const fixture *fix, const char *text)
{
    return fix->text.data != NULL && strstr(fix->text.data, text) != NULL;
}

static void assert_says(const fixture *fix, const char *text)
{
    if (!says(fix, text)) {
        fail_msg("'%s' is not in:\n%s", text, fix->text.data == NULL ? "" : fix->text.data);
    }
}

/* Is the target as it should be: nobody traces it, and no thread is stopped? */
static bool is_free(pid_t pid)
{
    char path[64];
    char *text = NULL;
    size_t size;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    assert_int_equal(wr_file_read(path, 65536, &text, &size, NULL), WEIR_OK);
    bool traced = strstr(text, "TracerPid:\t0\n") == NULL;
    bool stopped = strstr(text, "State:\tT") != NULL || strstr(text, "State:\tt") != NULL;
    free(text);
    return !traced && !stopped;
}

/* A signal takes its moment to arrive. */
static void assert_free(pid_t pid)
{
    uint64_t end = wr_clock_ns() + PATIENCE_MS * WR_NS_PER_MS;
    while (!is_free(pid)) {
        assert_true(wr_clock_ns() < end);
        sched_yield();
    }
}

static void put_in_place_of_gdb(fixture *fix, const char *script)
{
    FILE *file;
    char path[512];
    assert_int_equal(wr_folder_create_private("weir-test", &fix->folder, NULL), WEIR_OK);
    (void)snprintf(path, sizeof(path), "%s/gdb", fix->folder);
    assert_int_equal(wr_file_create(path, &file, NULL), WEIR_OK);
    assert_true(fputs(script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(setenv("PATH", fix->folder, 1), 0);
}

static bool has_gdb(void)
{
    return system("gdb --version >/dev/null 2>&1") == 0;
}

static void gdb_tells_the_stacks_of_all_threads(void **state)
{
    fixture *fix = *state;
    if (!has_gdb()) {
        skip();
    }
    dump_it(fix);
    assert_says(fix, "hang_for_ever");
    assert_says(fix, "main");
    assert_says(fix, "Thread 1 ");
    assert_says(fix, "Thread 2 ");
    assert_false(says(fix, "[Inferior"));
    assert_free(fix->target);
}

static void a_stopped_process_is_dumped_and_runs_afterwards(void **state)
{
    fixture *fix = *state;
    int status;
    assert_int_equal(kill(fix->target, SIGSTOP), 0);
    assert_int_equal(waitpid(fix->target, &status, WUNTRACED), fix->target);
    assert_true(WIFSTOPPED(status));
    dump_it(fix);
    assert_says(fix, "stopped by a signal");
    if (has_gdb()) {
        assert_says(fix, "hang_for_ever");
    }
    assert_free(fix->target);
}

static void without_gdb_the_system_tells(void **state)
{
    fixture *fix = *state;
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    dump_it(fix);
    assert_says(fix, "gdb");
    assert_says(fix, "\"hanging\": ");
    assert_says(fix, "ms of processor time");
    assert_true(fix->lines >= 3); /* the reason and two threads; a sanitizer has one more */
}

static void a_debugger_that_may_not_look_is_named_as_the_reason(void **state)
{
    fixture *fix = *state;
    put_in_place_of_gdb(fix, "#!/bin/sh\necho 'ptrace: Operation not permitted.'\nexit 1\n");
    dump_it(fix);
    assert_says(fix, "ptrace: Operation not permitted.");
    assert_says(fix, "\"hanging\": ");
}

static void a_debugger_that_hangs_is_ended(void **state)
{
    fixture *fix = *state;
    put_in_place_of_gdb(fix, "#!/bin/sh\necho 'Thread 1 (x)'\nexec /bin/sleep 100000\n");
    fix->timeout_ms = 50;
    dump_it(fix);
    assert_true(says(fix, "too slow"));
}

static void a_debugger_that_talks_for_ever_is_ended(void **state)
{
    fixture *fix = *state;
    put_in_place_of_gdb(fix, "#!/bin/sh\nwhile :; do echo '#1 again'; done\n");
    dump_it(fix);
    assert_says(fix, "and more lines");
    assert_int_equal(fix->lines, WR_STACK_DUMP_LINES + 1);
}

static void a_process_that_is_gone_is_an_error(void **state)
{
    fixture *fix = *state;
    pid_t target = fix->target;
    pid_t gone = fork();
    if (gone == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    fix->target = gone;
    wr_loop_call(fix->loop, start_on_loop, fix);
    fix->target = target;
    assert_int_equal(fix->started, WEIR_ERR_NOT_FOUND);
}

static void a_process_that_dies_meanwhile_does_no_harm(void **state)
{
    fixture *fix = *state;
    assert_int_equal(kill(fix->target, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)fix->target, &info, WEXITED | WNOWAIT), 0);
    dump_it(fix);
    assert_true(fix->lines > 0);
}

static void destroy_on_loop(void *arg)
{
    fixture *fix = arg;
    if (!fix->done) {
        wr_stack_dump_destroy(fix->dump);
    }
}

static void a_dump_can_be_ended_at_any_time(void **state)
{
    fixture *fix = *state;
    unsigned seed = (unsigned)wr_clock_ns();
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < CANCELS; i++) {
        uint64_t until = wr_clock_ns() + (uint64_t)rand_r(&seed) % 400 * WR_NS_PER_MS;
        fix->done = false;
        fix->lines = 0;
        wr_loop_call(fix->loop, start_on_loop, fix);
        wr_mutex_lock(&fix->lock);
        while (!fix->done && wr_cond_wait_until(&fix->changed, &fix->lock, until)) {
        }
        wr_mutex_unlock(&fix->lock);
        wr_loop_call(fix->loop, destroy_on_loop, fix);
        assert_free(fix->target);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--hang") == 0) {
        return hang();
    }
    const struct CMUnitTest tests[] = {
        TEST(gdb_tells_the_stacks_of_all_threads),
        TEST(a_stopped_process_is_dumped_and_runs_afterwards),
        TEST(without_gdb_the_system_tells),
        TEST(a_debugger_that_may_not_look_is_named_as_the_reason),
        TEST(a_debugger_that_hangs_is_ended),
        TEST(a_debugger_that_talks_for_ever_is_ended),
        TEST(a_process_that_is_gone_is_an_error),
        TEST(a_process_that_dies_meanwhile_does_no_harm),
        TEST(a_dump_can_be_ended_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
