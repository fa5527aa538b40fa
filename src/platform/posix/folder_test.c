/* SPDX-License-Identifier: MIT
 *
 * Private folders. (What is special to crash reports is tested there.)
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/folder.h"

static int setup(void **state)
{
    char *folder = NULL;
    weir_err err = wr_folder_create_private("weir-test", &folder, NULL);
    *state = folder;
    return err == WEIR_OK && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    weir_err err = wr_folder_remove(*state, NULL);
    free(*state);
    return err == WEIR_OK ? 0 : -1;
}

static void a_folder_is_made_once(void **state)
{
    (void)state;
    assert_int_equal(wr_folder_make("one", NULL), WEIR_OK);
    assert_int_equal(wr_folder_make("one", NULL), WEIR_ERR_EXISTS);
    assert_int_equal(wr_folder_ensure("one", NULL), WEIR_OK);
    assert_int_equal(wr_folder_make("missing/two", NULL), WEIR_ERR_NOT_FOUND);
    assert_int_equal(wr_folder_remove("one", NULL), WEIR_OK);
    assert_int_equal(wr_folder_remove("one", NULL), WEIR_ERR_NOT_FOUND);
}

static void a_folder_of_somebody_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a folder away */
    }
    assert_int_equal(wr_folder_make("one", NULL), WEIR_OK);
    assert_int_equal(chown("one", 12345, (gid_t)-1), 0);
    wr_error error = {.code = WEIR_OK};
    assert_int_equal(wr_folder_ensure("one", &error), WEIR_ERR_DENIED);
    assert_non_null(strstr(wr_error_text(&error), "user 12345"));
    assert_int_equal(wr_folder_remove("one", NULL), WEIR_OK);
}

static void a_file_is_made_once_and_never_through_a_link(void **state)
{
    (void)state;
    FILE *file = NULL;
    assert_int_equal(wr_file_create("file", &file, NULL), WEIR_OK);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(wr_file_create("file", &file, NULL), WEIR_ERR_EXISTS);
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(wr_file_create("link", &file, NULL), WEIR_ERR_EXISTS);
    assert_false(wr_file_exists("target"));
}

static void a_link_to_a_folder_is_not_followed_when_removing(void **state)
{
    (void)state;
    assert_int_equal(wr_folder_make("kept", NULL), WEIR_OK);
    assert_int_equal(symlink("kept", "alias"), 0);
    assert_int_not_equal(wr_folder_remove("alias", NULL), WEIR_OK);
    assert_true(wr_file_exists("kept"));
    assert_int_equal(wr_folder_remove("kept", NULL), WEIR_OK);
}

static void a_folder_with_folders_in_it_stays(void **state)
{
    (void)state;
    assert_int_equal(wr_folder_make("outer", NULL), WEIR_OK);
    assert_int_equal(wr_folder_make("outer/inner", NULL), WEIR_OK);
    assert_int_not_equal(wr_folder_remove("outer", NULL), WEIR_OK);
    assert_true(wr_file_exists("outer/inner"));
    assert_int_equal(wr_folder_remove("outer/inner", NULL), WEIR_OK);
    assert_int_equal(wr_folder_remove("outer", NULL), WEIR_OK);
}

static void assert_absolute(const char *path, const char *folder, const char *rest)
{
    char *made = wr_path_absolute(path);
    assert_non_null(made);
    assert_int_equal(strncmp(made, folder, strlen(folder)), 0);
    assert_string_equal(made + strlen(folder), rest);
    free(made);
}

static void paths_are_made_absolute(void **state)
{
    char *here = getcwd(NULL, 0);
    assert_non_null(here);
    (void)state;
    assert_absolute("/a/b", "", "/a/b");
    assert_absolute("a", here, "/a");
    assert_absolute("./a", here, "/a");
    assert_absolute("../a", here, "/../a");
    assert_absolute(".", here, "");
    free(here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_somebody_else_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_made_once_and_never_through_a_link, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_link_to_a_folder_is_not_followed_when_removing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_with_folders_in_it_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(paths_are_made_absolute, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
