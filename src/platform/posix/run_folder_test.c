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

#define PATH_SIZE 256

/* A file of that kind (S_IFSOCK, S_IFREG) in the folder. */
static void make_file(const char *folder, const char *name, mode_t kind)
{
    char path[PATH_SIZE + 16];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(mknod(path, kind | 0600, 0), 0);
}

static void it_is_private_and_gone_at_the_end(void **state)
{
    (void)state;
    wr_run_folder *folder = open_folder();
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s", wr_run_folder_path(folder));
    struct stat what;
    assert_int_equal(stat(path, &what), 0);
    assert_int_equal(what.st_mode & 0777, 0700);
    make_file(path, "m1", S_IFSOCK);
    wr_run_folder_close(folder);
    assert_false(wr_file_exists(path));
}

static void one_that_is_in_use_is_left_alone(void **state)
{
    (void)state;
    wr_run_folder *first = open_folder();
    make_file(wr_run_folder_path(first), "m1", S_IFSOCK);
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
        make_file(wr_run_folder_path(folder), "m1", S_IFSOCK);
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
    char path[PATH_SIZE];
    pid_t child = run_and_tell(path, sizeof(path));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(wr_file_exists(path));
    wr_run_folder *next = open_folder();
    assert_false(wr_file_exists(path));
    wr_run_folder_close(next);
}

static void a_persons_own_folder_of_that_name_keeps_its_files(void **state)
{
    (void)state;
    wr_run_folder *first = open_folder();
    char own[PATH_SIZE];
    (void)snprintf(own, sizeof(own), "%s-notes", wr_run_folder_path(first));
    assert_int_equal(mkdir(own, 0700), 0);
    make_file(own, "letter", S_IFREG);
    wr_run_folder_close(open_folder());
    char letter[PATH_SIZE + 16];
    (void)snprintf(letter, sizeof(letter), "%s/letter", own);
    assert_true(wr_file_exists(letter));
    wr_file_remove(letter);
    wr_file_remove(own);
    wr_run_folder_close(first);
}

static void skip_unless_root(void)
{
    if (geteuid() != 0) {
        print_message("not tested, only root can give a folder away\n");
        skip();
    }
}

static wr_run_folder *open_folder_for(uint32_t user, uint32_t group)
{
    wr_run_folder *folder = NULL;
    wr_error error = {.code = WEIR_OK};
    if (wr_run_folder_open_for(user, group, &folder, &error) != WEIR_OK) {
        fail_msg("%s", error.text);
    }
    return folder;
}

static void assert_folder(const char *path, unsigned mode, uint32_t user, uint32_t group)
{
    struct stat what;
    assert_int_equal(stat(path, &what), 0);
    assert_int_equal(what.st_mode & 07777, mode);
    assert_int_equal(what.st_uid, user);
    assert_int_equal(what.st_gid, group);
}

static void one_for_another_user_is_that_users_alone(void **state)
{
    (void)state;
    skip_unless_root();
    wr_run_folder *folder = open_folder_for(61234, 61235);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s", wr_run_folder_path(folder));
    assert_folder(path, 0700, 61234, 61235);
    make_file(path, "m1", S_IFSOCK);
    *strrchr(path, '/') = '\0';
    assert_folder(path, 0711, 0, getegid());
    wr_run_folder_close(folder);
    assert_false(wr_file_exists(path));
}

static void one_for_another_user_is_where_that_user_can_reach_it(void **state)
{
    (void)state;
    skip_unless_root();
    char closed[] = "/tmp/weir-closed-XXXXXX";
    assert_non_null(mkdtemp(closed));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", closed, 1), 0);
    wr_run_folder *own = open_folder();
    wr_run_folder *theirs = open_folder_for(61234, 61234);
    assert_int_equal(strncmp(wr_run_folder_path(own), closed, strlen(closed)), 0);
    assert_int_not_equal(strncmp(wr_run_folder_path(theirs), closed, strlen(closed)), 0);
    wr_run_folder_close(theirs);
    assert_int_equal(chmod(closed, 0711), 0);
    theirs = open_folder_for(61234, 61234);
    assert_int_equal(strncmp(wr_run_folder_path(theirs), closed, strlen(closed)), 0);
    wr_run_folder_close(theirs);
    wr_run_folder_close(own);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    assert_int_equal(rmdir(closed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_private_and_gone_at_the_end),
        cmocka_unit_test(one_that_is_in_use_is_left_alone),
        cmocka_unit_test(what_a_killed_process_left_is_removed_by_the_next),
        cmocka_unit_test(one_for_another_user_is_that_users_alone),
        cmocka_unit_test(one_for_another_user_is_where_that_user_can_reach_it),
        cmocka_unit_test(a_persons_own_folder_of_that_name_keeps_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
