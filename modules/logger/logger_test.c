/* SPDX-License-Identifier: MIT
 *
 * The logger on a host of the test's own: what it writes, and what it says.
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

#include "fake_host.h"
#include "test_folder.h"

typedef struct fixture {
    fake_host host;
    test_folder folder;
    const weir_module_api *api;
    void *module;
    char said[4096]; /* warnings and errors in the log, a line each */
} fixture;

static void keep_line(void *user, weir_log_level level, const char *who, const char *text)
{
    fixture *fix = user;
    size_t used = strlen(fix->said);
    if (level <= WEIR_LOG_WARN) {
        (void)snprintf(fix->said + used, sizeof(fix->said) - used, "%s: %s\n", who, text);
    }
}

static int setup(void **state)
{
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    fake_host_init(&fix->host);
    test_folder_init(&fix->folder);
    weir_log_set_sink(keep_line, fix);
    fix->api = weir_module();
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;
    weir_log_set_sink(NULL, NULL);
    test_folder_deinit(&fix->folder);
    fake_host_deinit(&fix->host);
    free(fix);
    return 0;
}

static weir_err create(fixture *fix, void **module)
{
    char args[TEST_PATH_MAX + 32];
    (void)snprintf(args, sizeof(args), "{\"filename\":\"%s\"}", fix->folder.file);
    return fix->api->create(&fix->host.base, args, module);
}

static void open_logger(fixture *fix)
{
    assert_int_equal(create(fix, &fix->module), WEIR_OK);
}

static void close_logger(fixture *fix)
{
    fix->api->destroy(fix->module);
}

static weir_message *message_of(const char *content)
{
    static const weir_property properties[] = {{"source", "test"}, {"\"q\"\n", "\xc3\xbc"}};
    weir_message *msg;
    assert_int_equal(weir_message_new(properties, 2, content, strlen(content), &msg), WEIR_OK);
    return msg;
}

static void receive(fixture *fix, const char *content)
{
    weir_message *msg = message_of(content);
    fix->api->receive(fix->module, msg);
    weir_message_unref(msg);
}

static const char *text_at(const json_t *entries, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(entries, index), key));
}

static void start_and_stop_are_marked(void **state)
{
    fixture *fix = *state;
    open_logger(fix);
    close_logger(fix);
    open_logger(fix);
    close_logger(fix);
    json_t *entries = file_json(fix->folder.file);
    assert_int_equal(json_array_size(entries), 4);
    assert_string_equal(text_at(entries, 0, "content"), "Log started");
    assert_string_equal(text_at(entries, 3, "content"), "Log stopped");
    assert_int_equal(strlen(text_at(entries, 3, "time")), WEIR_TIME_SIZE - 1);
    json_decref(entries);
    assert_string_equal(fix->said, "");
}

static void content_is_base64(void **state)
{
    static const struct {
        const char *content, *base64;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfb", "//77"},
        {"\xfb\xef\xbe", "++++"},
    };
    fixture *fix = *state;
    open_logger(fix);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        receive(fix, cases[i].content);
        json_t *entries = file_json(fix->folder.file);
        assert_int_equal(json_array_size(entries), i + 2);
        assert_string_equal(text_at(entries, i + 1, "content"), cases[i].base64);
        json_decref(entries);
    }
    close_logger(fix);
}

static void properties_are_written_in_order(void **state)
{
    fixture *fix = *state;
    open_logger(fix);
    receive(fix, "x");
    json_t *entries = file_json(fix->folder.file);
    const json_t *properties = json_object_get(json_array_get(entries, 1), "properties");
    char *text = json_dumps(properties, JSON_COMPACT);
    assert_string_equal(text, "{\"source\":\"test\",\"\\\"q\\\"\\n\":\"\xc3\xbc\"}");
    free(text);
    json_decref(entries);
    close_logger(fix);
}

/* Only a peer can send such a message: one property "n" with a value that is no UTF-8. */
static void bytes_that_are_no_text_are_replaced(void **state)
{
    static const unsigned char image[] = {0xa1, 0x60, 0,   0,    0,    35,   0,    0,    0,
                                          1,    'n',  0,   'a',  0xff, 'b',  0xc3, 'c',  0xed,
                                          0xa0, 0x80, 'd', 0xe2, 0x82, 0xac, 'e',  0xf4, 0x90,
                                          0xc0, 0xaf, 'f', 0,    0,    0,    0,    0};
    fixture *fix = *state;
    weir_message *msg;
    assert_int_equal(weir_message_decode(image, sizeof(image), &msg), WEIR_OK);
    open_logger(fix);
    fix->api->receive(fix->module, msg);
    close_logger(fix);
    weir_message_unref(msg);
    json_t *entries = file_json(fix->folder.file);
    const json_t *properties = json_object_get(json_array_get(entries, 1), "properties");
#define BAD "\xef\xbf\xbd"
    assert_string_equal(json_string_value(json_object_get(properties, "n")),
                        "a" BAD "b" BAD "c" BAD BAD BAD "d\xe2\x82\xac"
                        "e" BAD BAD BAD BAD "f");
    json_decref(entries);
}

