/* SPDX-License-Identifier: MIT
 *
 * Tests of finding a program, and of the reasons why one cannot run.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/process.h"

#define EXIT_OF_SCRIPT 5
#define SCRIPT "#!/bin/sh\nexit 5\n"

typedef struct place {
    char *folder;
    char program[WR_ADDRESS_MAX + 1];
    char *path_before; /* the variable PATH */
} place;

static int make_place(void **state)
{
    static place where;
    *state = &where;
    if (wr_folder_create_private("weir-test", &where.folder, NULL) != WEIR_OK) {
        return -1;
    }
    (void)snprintf(where.program, sizeof(where.program), "%s/program", where.folder);
    where.path_before = strdup(getenv("PATH"));
    return where.path_before != NULL ? 0 : -1;
}

static int remove_place(void **state)
{
    place *where = *state;
    (void)setenv("PATH", where->path_before, 1);
    free(where->path_before);
    wr_file_remove(where->program);
    wr_file_remove(where->folder);
    bool gone = !wr_file_exists(where->folder);
    free(where->folder);
    return gone ? 0 : -1;
}

static void write_program(const place *where, const char *text, mode_t mode)
{
    FILE *file = fopen(where->program, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(where->program, mode), 0);
}

static void assert_refused_in(const char *path, const char *working_dir, weir_err wanted,
                              const char *reason)
{
    wr_process_options options = {.path = path, .working_dir = working_dir};
    wr_process *process = NULL;
    wr_error error = {WEIR_OK, ""};
    assert_int_equal(wr_process_spawn(&options, &process, &error), wanted);
    assert_null(process);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, reason));
    assert_int_equal(wr_process_spawn(&options, &process, NULL), wanted);
}

static void assert_refused(const char *path, weir_err wanted, const char *reason)
{
    assert_refused_in(path, NULL, wanted, reason);
}

static void assert_runs(const char *path, const char *working_dir)
{
    wr_process_options options = {.path = path, .working_dir = working_dir};
    wr_process *process = NULL;
    assert_int_equal(wr_process_spawn(&options, &process, NULL), WEIR_OK);
    struct pollfd watched = {(int)wr_process_waitable(process), POLLIN, 0};
    assert_int_equal(poll(&watched, 1, -1), 1);
    wr_process_exit result;
    assert_int_equal(wr_process_reap(process, &result), WEIR_OK);
    assert_false(result.by_signal);
    assert_int_equal(result.value, EXIT_OF_SCRIPT);
    wr_process_destroy(process);
}

static void path_with_a_slash_runs_that_file(void **state)
{
    place *where = *state;
    write_program(where, SCRIPT, 0700);
    assert_runs(where->program, NULL);
}

static void relative_path_starts_at_the_parents_folder(void **state)
{
    place *where = *state;
    write_program(where, SCRIPT, 0700);
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(before >= 0);
    assert_int_equal(chdir(where->folder), 0);
    assert_runs("./program", "/");
    assert_int_equal(setenv("PATH", "/no/such/folder:", 1), 0);
    assert_runs("program", "/");
    assert_int_equal(setenv("PATH", ".:/bin", 1), 0);
    assert_runs("program", "/");
    assert_int_equal(fchdir(before), 0);
    close(before);
}

static void bare_name_is_searched_in_path(void **state)
{
    place *where = *state;
    write_program(where, SCRIPT, 0700);
    char folders[WR_ADDRESS_MAX + 32];
    (void)snprintf(folders, sizeof(folders), "/no/such/folder:%s:/bin", where->folder);
    assert_int_equal(setenv("PATH", folders, 1), 0);
    assert_runs("program", NULL);
    assert_refused("weir-no-such-program", WEIR_ERR_NOT_FOUND, "in PATH");
}

static void bare_name_of_a_file_not_executable_is_denied(void **state)
{
    place *where = *state;
    write_program(where, SCRIPT, 0600);
    assert_int_equal(setenv("PATH", where->folder, 1), 0);
    assert_refused("program", WEIR_ERR_DENIED, "may not be run");
}

static void empty_path_is_not_found(void **state)
{
    (void)state;
    assert_refused("", WEIR_ERR_NOT_FOUND, "empty");
}

static void missing_program_is_not_found(void **state)
{
    place *where = *state;
    assert_refused(where->program, WEIR_ERR_NOT_FOUND, "No such file");
}

static void file_not_executable_is_denied(void **state)
{
    place *where = *state;
    write_program(where, SCRIPT, 0600);
    assert_refused(where->program, WEIR_ERR_DENIED, "not executable");
}

static void folder_is_no_program(void **state)
{
    place *where = *state;
    assert_refused(where->folder, WEIR_ERR_DENIED, "it is a folder");
}

static void missing_interpreter_is_named_as_the_reason(void **state)
{
    place *where = *state;
    write_program(where, "#!/no/such/interpreter\n", 0700);
    assert_refused(where->program, WEIR_ERR_NOT_FOUND, "interpreter");
}

static void file_of_another_format_is_no_program(void **state)
{
    place *where = *state;
    write_program(where, "just text\n", 0700);
    assert_refused(where->program, WEIR_ERR_IO, "#!");
}

static void missing_working_folder_is_named_as_the_reason(void **state)
{
    (void)state;
    assert_refused_in("/bin/sh", "/no/such/folder", WEIR_ERR_NOT_FOUND,
                      "working folder '/no/such/folder'");
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(path_with_a_slash_runs_that_file),
        PLACED(relative_path_starts_at_the_parents_folder),
        PLACED(bare_name_is_searched_in_path),
        PLACED(bare_name_of_a_file_not_executable_is_denied),
        PLACED(empty_path_is_not_found),
        PLACED(missing_program_is_not_found),
        PLACED(file_not_executable_is_denied),
        PLACED(folder_is_no_program),
        PLACED(missing_interpreter_is_named_as_the_reason),
        PLACED(file_of_another_format_is_no_program),
        PLACED(missing_working_folder_is_named_as_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
