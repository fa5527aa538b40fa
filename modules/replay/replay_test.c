/* SPDX-License-Identifier: MIT
 *
 * replay on a host of the test's own.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_host.h"

#define PATH_SIZE 256u
#define MESSAGES 3u

typedef struct fixture {
    fake_host host;
    const weir_module_api *api;
    void *module;
    char path[PATH_SIZE];
    char args[2 * PATH_SIZE];
    size_t offsets[MESSAGES]; /* of the frames in the file */
} fixture;

/* What a frame's header says, and what follows it. */
static void write_frame(FILE *file, unsigned first, uint64_t length, const void *image, size_t size)
{
    unsigned char header[9] = {(unsigned char)first};
    for (unsigned i = 0; i < 8; i++) {
        header[8 - i] = (unsigned char)(length >> (8 * i));
    }
    assert_int_equal(fwrite(header, 1, sizeof(header), file), sizeof(header));
    assert_int_equal(fwrite(image, 1, size, file), size);
}

static void write_message(FILE *file, unsigned number)
{
    weir_message *msg = NULL;
    size_t size = 0;
    assert_int_equal(weir_message_new(NULL, 0, &number, sizeof(number), &msg), WEIR_OK);
    const void *image = weir_message_image(msg, &size);
    write_frame(file, 1, size, image, size);
    weir_message_unref(msg);
}

static FILE *open_file(const fixture *fix, const char *mode)
{
    FILE *file = fopen(fix->path, mode);
    assert_non_null(file);
    return file;
}

static void write_messages(fixture *fix)
{
    FILE *file = open_file(fix, "wb");
    for (unsigned i = 0; i < MESSAGES; i++) {
        fix->offsets[i] = (size_t)ftell(file);
        write_message(file, i);
    }
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    fake_host_init(&fix->host);
    fix->api = weir_module();
    const char *place = getenv("TMPDIR");
    (void)snprintf(fix->path, sizeof(fix->path), "%s/weir-replay-XXXXXX",
                   place == NULL ? "/tmp" : place);
    uv_fs_t made;
    assert_true(uv_fs_mkstemp(NULL, &made, fix->path, NULL) >= 0);
    (void)snprintf(fix->path, sizeof(fix->path), "%s", made.path);
    assert_int_equal(uv_fs_close(NULL, &(uv_fs_t){0}, (uv_file)made.result, NULL), 0);
    uv_fs_req_cleanup(&made);
    write_messages(fix);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;
    fake_host_deinit(&fix->host);
    (void)remove(fix->path);
    free(fix);
    return 0;
}

static const char *args_with(fixture *fix, const char *more)
{
    (void)snprintf(fix->args, sizeof(fix->args), "{\"file\": \"%s\"%s}", fix->path, more);
    return fix->args;
}

static void start_with(fixture *fix, const char *more)
{
    assert_int_equal(fix->api->create(&fix->host.base, args_with(fix, more), &fix->module),
                     WEIR_OK);
    assert_int_equal(fix->host.published, 0);
    assert_int_equal(fix->api->start(fix->module), WEIR_OK);
}

static void await_published(fixture *fix, size_t count)
{
    uv_mutex_lock(&fix->host.lock);
    while (fix->host.published < count) {
        uv_cond_wait(&fix->host.changed, &fix->host.lock);
    }
    uv_mutex_unlock(&fix->host.lock);
}

static unsigned number_of(const weir_message *msg)
{
    unsigned number = 0;
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    assert_int_equal(size, sizeof(number));
    memcpy(&number, content, size);
    return number;
}

static void its_table_is_sound(void **state)
{
    fixture *fix = *state;
    wr_error error;
    assert_int_equal(wr_module_api_check(fix->api, &error), WEIR_OK);
    assert_null(fix->api->receive);
}

static void publishes_the_file_in_order_and_again(void **state)
{
    fixture *fix = *state;
    start_with(fix, ", \"repeat\": 2, \"interval.ms\": 1");
    await_published(fix, 2 * MESSAGES);
    fix->api->destroy(fix->module);
    assert_int_equal(fix->host.published, 2 * MESSAGES);
    for (unsigned i = 0; i < 2 * MESSAGES; i++) {
        assert_int_equal(number_of(fix->host.kept[i]), i % MESSAGES);
    }
}

static void destroy_ends_a_wait_between_two_messages(void **state)
{
    fixture *fix = *state;
    start_with(fix, ", \"interval.ms\": 86400000");
    await_published(fix, 1);
    fix->api->destroy(fix->module);
    assert_int_equal(fix->host.published, 1);
}

static void destroy_ends_a_publish_that_waits(void **state)
{
    fixture *fix = *state;
    fix->host.full = true;
    start_with(fix, "");
    uv_mutex_lock(&fix->host.lock);
    while (fix->host.waiting == 0) {
        uv_cond_wait(&fix->host.changed, &fix->host.lock);
    }
    fix->host.closing = true;
    uv_cond_broadcast(&fix->host.changed);
    uv_mutex_unlock(&fix->host.lock);
    fix->api->destroy(fix->module);
    assert_int_equal(fix->host.published, 0);
}