static void a_batch_is_one_entry_a_line(void **state)
{
    enum { COUNT = 100 };
    fixture *fix = *state;
    weir_message *batch[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        batch[i] = message_of("content");
    }
    open_logger(fix);
    fix->api->receive_many(fix->module, batch, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        weir_message_unref(batch[i]);
    }
    json_t *entries = file_json(fix->folder.file);
    assert_int_equal(json_array_size(entries), COUNT + 1);
    json_decref(entries);
    close_logger(fix);
    size_t size;
    char *text = file_get(fix->folder.file, &size);
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    assert_int_equal(lines, COUNT + 3);
    free(text);
}

static void large_contents_are_written_whole(void **state)
{
    enum { SIZE = 3 * 1024 * 1024, COUNT = 3 };
    fixture *fix = *state;
    char *content = calloc(1, SIZE);
    assert_non_null(content);
    weir_message *msg;
    assert_int_equal(weir_message_new(NULL, 0, content, SIZE, &msg), WEIR_OK);
    free(content);
    weir_message *batch[COUNT] = {msg, msg, msg};
    open_logger(fix);
    fix->api->receive_many(fix->module, batch, COUNT);
    close_logger(fix);
    weir_message_unref(msg);
    json_t *entries = file_json(fix->folder.file);
    assert_int_equal(json_array_size(entries), COUNT + 2);
    assert_int_equal(strlen(text_at(entries, COUNT, "content")), SIZE / 3 * 4);
    json_decref(entries);
}

static void wrong_args_are_refused_in_words(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"null", "args.filename"},
        {"{}", "args.filename"},
        {"\"log.txt\"", "args.filename"},
        {"{\"filename\": 1}", "args.filename"},
        {"{\"filename\": \"\"}", "args.filename"},
        {"{\"filename\": \"x\", \"mode\": 1}", "unknown key"},
        {"{\"filename\": \"/no/such/folder/log.txt\"}", "cannot open /no/such/folder/log.txt: no"},
    };
    fixture *fix = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wr_error error;
        void *module = NULL;
        assert_int_not_equal(
            wr_module_create(fix->api, &fix->host.base, cases[i].args, &module, &error), WEIR_OK);
        assert_non_null(strstr(wr_error_text(&error), cases[i].says));
    }
}

static void two_loggers_cannot_share_a_file(void **state)
{
    fixture *fix = *state;
    open_logger(fix);
    void *second = NULL;
    assert_int_equal(create(fix, &second), WEIR_ERR_IN_USE);
    close_logger(fix);
    open_logger(fix);
    close_logger(fix);
}

static void a_repair_is_logged(void **state)
{
    fixture *fix = *state;
    file_put(fix->folder.file, "[\n{\"a\":\"b\"},\n{", 14);
    open_logger(fix);
    assert_non_null(strstr(fix->said, "tested: "));
    assert_non_null(strstr(fix->said, "cut 3 bytes"));
    close_logger(fix);
    json_t *entries = file_json(fix->folder.file);
    assert_int_equal(json_array_size(entries), 3);
    json_decref(entries);
}

static void limit_files_to(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_told_once_and_its_end_too(void **state)
{
    fixture *fix = *state;
    (void)signal(SIGXFSZ, SIG_IGN);
    open_logger(fix);
    limit_files_to(80);
    receive(fix, "lost");
    receive(fix, "lost");
    limit_files_to(RLIM_INFINITY);
    assert_non_null(strstr(fix->said, "messages are lost"));
    assert_null(strchr(strchr(fix->said, '\n') + 1, '\n'));
    json_decref(file_json(fix->folder.file));
    receive(fix, "kept");
    assert_non_null(strstr(fix->said, "2 messages were lost"));
    close_logger(fix);
    json_t *entries = file_json(fix->folder.file);
    assert_int_equal(json_array_size(entries), 3);
    assert_string_equal(text_at(entries, 1, "content"), "a2VwdA==");
    json_decref(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(start_and_stop_are_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(content_is_base64, setup, teardown),
        cmocka_unit_test_setup_teardown(properties_are_written_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_text_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_one_entry_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(large_contents_are_written_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_args_are_refused_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(two_loggers_cannot_share_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repair_is_logged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_once_and_its_end_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
