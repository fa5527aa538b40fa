/* SPDX-License-Identifier: MIT
 *
 * A fresh folder for each test, and files in it as text.
 */
#ifndef LOGGER_TEST_FOLDER_H
#define LOGGER_TEST_FOLDER_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#define TEST_PATH_MAX 512u

typedef struct test_folder {
    char path[TEST_PATH_MAX / 2];
    char file[TEST_PATH_MAX]; /* a file in it, which does not exist at first */
} test_folder;

static inline void test_folder_init(test_folder *folder)
{
    uv_fs_t request;
    assert_int_equal(uv_fs_mkdtemp(NULL, &request, "/tmp/weir-logger-XXXXXX", NULL), 0);
    (void)snprintf(folder->path, sizeof(folder->path), "%s", request.path);
    (void)snprintf(folder->file, sizeof(folder->file), "%s/log.txt", folder->path);
    uv_fs_req_cleanup(&request);
}

static inline void test_folder_deinit(test_folder *folder)
{
    uv_fs_t request;
    (void)remove(folder->file);
    uv_fs_rmdir(NULL, &request, folder->path, NULL);
    uv_fs_req_cleanup(&request);
}

static inline void file_put(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The whole file with a NUL behind it; the caller frees it. */
static inline char *file_get(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = calloc(1, *size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    (void)fclose(file);
    return data;
}

static inline void assert_file_is(const char *path, const char *expected)
{
    size_t size;
    char *data = file_get(path, &size);
    assert_string_equal(data, expected);
    assert_int_equal(size, strlen(expected));
    free(data);
}

/* The file as JSON, which must be an array; the caller decrefs it. */
static inline json_t *file_json(const char *path)
{
    json_error_t wrong;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL) {
        fail_msg("%s:%d: %s", path, wrong.line, wrong.text);
    }
    assert_true(json_is_array(json));
    return json;
}

#endif
