/* SPDX-License-Identifier: MIT
 *
 * The logger's file through crashes, full disks and other people's files.
 */
#define _GNU_SOURCE /* setrlimit */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "array_file.h"
#include "test_folder.h"

static const char one[] = "{\"n\":\"1 \\\"]}\\\\\",\"inner\":{\"a\":[1,{}]}}";
static const char two[] = "{\"n\":\"2 \\u005d\"},\n{\"n\":\"3\"}";

static int setup(void **state)
{
    test_folder *folder = calloc(1, sizeof(*folder));
    assert_non_null(folder);
    test_folder_init(folder);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    test_folder_deinit(*state);
    free(*state);
    return 0;
}

static void append(array_file *file, const char *entries)
{
    assert_int_equal(array_file_append(file, entries, strlen(entries)), WEIR_OK);
}

/* Open, expect that many entries, append one, close, and expect one more. */
static void assert_opens_with(const char *path, size_t entries)
{
    array_file file;
    if (array_file_open(&file, path) != WEIR_OK) {
        fail_msg("%s", file.reason);
    }
    json_t *json = file_json(path);
    assert_int_equal(json_array_size(json), entries);
    json_decref(json);
    append(&file, "{\"n\":\"last\"}");
    array_file_close(&file);
    json = file_json(path);
    assert_int_equal(json_array_size(json), entries + 1);
    json_decref(json);
}

static void a_missing_file_is_made(void **state)
{
    test_folder *folder = *state;
    array_file file;
    assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
    assert_file_is(folder->file, "[\n]");
    append(&file, one);
    append(&file, two);
    assert_int_equal(array_file_sync(&file), WEIR_OK);
    array_file_close(&file);
    char expected[256];
    (void)snprintf(expected, sizeof(expected), "[\n%s,\n%s\n]", one, two);
    assert_file_is(folder->file, expected);
}

static void entries_of_before_are_kept(void **state)
{
    static const struct {
        const char *text;
        size_t entries;
    } cases[] = {
        {"", 0},
        {" \n", 0},
        {"[]", 0},
        {" [ ] ", 0},
        {"[\n]", 0},
        {"[{}]", 1},
        {"[\n{\"a\":\"b\"}\n]", 1},
        {"[\n{\"a\":\"b\"}\n]\n", 1},
        {"[{\"a\":\"b\"},\r\n {\"c\": [1, -2.5e3, true, null, [], {}]} ]\n\n\n", 2},
    };
    test_folder *folder = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        file_put(folder->file, cases[i].text, strlen(cases[i].text));
        assert_opens_with(folder->file, cases[i].entries);
    }
}

static void other_peoples_files_are_left_alone(void **state)
{
    static const char *const texts[] = {
        "Dear diary",
        "{\"a\":\"b\"}",
        "\"text\"",
        "[section]\nkey=value\n",
        "[2026-01-01] started\n",
        "[1, 2]",
        "[\"a\"]",
        "[{\"a\":\"b\"}] and more",
        "[{\"a\":\"b\"}]\n[]",
        "[{\"a\" \"b\"}]",
        "[{\"a\":\"\n\"}]",
        "[{\"a\":\"\\x\"}]",
        "[{\"a\":\"\\u00g0\"}]",
        "[{\"a\":}]",
        "[{\"a\":[1,]}]",
        "[{\"a\":[1}]",
        "[{,}]",
        "[,{}]",
        "[{}},",
        "[{}],]",
    };
    test_folder *folder = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        file_put(folder->file, texts[i], strlen(texts[i]));
        array_file file;
        assert_int_equal(array_file_open(&file, folder->file), WEIR_ERR_INVALID);
        assert_non_null(strstr(file.reason, "it was left as it is"));
        assert_file_is(folder->file, texts[i]);
    }
}

static void nesting_has_a_limit(void **state)
{
    test_folder *folder = *state;
    char text[256] = "[{\"a\":";
    memset(text + strlen(text), '[', 100);
    file_put(folder->file, text, strlen(text));
    array_file file;
    assert_int_equal(array_file_open(&file, folder->file), WEIR_ERR_INVALID);
    assert_file_is(folder->file, text);
}

static char *image_of(const char *path, const char *first, const char *second, size_t *size)
{
    array_file file;
    (void)remove(path);
    assert_int_equal(array_file_open(&file, path), WEIR_OK);
    append(&file, first);
    if (second != NULL) {
        append(&file, second);
    }
    array_file_close(&file);
    return file_get(path, size);
}

/* How many of the three entries of `one` and `two` are complete in the first `size` bytes? */
static size_t complete_entries(const char *image, size_t size)
{
    static const char *const ends[] = {"{}]}}", "5d\"}", "\"3\"}"};
    size_t count = 0;
    while (count < 3) {
        const char *end = strstr(image, ends[count]);
        if (end == NULL || end + strlen(ends[count]) > image + size) {
            break;
        }
        count++;
    }
    return count;
}

static void a_file_cut_at_any_byte_is_repaired(void **state)
{
    test_folder *folder = *state;
    size_t size;
    char *image = image_of(folder->file, one, two, &size);
    for (size_t kept = 0; kept <= size; kept++) {
        file_put(folder->file, image, kept);
        assert_opens_with(folder->file, complete_entries(image, kept));
    }
    free(image);
}

