/* SPDX-License-Identifier: MIT
 *
 * The configuration reader with whole files. Every file in tests/integration/config/broken is a
 * test of its own, with the lines that it must be answered with in NAME.expected (FILE and FOLDER
 * stand for the paths); every file in good must be read without a word; and docs/config.md must say
 * what the option tables say.
 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "gateway/config.h"
#include "gateway/config_reader.h"
#include "platform/file.h"

#define FILES_MAX 500u
#define DIR_SIZE 4096
#define PATH_SIZE (DIR_SIZE + 512)
#define FILE_SIZE_MAX (1u << 20)

/* What was said, one line after the other. */
static wr_buffer said = WR_BUFFER_INIT;

static void note(void *user, const char *text)
{
    (void)user;
    wr_buffer_printf(&said, "%s\n", text);
}

static int forget(void **state)
{
    (void)state;
    wr_buffer_deinit(&said);
    return 0;
}

static const char *text_of(const wr_buffer *buffer)
{
    return buffer->data == NULL ? "" : buffer->data;
}

static const char *source_dir(void)
{
#ifdef WEIR_SOURCE_DIR
    return WEIR_SOURCE_DIR;
#else
    static char dir[DIR_SIZE];
    const char *end = strstr(__FILE__, "src/gateway/config_files_test.c");
    size_t size = end == NULL ? 0 : (size_t)(end - __FILE__);
    snprintf(dir, sizeof(dir), "%.*s.", (int)size, __FILE__);
    return dir;
#endif
}

/* `text` with each `old` as `new`; the caller frees it. */
static char *replaced(const char *text, const char *old, const char *new)
{
    wr_buffer out = WR_BUFFER_INIT;
    const char *hit;
    while ((hit = strstr(text, old)) != NULL) {
        wr_buffer_append(&out, text, (size_t)(hit - text));
        wr_buffer_append_text(&out, new);
        text = hit + strlen(old);
    }
    wr_buffer_append_text(&out, text);
    return wr_buffer_take(&out);
}

static void broken_file_is_answered_as_expected(void **state)
{
    const char *path = *state;
    char expected_path[PATH_SIZE + 16];
    const char *slash = strrchr(path, '/');
    snprintf(expected_path, sizeof(expected_path), "%.*s.expected",
             (int)(strlen(path) - strlen(".json")), path);
    char *folder = replaced(path, slash, "");
    char *expected = NULL;
    size_t size = 0;
    assert_int_equal(wr_file_read(expected_path, FILE_SIZE_MAX, &expected, &size, NULL), WEIR_OK);

    wr_config *config = NULL;
    wr_buffer_clear(&said);
    assert_int_equal(wr_config_read(path, note, NULL, &config), WEIR_ERR_CONFIG);
    assert_null(config);
    char *with_file = replaced(text_of(&said), path, "FILE");
    char *with_folder = replaced(with_file, folder, "FOLDER");
    assert_string_equal(with_folder, expected);
    free(with_folder);
    free(with_file);
    free(expected);
    free(folder);
}

static void good_file_is_read_without_a_word(void **state)
{
    wr_config *config = NULL;
    wr_buffer_clear(&said);
    weir_err err = wr_config_read(*state, note, NULL, &config);
    assert_string_equal(text_of(&said), "");
    assert_int_equal(err, WEIR_OK);
    assert_string_equal(config->path, *state);
    wr_config_destroy(config);
}

/* One test for each .json file of a folder below tests/integration/config. */
static size_t add_files(const char *folder, CMUnitTestFunction test, struct CMUnitTest *tests)
{
    char path[PATH_SIZE];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/tests/integration/config/%s", source_dir(), folder);
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir);
         entry != NULL && count < FILES_MAX; entry = readdir(dir)) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending == NULL || strcmp(ending, ".json") != 0) {
            continue;
        }
        size_t size = strlen(path) + strlen(entry->d_name) + 2;
        char *file = malloc(size);
        if (file == NULL) {
            break;
        }
        snprintf(file, size, "%s/%s", path, entry->d_name);
        tests[count++] = (struct CMUnitTest){file + strlen(path) + 1, test, NULL, NULL, file};
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static int run_folder(const char *folder, CMUnitTestFunction test, size_t at_least)
{
    static struct CMUnitTest tests[FILES_MAX];
    size_t count = add_files(folder, test, tests);
    int failed = count < at_least;
    if (failed) {
        fprintf(stderr, "only %zu files in %s\n", count, folder);
    }
    failed += _cmocka_run_group_tests(folder, tests, count, NULL, forget);
    for (size_t i = 0; i < count; i++) {
        free(tests[i].initial_state);
    }
    return failed;
}

static void assert_documents(const char *manual, const wr_option_table *table)
{
    char text[256];
    snprintf(text, sizeof(text), "\n## %s\n", table->title);
    const char *section = strstr(manual, text);
    if (section == NULL) {
        fail_msg("docs/config.md has no section \"%s\"", table->title);
        return;
    }
    const char *end = strstr(section + 1, "\n## ");
    for (size_t i = 0; i < table->count; i++) {
        const wr_option *option = &table->options[i];
        snprintf(text, sizeof(text), "| `%s` | %s", option->key, option->required ? "yes" : "no");
        const char *row = strstr(section, text);
        if (row == NULL || (end != NULL && row > end)) {
            fail_msg("docs/config.md, section \"%s\", has no row %s", table->title, text);
            return;
        }
        snprintf(text, sizeof(text), "%llu to %llu", (unsigned long long)option->min,
                 (unsigned long long)option->max);
        const char *range = strstr(row, text);
        if (option->kind == WR_OPTION_NUMBER && (range == NULL || range > strchr(row + 1, '\n'))) {
            fail_msg("docs/config.md, %s, says not \"%s\"", option->key, text);
        }
    }
}

static void manual_has_every_option_of_the_tables(void **state)
{
    (void)state;
    static const wr_option_table *const tables[] = {
        &wr_file_options,          &wr_gateway_options,      &wr_module_options,
        &wr_loader_use_options,    &wr_loader_options,       &wr_native_options,
        &wr_outprocess_options,    &wr_launch_options,       &wr_link_options,
        &wr_queue_options,         &wr_restart_options,      &wr_heartbeat_options,
        &wr_sandbox_options_table, &wr_sandbox_paths_options};
    char path[PATH_SIZE];
    char *manual = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/docs/config.md", source_dir());
    assert_int_equal(wr_file_read(path, FILE_SIZE_MAX, &manual, &size, NULL), WEIR_OK);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        assert_true(tables[i]->count <= WR_OPTIONS_MAX);
        assert_documents(manual, tables[i]);
    }
    free(manual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_has_every_option_of_the_tables),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += run_folder("broken", broken_file_is_answered_as_expected, 45);
    failed += run_folder("good", good_file_is_read_without_a_word, 5);
    return failed;
}
