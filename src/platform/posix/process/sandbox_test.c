/* SPDX-License-Identifier: MIT
 *
 * Sandboxes, each restriction by itself, with the shell as the one who tries. (Modules that try
 * harder are in tests/integration/test_sandbox.py.) What the kernel does not have is not tested,
 * and said so; likewise what only root can set up.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/process.h"
#include "platform/sandbox.h"

#define OUTPUT_MAX 4096u
#define SOME_USER 61234u
#define NO_LIMITS                                                                                  \
    {                                                                                              \
        WR_LIMIT_INHERITED, WR_LIMIT_INHERITED, WR_LIMIT_INHERITED, WR_LIMIT_INHERITED,            \
            WR_LIMIT_INHERITED, WR_LIMIT_INHERITED                                                 \
    }

/* Nothing but what every sandbox takes away. */
static const wr_sandbox_options nothing_more = {.limits = NO_LIMITS, .network = true};

static void read_all(wr_process *process, char out[OUTPUT_MAX])
{
    wr_stream *stream = wr_process_output(process);
    size_t used = 0;
    weir_err err = WEIR_OK;
    while (err != WEIR_ERR_CLOSED) {
        struct pollfd watched = {(int)wr_stream_waitable(stream), POLLIN, 0};
        assert_int_equal(poll(&watched, 1, -1), 1);
        size_t got = 0;
        err = wr_stream_read(stream, out + used, OUTPUT_MAX - 1 - used, &got);
        assert_true(err == WEIR_OK || err == WEIR_ERR_CLOSED);
        used += err == WEIR_OK ? got : 0;
    }
    out[used] = '\0';
}

static wr_sandbox *create(const wr_sandbox_options *options)
{
    wr_sandbox *sandbox = NULL;
    wr_error error = {.code = WEIR_OK};
    if (wr_sandbox_create(options, &sandbox, &error) != WEIR_OK) {
        fail_msg("%s", error.text);
    }
    return sandbox;
}

/* What the shell prints of this script in a sandbox; the way that it ended. */
static wr_process_exit run(const wr_sandbox_options *options, const char *script,
                           char out[OUTPUT_MAX])
{
    wr_sandbox *sandbox = create(options);
    const char *const args[] = {"-c", script, NULL};
    const wr_process_options how = {
        .path = "/bin/sh", .args = args, .working_dir = "/", .sandbox = sandbox};
    wr_process *process = NULL;
    wr_error error = {.code = WEIR_OK};
    if (wr_process_spawn(&how, &process, &error) != WEIR_OK) {
        fail_msg("%s", error.text);
    }
    wr_sandbox_destroy(sandbox);
    read_all(process, out);
    struct pollfd ended = {(int)wr_process_waitable(process), POLLIN, 0};
    assert_int_equal(poll(&ended, 1, -1), 1);
    wr_process_exit result;
    assert_int_equal(wr_process_reap(process, &result), WEIR_OK);
    wr_process_destroy(process);
    return result;
}

static void assert_prints(const wr_sandbox_options *options, const char *script, const char *wanted)
{
    char out[OUTPUT_MAX];
    (void)run(options, script, out);
    assert_string_equal(out, wanted);
}

/* Everything that the kernel can do is asked for; is all there? Says what is not. */
static bool is_enforced(const wr_sandbox_options *options)
{
    wr_sandbox *sandbox = create(options);
    const char *missing = wr_sandbox_missing(sandbox);
    bool enforced = missing[0] == '\0';
    if (!enforced) {
        print_message("not tested, this system lacks %s\n", missing);
    }
    wr_sandbox_destroy(sandbox);
    return enforced;
}

static void skip_unless_root(void)
{
    if (geteuid() != 0) {
        print_message("not tested, only root can become another user\n");
        skip();
    }
}