static void an_empty_file_has_no_messages(void **state)
{
    fixture *fix = *state;
    assert_int_equal(fclose(open_file(fix, "wb")), 0);
    start_with(fix, ", \"repeat\": 1000000000");
    fix->api->destroy(fix->module);
    assert_int_equal(fix->host.published, 0);
    fix->api->destroy(NULL);
}

static void assert_refused(fixture *fix, const char *args, weir_err wanted, const char *says)
{
    wr_error error;
    void *module = NULL;
    assert_int_equal(wr_module_create(fix->api, &fix->host.base, args, &module, &error), wanted);
    if (strstr(wr_error_text(&error), says) == NULL) {
        fail_msg("'%s' is not in '%s'", says, wr_error_text(&error));
    }
    assert_null(module);
}

static void a_wrong_first_byte_is_told_with_its_place(void **state)
{
    fixture *fix = *state;
    char says[80];
    FILE *file = open_file(fix, "r+b");
    assert_int_equal(fseek(file, (long)fix->offsets[1], SEEK_SET), 0);
    assert_int_not_equal(fputc(0x7f, file), EOF);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(says, sizeof(says),
                   "at byte %zu: expected a frame, which begins with 01, "
                   "found 7f",
                   fix->offsets[1]);
    assert_refused(fix, args_with(fix, ""), WEIR_ERR_PROTOCOL, says);
}

/* At every length but those at which a frame ends. */
static void a_file_that_is_cut_is_refused(void **state)
{
    fixture *fix = *state;
    char bytes[256];
    FILE *file = open_file(fix, "rb");
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    assert_int_equal(fclose(file), 0);
    assert_true(size > fix->offsets[2] && size < sizeof(bytes));
    for (size_t length = fix->offsets[2] + 1; length < size; length++) {
        char says[40];
        file = open_file(fix, "wb");
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
        (void)snprintf(says, sizeof(says), "the frame at byte %zu is cut", fix->offsets[2]);
        assert_refused(fix, args_with(fix, ""), WEIR_ERR_PROTOCOL, says);
    }
}

static void a_length_beyond_the_file_takes_no_memory(void **state)
{
    fixture *fix = *state;
    FILE *file = open_file(fix, "wb");
    write_frame(file, 1, UINT64_MAX, "", 0);
    assert_int_equal(fclose(file), 0);
    assert_refused(fix, args_with(fix, ""), WEIR_ERR_PROTOCOL,
                   "the size of its message is 18446744073709551615, and the file has 0 of that");
}

static void a_frame_without_a_message_is_refused(void **state)
{
    fixture *fix = *state;
    char says[80];
    FILE *file = open_file(fix, "ab");
    long at = ftell(file);
    write_frame(file, 1, 14, "fourteen bytes", 14);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(says, sizeof(says), "the frame at byte %ld, of size 14, holds no message", at);
    assert_refused(fix, args_with(fix, ""), WEIR_ERR_PROTOCOL, says);
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
    fixture *fix = *state;
    assert_int_equal(remove(fix->path), 0);
    assert_refused(fix, args_with(fix, ""), WEIR_ERR_NOT_FOUND, "cannot open it: No such file");
    assert_refused(fix, "{\"file\": \"/\"}", WEIR_ERR_IO, "'/': cannot read it: Is a directory");
}

static void wrong_args_are_refused_in_words(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"null", "expected an object with \"file\""},
        {"{}", "the key \"file\" is missing"},
        {"{\"file\": \"\"}", "args.file: expected a string of 1 to 4095 bytes"},
        {"{\"file\": 1}", "args.file: expected a string"},
        {"{\"file\": \"x\", \"interval.ms\": -1}", "from 0 to 86400000"},
        {"{\"file\": \"x\", \"interval.ms\": 0.5}", "from 0 to 86400000"},
        {"{\"file\": \"x\", \"repeat\": 0}", "from 1 to 1000000000"},
        {"{\"file\": \"x\", \"repeat\": true}", "from 1 to 1000000000"},
        {"{\"flie\": \"x\"}", "unknown key \"flie\""},
        {"{", "args: "},
    };
    fixture *fix = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_refused(fix, cases[i].args, WEIR_ERR_CONFIG, cases[i].says);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_table_is_sound),
        TEST(publishes_the_file_in_order_and_again),
        TEST(destroy_ends_a_wait_between_two_messages),
        TEST(destroy_ends_a_publish_that_waits),
        TEST(an_empty_file_has_no_messages),
        TEST(a_wrong_first_byte_is_told_with_its_place),
        TEST(a_file_that_is_cut_is_refused),
        TEST(a_length_beyond_the_file_takes_no_memory),
        TEST(a_frame_without_a_message_is_refused),
        TEST(a_file_that_cannot_be_read_is_refused),
        TEST(wrong_args_are_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
