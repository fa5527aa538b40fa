/* SPDX-License-Identifier: MIT
 *
 * Tests of files and private folders.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place_test.h"
#include "platform/file.h"
#include "platform/stream.h"

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(const char *path, size_t limit, weir_err wanted, const char *reason)
{
    char *data = NULL;
    size_t size = 7;
    wr_error error = {WEIR_OK, ""};
    assert_int_equal(wr_file_read(path, limit, &data, &size, &error), wanted);
    assert_null(data);
    assert_int_equal(size, 7);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, reason));
}

static void read_gives_all_bytes_and_a_nul(void **state)
{
    place *where = *state;
    write_file(where->path, "a\0b", 3);
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(wr_file_read(where->path, 3, &data, &size, NULL), WEIR_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "a\0b", 4);
    free(data);
}

static void read_of_an_empty_file_is_an_empty_text(void **state)
{
    place *where = *state;
    write_file(where->path, "", 0);
    char *data = NULL;
    size_t size = 7;
    assert_int_equal(wr_file_read(where->path, 0, &data, &size, NULL), WEIR_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    free(data);
}

static void read_of_a_file_larger_than_a_chunk_is_whole(void **state)
{
    place *where = *state;
    static char wanted[100000];
    for (size_t i = 0; i < sizeof(wanted); i++) {
        wanted[i] = (char)(i * 31 % 251);
    }
    write_file(where->path, wanted, sizeof(wanted));
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(wr_file_read(where->path, sizeof(wanted), &data, &size, NULL), WEIR_OK);
    assert_int_equal(size, sizeof(wanted));
    assert_memory_equal(data, wanted, sizeof(wanted));
    free(data);
}

static void file_over_the_limit_is_refused(void **state)
{
    place *where = *state;
    write_file(where->path, "abcd", 4);
    assert_refused(where->path, 3, WEIR_ERR_TOO_LARGE, "limit of 3 bytes");
}

static void file_that_lies_about_its_size_is_refused_over_the_limit(void **state)
{
    (void)state;
    assert_refused("/proc/self/status", 10, WEIR_ERR_TOO_LARGE, "limit of 10 bytes");
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(wr_file_read("/proc/self/status", 1000000, &data, &size, NULL), WEIR_OK);
    assert_true(size > 10);
    free(data);
}

static void missing_file_is_not_found(void **state)
{
    place *where = *state;
    assert_refused(where->path, 100, WEIR_ERR_NOT_FOUND, "No such file");
}

static void folder_is_no_file(void **state)
{
    place *where = *state;
    assert_refused(where->folder, 100, WEIR_ERR_INVALID, "is a folder");
}

static void device_is_no_file(void **state)
{
    (void)state;
    assert_refused("/dev/zero", 100, WEIR_ERR_INVALID, "not a regular file");
}

static void pipe_without_a_writer_is_refused_at_once(void **state)
{
    place *where = *state;
    assert_int_equal(mkfifo(where->path, 0600), 0);
    assert_refused(where->path, 100, WEIR_ERR_INVALID, "not a regular file");
}

static void exists_sees_files_of_every_kind(void **state)
{
    place *where = *state;
    assert_true(wr_file_exists(where->folder));
    assert_true(wr_file_exists("/dev/null"));
    assert_false(wr_file_exists(where->path));
    write_file(where->path, "", 0);
    assert_true(wr_file_exists(where->path));
    wr_file_remove(where->path);
    assert_false(wr_file_exists(where->path));
    wr_file_remove(where->path);
}

static void a_lock_ends_with_its_descriptor(void **state)
{
    place *where = *state;
    write_file(where->path, "", 0);
    int first = open(where->path, O_RDWR | O_CLOEXEC);
    int second = open(where->path, O_RDWR | O_CLOEXEC);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(wr_file_lock(first), WEIR_OK);
    assert_int_equal(wr_file_lock(first), WEIR_OK);
    assert_int_equal(wr_file_lock(second), WEIR_ERR_IN_USE);
    close(first);
    assert_int_equal(wr_file_lock(second), WEIR_OK);
    close(second);
    assert_int_equal(wr_file_lock(second), WEIR_ERR_IO);
}

static void private_folder_is_for_this_user_only(void **state)
{
    place *where = *state;
    struct stat what;
    assert_int_equal(stat(where->folder, &what), 0);
    assert_true(S_ISDIR(what.st_mode));
    assert_int_equal(what.st_mode & 07777, 0700);
    assert_int_equal(what.st_uid, geteuid());
    assert_int_equal(where->folder[0], '/');
}

/* Make a private folder while `name` is `value`, and tell whether it is below `root`. */
static bool lands_in(const char *name, const char *value, const char *root)
{
    const char *before = getenv(name);
    char *saved = before != NULL ? strdup(before) : NULL;
    assert_int_equal(setenv(name, value, 1), 0);
    char *folder = NULL;
    assert_int_equal(wr_folder_create_private("weir-test", &folder, NULL), WEIR_OK);
    bool below = strncmp(folder, root, strlen(root)) == 0 && folder[strlen(root)] == '/';
    wr_file_remove(folder);
    free(folder);
    assert_int_equal(saved != NULL ? setenv(name, saved, 1) : unsetenv(name), 0);
    free(saved);
    return below;
}

static void private_folder_is_where_the_environment_says(void **state)
{
    place *where = *state;
    char list[WR_ADDRESS_MAX + 20];
    (void)snprintf(list, sizeof(list), "%s:/nowhere", where->folder);
    assert_true(lands_in("RUNTIME_DIRECTORY", where->folder, where->folder));
    assert_true(lands_in("RUNTIME_DIRECTORY", list, where->folder));
}

static void unusable_place_is_passed_over(void **state)
{
    place *where = *state;
    char deep[WR_ADDRESS_MAX];
    memset(deep, 'd', sizeof(deep));
    deep[0] = '/';
    deep[sizeof(deep) - 1] = '\0';
    assert_false(lands_in("RUNTIME_DIRECTORY", "/no/such/place", "/no/such/place"));
    assert_false(lands_in("RUNTIME_DIRECTORY", "relative", "relative"));
    assert_false(lands_in("RUNTIME_DIRECTORY", deep, deep));
    assert_false(lands_in("RUNTIME_DIRECTORY", "", where->folder));
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(read_gives_all_bytes_and_a_nul),
        PLACED(read_of_an_empty_file_is_an_empty_text),
        PLACED(read_of_a_file_larger_than_a_chunk_is_whole),
        PLACED(file_over_the_limit_is_refused),
        PLACED(file_that_lies_about_its_size_is_refused_over_the_limit),
        PLACED(missing_file_is_not_found),
        PLACED(folder_is_no_file),
        PLACED(device_is_no_file),
        PLACED(pipe_without_a_writer_is_refused_at_once),
        PLACED(exists_sees_files_of_every_kind),
        PLACED(a_lock_ends_with_its_descriptor),
        PLACED(private_folder_is_for_this_user_only),
        PLACED(private_folder_is_where_the_environment_says),
        PLACED(unusable_place_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