/* A killed process: some bytes of the last append are over the old end, the rest is as before. */
static void an_append_that_stopped_at_any_byte_is_repaired(void **state)
{
    test_folder *folder = *state;
    size_t before_size;
    char *before = image_of(folder->file, one, NULL, &before_size);
    size_t after_size;
    char *after = image_of(folder->file, one, two, &after_size);
    for (size_t written = before_size - 2; written <= after_size; written++) {
        char torn[512];
        memcpy(torn, before, before_size);
        memcpy(torn, after, written);
        file_put(folder->file, torn, written > before_size ? written : before_size);
        assert_opens_with(folder->file, complete_entries(after, written));
    }
    free(before);
    free(after);
}

static void zeros_after_a_loss_of_power_are_cut(void **state)
{
    test_folder *folder = *state;
    size_t size;
    char *image = image_of(folder->file, one, two, &size);
    for (size_t kept = 1; kept < size; kept++) {
        char torn[512] = {0};
        memcpy(torn, image, kept);
        file_put(folder->file, torn, size);
        assert_opens_with(folder->file, complete_entries(image, kept));
    }
    free(image);
}

static void a_file_of_zeros_is_begun_again(void **state)
{
    test_folder *folder = *state;
    static const char zeros[100000];
    file_put(folder->file, zeros, sizeof(zeros));
    assert_opens_with(folder->file, 0);
    file_put(folder->file, zeros, 1);
    assert_opens_with(folder->file, 0);
}

static void the_repair_is_told(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[\n{\"a\":\"b\"},\n{\"a", "cut 5 bytes at byte 11"},
        {"[\n{\"a\":\"b\"},]", "cut 2 bytes at byte 11"},
    };
    test_folder *folder = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        file_put(folder->file, cases[i].text, strlen(cases[i].text));
        array_file file;
        assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
        assert_non_null(strstr(file.notice, cases[i].says));
        array_file_close(&file);
        assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
        assert_string_equal(file.notice, "");
        array_file_close(&file);
    }
}

/* The middle of this file is not JSON, so whoever reads it would refuse the file. */
static void a_clean_tail_saves_reading_the_rest(void **state)
{
    test_folder *folder = *state;
    char text[100000];
    memset(text, '?', sizeof(text));
    text[0] = '[';
    memcpy(text + sizeof(text) - 4, "\"}\n]", 4);
    file_put(folder->file, text, sizeof(text));
    array_file file;
    assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
    array_file_close(&file);
}

static void entries_longer_than_a_chunk_are_scanned(void **state)
{
    test_folder *folder = *state;
    enum { LONG = 200000 };
    char *entry = malloc(LONG);
    assert_non_null(entry);
    memset(entry, 'x', LONG);
    memcpy(entry, "{\"n\":\"", 6);
    memcpy(entry + LONG - 3, "\"}", 3);
    size_t size;
    char *image = image_of(folder->file, entry, entry, &size);
    file_put(folder->file, image, size - 1000);
    assert_opens_with(folder->file, 1);
    free(image);
    free(entry);
}

static void a_file_has_one_writer(void **state)
{
    test_folder *folder = *state;
    array_file first;
    array_file second;
    assert_int_equal(array_file_open(&first, folder->file), WEIR_OK);
    char other_name[TEST_PATH_MAX];
    (void)snprintf(other_name, sizeof(other_name), "%s/./log.txt", folder->path);
    assert_int_equal(array_file_open(&second, other_name), WEIR_ERR_IN_USE);
    array_file_close(&second);
    append(&first, one);
    array_file_close(&first);
    assert_opens_with(other_name, 1);
}

static void what_is_no_file_is_refused(void **state)
{
    test_folder *folder = *state;
    array_file file;
    assert_int_equal(array_file_open(&file, folder->path), WEIR_ERR_INVALID);
    assert_non_null(strstr(file.reason, "directory"));
    assert_int_equal(array_file_open(&file, "/dev/null"), WEIR_ERR_INVALID);
    assert_non_null(strstr(file.reason, "not a regular file"));
    char missing[TEST_PATH_MAX];
    (void)snprintf(missing, sizeof(missing), "%s/none/log.txt", folder->path);
    assert_int_equal(array_file_open(&file, missing), WEIR_ERR_NOT_FOUND);
    assert_non_null(strstr(file.reason, missing));
}

static void a_file_emptied_by_others_is_begun_again(void **state)
{
    test_folder *folder = *state;
    array_file file;
    assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
    append(&file, one);
    file_put(folder->file, "", 0);
    append(&file, "{\"n\":\"new\"}");
    array_file_close(&file);
    assert_file_is(folder->file, "[\n{\"n\":\"new\"}\n]");
}

static void limit_files_to(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_leaves_the_file_valid(void **state)
{
    test_folder *folder = *state;
    array_file file;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(array_file_open(&file, folder->file), WEIR_OK);
    append(&file, "{\"n\":\"1\"}");
    char expected[] = "[\n{\"n\":\"1\"}\n]";
    for (rlim_t more = 0; more < strlen(two) + 2; more++) {
        limit_files_to(strlen(expected) + more);
        weir_err err = array_file_append(&file, two, strlen(two));
        limit_files_to(RLIM_INFINITY);
        assert_int_equal(err, WEIR_ERR_IO);
        assert_file_is(folder->file, expected);
    }
    append(&file, two);
    array_file_close(&file);
    assert_opens_with(folder->file, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missing_file_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_of_before_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(other_peoples_files_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(nesting_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_cut_at_any_byte_is_repaired, setup, teardown),
        cmocka_unit_test_setup_teardown(an_append_that_stopped_at_any_byte_is_repaired, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(zeros_after_a_loss_of_power_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_zeros_is_begun_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_repair_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clean_tail_saves_reading_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_longer_than_a_chunk_are_scanned, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_has_one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_emptied_by_others_is_begun_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_file_valid, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
