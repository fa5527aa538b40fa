/* SPDX-License-Identifier: MIT
 *
 * Run folders: private, locked, and swept after whoever was killed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/run_folder.h"

static wr_run_folder *open_folder(void)
{
    wr_run_folder *folder = NULL;
    wr_error error = {.code = WEIR_OK};
    if (wr_run_folder_open(&folder, &error) != WEIR_OK) {
        fail_msg("%s", error.text);
    }
    return folder;
}

static void touch(const char *folder, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void it_is_private_and_gone_at_the_end(void **state)
{
    (void)state;
    wr_run_folder *folder = open_folder();
    char path[256];
    (void)snprintf(path, sizeof(path), "%s", wr_run_folder_path(folder));
    struct stat what;
    assert_int_equal(stat(path, &what), 0);
    assert_int_equal(what.st_mode & 0777, 0700);
    touch(path, "m1");
    wr_run_folder_close(folder);
    assert_false(wr_file_exists(path));
}

static void one_that_is_in_use_is_left_alone(void **state)
{
    (void)state;
    wr_run_folder *first = open_folder();
    touch(wr_run_folder_path(first), "m1");
    wr_run_folder *second = open_folder();
    assert_true(wr_file_exists(wr_run_folder_path(first)));
    assert_string_not_equal(wr_run_folder_path(first), wr_run_folder_path(second));
    wr_run_folder_close(second);
    wr_run_folder_close(first);
}

/* A process that opens a run folder, says where, and waits to be killed. */
static pid_t run_and_tell(char *path, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        wr_run_folder *folder = open_folder();
        touch(wr_run_folder_path(folder), "m1");
        const char *where = wr_run_folder_path(folder);
        if (write(ends[1], where, strlen(where)) < 0) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    close(ends[1]);
    ssize_t got = read(ends[0], path, size - 1);
    close(ends[0]);
    assert_true(got > 0);
    path[got] = '\0';
    return child;
}

static void what_a_killed_process_left_is_removed_by_the_next(void **state)
{
    (void)state;
    char path[256];
    pid_t child = run_and_tell(path, sizeof(path));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(wr_file_exists(path));
    wr_run_folder *next = open_folder();
    assert_false(wr_file_exists(path));
    wr_run_folder_close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_private_and_gone_at_the_end),
        cmocka_unit_test(one_that_is_in_use_is_left_alone),
        cmocka_unit_test(what_a_killed_process_left_is_removed_by_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