static void every_sandbox_drops_all_privileges(void **state)
{
    (void)state;
    assert_prints(&nothing_more,
                  "grep -E '^(CapPrm|CapEff|CapInh|CapAmb|NoNewPrivs)' /proc/self/status",
                  "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                  "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

static void every_sandbox_leads_a_session_without_a_terminal(void **state)
{
    (void)state;
    char out[OUTPUT_MAX];
    /* pid, name, state, parent, group, session, terminal */
    (void)run(&nothing_more,
              "read pid name state parent group session terminal rest "
              "</proc/$$/stat; [ $session = $pid -a $group = $pid ] && "
              "echo terminal $terminal; : </dev/tty",
              out);
    assert_non_null(strstr(out, "terminal 0\n"));
    assert_non_null(strstr(out, "/dev/tty"));
}

static void limits_are_those_of_the_options(void **state)
{
    (void)state;
    wr_sandbox_options options = {.limits = {1u << 28, 100, 20, 30, 512, 1024}, .network = true};
    assert_prints(&options,
                  "ulimit -v; ulimit -t; ulimit -n; ulimit -Hn; ulimit -p; ulimit -c; ulimit -f",
                  "262144\n100\n20\n20\n30\n1\n2\n");
}

static void limit_is_never_raised(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    char before[OUTPUT_MAX];
    char after[OUTPUT_MAX];
    (void)run(&options, "ulimit -Hn", before);
    options.limits[WR_LIMIT_FILES] = WR_LIMIT_INHERITED - 1;
    (void)run(&options, "ulimit -Hn", after);
    assert_string_equal(before, after);
}

static void processor_time_ends_with_a_signal(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    options.limits[WR_LIMIT_CPU] = 1;
    char out[OUTPUT_MAX];
    wr_process_exit result = run(&options, "trap '' XCPU; while :; do :; done", out);
    assert_true(result.by_signal);
    assert_int_equal(result.value, 9);
}

static void user_is_another_without_other_groups(void **state)
{
    (void)state;
    skip_unless_root();
    wr_sandbox_options options = nothing_more;
    options.change_user = true;
    options.user = SOME_USER;
    options.group = SOME_USER + 1;
    assert_prints(&options, "grep -E '^(Uid|Gid|Groups)' /proc/self/status",
                  "Uid:\t61234\t61234\t61234\t61234\nGid:\t61235\t61235\t61235\t61235\n"
                  "Groups:\t \n");
}

/* In a process of its own, as it does not come back. The exit status: 0, the launch fails as it
 * must. */
_Noreturn static void launch_as_somebody(const wr_sandbox *sandbox)
{
    if (geteuid() == 0 && setresuid(SOME_USER, SOME_USER, SOME_USER) != 0) {
        _exit(1);
    }
    wr_process *process = NULL;
    wr_error error = {.code = WEIR_OK};
    const wr_process_options how = {.path = "/bin/sh", .sandbox = sandbox};
    weir_err err = wr_process_spawn(&how, &process, &error);
    bool named = strstr(error.text, "cannot become the user of its sandbox") != NULL;
    _exit(err == WEIR_ERR_DENIED && named ? 0 : 1);
}

static void user_cannot_be_changed_without_the_right_to(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    options.change_user = true;
    wr_sandbox *sandbox = create(&options);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        launch_as_somebody(sandbox);
    }
    wr_sandbox_destroy(sandbox);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void process_limit_cannot_hold_root(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    options.limits[WR_LIMIT_PROCESSES] = 10;
    options.change_user = true;
    options.user = 0;
    wr_sandbox *sandbox = create(&options);
    assert_non_null(strstr(wr_sandbox_missing(sandbox), "root has no such limit"));
    wr_sandbox_destroy(sandbox);
    options.user = SOME_USER;
    assert_true(is_enforced(&options));
}

/* A folder with the files in/a, out/b and a link to the latter. */
typedef struct files {
    char folder[64], in[80], out[80], a[96], b[96], link[96];
} files;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static files make_files(void)
{
    files made = {.folder = "/tmp/weir-sandbox-XXXXXX"};
    assert_non_null(mkdtemp(made.folder));
    assert_int_equal(chmod(made.folder, 0755), 0);
    (void)snprintf(made.in, sizeof(made.in), "%s/in", made.folder);
    (void)snprintf(made.out, sizeof(made.out), "%s/out", made.folder);
    (void)snprintf(made.a, sizeof(made.a), "%s/a", made.in);
    (void)snprintf(made.b, sizeof(made.b), "%s/b", made.out);
    (void)snprintf(made.link, sizeof(made.link), "%s/link", made.in);
    assert_int_equal(mkdir(made.in, 0755) + mkdir(made.out, 0755), 0);
    write_file(made.a, "inside");
    write_file(made.b, "outside");
    assert_int_equal(symlink(made.b, made.link), 0);
    return made;
}

static void remove_files(const files *made)
{
    char more[128];
    (void)snprintf(more, sizeof(more), "%s/new", made->in);
    (void)unlink(more);
    (void)unlink(made->link);
    (void)unlink(made->a);
    (void)unlink(made->b);
    (void)rmdir(made->in);
    (void)rmdir(made->out);
    assert_int_equal(rmdir(made->folder), 0);
}

/* A line for each thing that can be done to the files: "a read", "a write", ... */
static const char attempts[] = "for f in in/a in/link out/b; do"
                               "  cat $f >/dev/null 2>&1 && echo $f read;"
                               "  (: >>$f) 2>/dev/null && echo $f write;"
                               "done; "
                               "(: >in/new) 2>/dev/null && echo in/new make; "
                               "rm out/b 2>/dev/null && echo out/b remove; "
                               "ls out >/dev/null 2>&1 && echo out list; true";

static void assert_can(wr_sandbox_options *options, const files *made, const char *wanted)
{
    char script[1024];
    (void)snprintf(script, sizeof(script), "cd %s; %s", made->folder, attempts);
    assert_prints(options, script, wanted);
}

static void paths_are_all_that_can_be_read_and_written(void **state)
{
    (void)state;
    files made = make_files();
    const char *const read[] = {made.in, "/bin", "/usr/bin", NULL};
    const char *const write[] = {made.in, NULL};
    wr_sandbox_options options = nothing_more;
    options.confine = true;
    options.read = read;
    if (!is_enforced(&options)) {
        remove_files(&made);
        skip();
    }
    assert_can(&options, &made, "in/a read\n");
    options.write = write;
    assert_can(&options, &made, "in/a read\nin/a write\nin/new make\n");
    remove_files(&made);
}

static void without_paths_files_are_as_open_as_ever(void **state)
{
    (void)state;
    files made = make_files();
    wr_sandbox_options options = nothing_more;
    assert_can(&options, &made,
               "in/a read\nin/a write\nin/link read\nin/link write\nout/b read\nout/b write\n"
               "in/new make\nout/b remove\nout list\n");
    remove_files(&made);
}

static void socket_folder_takes_sockets_only(void **state)
{
    (void)state;
    files made = make_files();
    const char *const read[] = {"/bin", "/usr/bin", NULL};
    wr_sandbox_options options = nothing_more;
    options.confine = true;
    options.read = read;
    const char *const sockets[] = {made.in, NULL};
    options.sockets = sockets;
    if (!is_enforced(&options)) {
        remove_files(&made);
        skip();
    }
    assert_can(&options, &made, "");
    char script[256];
    (void)snprintf(script, sizeof(script), "rm %s && echo removed", made.link);
    assert_prints(&options, script, "removed\n");
    remove_files(&made);
}

static void path_that_does_not_exist_is_named(void **state)
{
    (void)state;
    const char *const read[] = {"/no/such/folder", NULL};
    wr_sandbox_options options = nothing_more;
    options.confine = true;
    if (!is_enforced(&options)) {
        skip();
    }
    options.read = read;
    wr_sandbox *sandbox = NULL;
    wr_error error = {.code = WEIR_OK};
    assert_int_equal(wr_sandbox_create(&options, &sandbox, &error), WEIR_ERR_NOT_FOUND);
    assert_string_equal(error.text,
                        "cannot let the sandbox have '/no/such/folder': No such file or directory");
}

static void program_outside_of_the_paths_is_not_run(void **state)
{
    (void)state;
    const char *const read[] = {"/etc", NULL};
    wr_sandbox_options options = nothing_more;
    options.confine = true;
    options.read = read;
    if (!is_enforced(&options)) {
        skip();
    }
    wr_sandbox *sandbox = create(&options);
    wr_process *process = NULL;
    wr_error error = {.code = WEIR_OK};
    const wr_process_options how = {.path = "/bin/cat", .sandbox = sandbox};
    assert_int_equal(wr_process_spawn(&how, &process, &error), WEIR_ERR_DENIED);
    assert_non_null(strstr(error.text, "cannot run '/bin/cat': its sandbox lets it not"));
    wr_sandbox_destroy(sandbox);
}

static void signals_stay_in_the_sandbox(void **state)
{
    (void)state;
    if (!is_enforced(&nothing_more)) {
        skip();
    }
    char out[OUTPUT_MAX];
    (void)run(&nothing_more, "kill -0 $PPID || echo no; sleep 100 & kill $! && echo yes", out);
    assert_non_null(strstr(out, "no\n"));
    assert_non_null(strstr(out, "yes\n"));
}

static void filter_lets_a_shell_and_its_programs_run(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    options.filter = true;
    options.network = false;
    assert_prints(&options,
                  "echo one | cat; (exit 3); echo $?; ls -d /; date >/dev/null && env true",
                  "one\n3\n/\n");
}

static void filter_refuses_name_spaces_and_leaving_the_group(void **state)
{
    (void)state;
    wr_sandbox_options options = nothing_more;
    char out[OUTPUT_MAX];
    (void)run(&options, "setsid -w true && echo left", out);
    assert_string_equal(out, "left\n");
    options.filter = true;
    (void)run(&options, "setsid -w true && echo left; unshare -U true && echo out", out);
    assert_non_null(strstr(out, "setsid"));
    assert_non_null(strstr(out, "unshare"));
    assert_null(strstr(out, "left\n"));
    assert_null(strstr(out, "out\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sandbox_drops_all_privileges),
        cmocka_unit_test(every_sandbox_leads_a_session_without_a_terminal),
        cmocka_unit_test(limits_are_those_of_the_options),
        cmocka_unit_test(limit_is_never_raised),
        cmocka_unit_test(processor_time_ends_with_a_signal),
        cmocka_unit_test(user_is_another_without_other_groups),
        cmocka_unit_test(user_cannot_be_changed_without_the_right_to),
        cmocka_unit_test(process_limit_cannot_hold_root),
        cmocka_unit_test(paths_are_all_that_can_be_read_and_written),
        cmocka_unit_test(without_paths_files_are_as_open_as_ever),
        cmocka_unit_test(socket_folder_takes_sockets_only),
        cmocka_unit_test(path_that_does_not_exist_is_named),
        cmocka_unit_test(program_outside_of_the_paths_is_not_run),
        cmocka_unit_test(signals_stay_in_the_sandbox),
        cmocka_unit_test(filter_lets_a_shell_and_its_programs_run),
        cmocka_unit_test(filter_refuses_name_spaces_and_leaving_the_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
