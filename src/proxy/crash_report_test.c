/* SPDX-License-Identifier: MIT
 *
 * Crash reports: what is in the folder, how many are kept, what happens when one cannot be written.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "platform/file.h"
#include "platform/folder.h"
#include "proxy/crash_folder.h"
#include "proxy/crash_report.h"

#define MESSAGES 3u

typedef struct fixture {
    char *place; /* a folder for this test */
    char crash_folder[256];
    wr_crash_settings settings;
    wr_launch launch;
    wr_process_exit exit;
    wr_line_ring lines;
    wr_window_given messages[MESSAGES];
    wr_crash_report report;
    char *folder; /* of the report */
} fixture;

static weir_message *make_message(unsigned number)
{
    weir_message *msg;
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", number);
    const weir_property property = {"number", text};
    assert_int_equal(weir_message_new(&property, 1, text, strlen(text), &msg), WEIR_OK);
    return msg;
}

static int setup(void **state)
{
    static const char *const args[] = {"-v", "--id=the_control", "the_control", NULL};
    static const char *const env[] = {"COLOUR=red", "WEIR_CONTROL_ID=the_control", NULL};
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    wr_error error;
    assert_int_equal(wr_folder_create_private("weir-test", &fix->place, &error), WEIR_OK);
    (void)snprintf(fix->crash_folder, sizeof(fix->crash_folder), "%s/crash", fix->place);
    fix->settings = (wr_crash_settings){
        .folder = fix->crash_folder,
        .reports_max = 10,
        .args = "{\"a\": [1, \"two\"]}",
        .heartbeat = {250, 900, 3000, true},
        .replay_module = "/modules/libreplay.so",
        .logger_module = "logger",
    };
    fix->launch = (wr_launch){.process = {.path = "./program", .args = args, .env = env},
                              .grace_period_ms = 1234};
    fix->exit = (wr_process_exit){.by_signal = true, .value = 11};
    wr_line_ring_add(&fix->lines, "first line");
    wr_line_ring_add(&fix->lines, "caf\xe9"); /* not UTF-8 */
    for (unsigned i = 0; i < MESSAGES; i++) {
        fix->messages[i] = (wr_window_given){make_message(i), 40 + i, i < 2};
    }
    fix->report = (wr_crash_report){
        .settings = &fix->settings,
        .module = "camera",
        .time = "2026-11-24T06:08:05.123Z",
        .control_path = "the_control",
        .launch = &fix->launch,
        .pid = 4711,
        .exit = &fix->exit,
        .restarts = 7,
        .lines = &fix->lines,
        .messages = fix->messages,
        .message_count = MESSAGES,
        .acknowledges = true,
        .publishes = true,
    };
    *state = fix;
    return 0;
}

static void remove_one(void *arg, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(wr_folder_remove(path, NULL), WEIR_OK);
}

static int teardown(void **state)
{
    fixture *fix = *state;
    for (unsigned i = 0; i < MESSAGES; i++) {
        weir_message_unref(fix->messages[i].msg);
    }
    if (wr_file_exists(fix->crash_folder)) {
        assert_int_equal(wr_folder_each(fix->crash_folder, remove_one, fix->crash_folder, NULL),
                         WEIR_OK);
        wr_file_remove(fix->crash_folder);
    }
    assert_int_equal(wr_folder_remove(fix->place, NULL), WEIR_OK);
    free(fix->folder);
    free(fix->place);
    free(fix);
    return 0;
}

static void write_it(fixture *fix)
{
    wr_error error = {.code = WEIR_OK};
    free(fix->folder);
    fix->folder = NULL;
    weir_time_now(fix->report.time);
    if (wr_crash_report_write(&fix->report, &fix->folder, &error) != WEIR_OK) {
        fail_msg("not written: %s", wr_error_text(&error));
    }
}

static char *path_in(const fixture *fix, const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", fix->folder, name);
    return path;
}

static json_t *load(const fixture *fix, const char *name)
{
    json_error_t wrong;
    json_t *json = json_load_file(path_in(fix, name), JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL) {
        fail_msg("%s: %s", name, wrong.text);
    }
    return json;
}

/* The value at a path of keys and, for arrays, numbers; the path ends with NULL. */
static const json_t *at(const json_t *json, ...)
{
    va_list path;
    va_start(path, json);
    const char *key;
    while ((key = va_arg(path, const char *)) != NULL) {
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
    }
    va_end(path);
    return json;
}

#define TEXT(...) json_string_value(at(__VA_ARGS__, NULL))
#define NUMBER(...) json_integer_value(at(__VA_ARGS__, NULL))

static void the_report_tells_what_happened(void **state)
{
    fixture *fix = *state;
    write_it(fix);
    json_t *json = load(fix, "report.json");
    assert_string_equal(TEXT(json, "module"), "camera");
    assert_string_equal(TEXT(json, "how"), "signal 11 (Segmentation fault)");
    assert_int_equal(NUMBER(json, "signal"), 11);
    assert_int_equal(NUMBER(json, "pid"), 4711);
    assert_int_equal(NUMBER(json, "restarts"), 7);
    assert_string_equal(TEXT(json, "control.id"), "the_control");
    assert_string_equal(TEXT(json, "program", "path"), "./program");
    assert_string_equal(TEXT(json, "program", "args", "2"), "the_control");
    assert_string_equal(TEXT(json, "weir"), weir_version());
    assert_string_equal(TEXT(json, "lines", "0"), "first line");
    assert_string_equal(TEXT(json, "lines", "1"), "caf\\xE9");
    assert_int_equal(NUMBER(json, "messages", "2", "number"), 42);
    assert_true(json_is_true(at(json, "messages", "1", "acknowledged", NULL)));
    assert_true(json_is_false(at(json, "messages", "2", "acknowledged", NULL)));
    assert_null(at(json, "program", "env", NULL));
    json_decref(json);
}

static void a_hang_and_a_reason_are_told(void **state)
{
    fixture *fix = *state;
    fix->exit = (wr_process_exit){.by_signal = true, .value = 9};
    fix->report.hung_ms = 5000;
    fix->report.reason = "SIGTERM was ignored";
    fix->report.acknowledges = false;
    write_it(fix);
    json_t *json = load(fix, "report.json");
    assert_string_equal(TEXT(json, "how"), "signal 9 (Killed); it was ended because it had not "
                                           "answered for 5000 ms; SIGTERM was ignored");
    assert_int_equal(NUMBER(json, "hung.ms"), 5000);
    assert_null(at(json, "messages", "1", "acknowledged", NULL));
    json_decref(json);
}

static void the_messages_are_frames_as_on_the_wire(void **state)
{
    fixture *fix = *state;
    write_it(fix);
    json_t *json = load(fix, "report.json");
    char *data;
    size_t size;
    assert_int_equal(wr_file_read(path_in(fix, "messages"), 10000, &data, &size, NULL), WEIR_OK);
    size_t offset = 0;
    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t wanted;
        const void *image = weir_message_image(fix->messages[i].msg, &wanted);
        const json_t *entry = json_array_get(at(json, "messages", NULL), i);
        assert_int_equal(NUMBER(entry, "offset"), offset);
        assert_int_equal(NUMBER(entry, "size"), wanted);
        assert_int_equal(data[offset], 1);
        assert_int_equal(wr_get_u64(data + offset + 1), wanted);
        assert_memory_equal(data + offset + 9, image, wanted);
        offset += 9 + wanted;
    }
    assert_int_equal(offset, size);
    free(data);
    json_decref(json);
}

static mode_t mode_of(const char *path)
{
    struct stat what;
    assert_int_equal(stat(path, &what), 0);
    return what.st_mode & 07777;
}

static void nobody_else_can_read_it(void **state)
{
    fixture *fix = *state;
    mode_t before = umask(0);
    write_it(fix);
    umask(before);
    assert_int_equal(mode_of(fix->crash_folder), 0700);
    assert_int_equal(mode_of(fix->folder), 0700);
    assert_int_equal(mode_of(path_in(fix, "report.json")), 0600);
    assert_int_equal(mode_of(path_in(fix, "messages")), 0600);
    assert_int_equal(mode_of(path_in(fix, "replay.json")), 0600);
}

static void a_launched_program_is_replayed_as_it_was(void **state)
{
    fixture *fix = *state;
    char wanted[1024];
    char here[512];
    assert_non_null(getcwd(here, sizeof(here)));
    write_it(fix);
    json_t *json = load(fix, "replay.json");
    const json_t *module = at(json, "modules", "1", NULL);
    const json_t *entrypoint = at(module, "loader", "entrypoint", NULL);
    const json_t *launch = at(entrypoint, "launch", NULL);
    assert_string_equal(TEXT(json, "modules", "0", "args", "file"), "messages");
    assert_string_equal(TEXT(json, "modules", "0", "loader", "entrypoint", "module.path"),
                        "/modules/libreplay.so");
    assert_string_equal(TEXT(module, "name"), "camera");
    assert_string_equal(TEXT(module, "loader", "name"), "outprocess");
    assert_string_equal(TEXT(module, "args", "a", "1"), "two");
    assert_string_equal(TEXT(entrypoint, "activation.type"), "launch");
    assert_string_equal(TEXT(entrypoint, "control.id"), path_in(fix, "control"));
    (void)snprintf(wanted, sizeof(wanted), "%s/program", here);
    assert_string_equal(TEXT(launch, "path"), wanted);
    assert_string_equal(TEXT(launch, "working.dir"), here);
    assert_string_equal(TEXT(launch, "args", "0"), "-v");
    assert_string_equal(TEXT(module, "restart", "policy"), "never");
    assert_string_equal(TEXT(launch, "args", "2"), path_in(fix, "control"));
    (void)snprintf(wanted, sizeof(wanted), "--id=%s/control", fix->folder);
    assert_string_equal(TEXT(launch, "args", "1"), wanted);
    assert_string_equal(TEXT(launch, "env", "COLOUR"), "red");
    assert_int_equal(json_object_size(at(launch, "env", NULL)), 1);
    assert_int_equal(NUMBER(launch, "grace.period.ms"), 1234);
    assert_int_equal(json_array_size(at(json, "links", NULL)), 2);
    json_decref(json);
}

static void a_native_module_is_replayed_in_a_process(void **state)
{
    fixture *fix = *state;
    fix->settings.library = "/somewhere/libcamera.so";
    fix->report.module = "logger"; /* the replay's own logger must not be called so */
    write_it(fix);
    json_t *json = load(fix, "replay.json");
    const json_t *module = at(json, "modules", "1", NULL);
    assert_string_equal(TEXT(module, "isolation"), "process");
    assert_string_equal(TEXT(module, "restart", "policy"), "never");
    assert_string_equal(TEXT(module, "loader", "entrypoint", "module.path"),
                        "/somewhere/libcamera.so");
    assert_string_equal(TEXT(json, "modules", "2", "name"), "logger (2)");
    assert_string_equal(TEXT(json, "links", "1", "sink"), "logger (2)");
    json_decref(json);
}

static void a_replayed_module_is_watched_and_held_as_it_was(void **state)
{
    fixture *fix = *state;
    fix->settings.sandbox = "{\"open.files\":64,\"paths\":{\"read\":[\"/etc\"]}}";
    for (unsigned i = 0; i < 2; i++) { /* a launched one, an isolated one */
        fix->settings.library = i == 0 ? NULL : "/somewhere/libcamera.so";
        write_it(fix);
        json_t *json = load(fix, "replay.json");
        const json_t *module = at(json, "modules", "1", NULL);
        assert_int_equal(NUMBER(module, "heartbeat", "interval.ms"), 250);
        assert_int_equal(NUMBER(module, "heartbeat", "timeout.ms"), 900);
        assert_int_equal(NUMBER(module, "heartbeat", "start.timeout.ms"), 3000);
        assert_int_equal(NUMBER(module, "sandbox", "open.files"), 64);
        assert_string_equal(TEXT(module, "sandbox", "paths", "read", "0"), "/etc");
        json_decref(json);
    }
}

static void another_users_program_makes_its_socket_where_it_can(void **state)
{
    fixture *fix = *state;
    char wanted[1024];
    char here[512];
    assert_non_null(getcwd(here, sizeof(here)));
    fix->settings.sandbox = "{}";
    fix->settings.other_user = true;
    write_it(fix);
    json_t *json = load(fix, "replay.json");
    (void)snprintf(wanted, sizeof(wanted), "%s/the_control.replay", here);
    assert_string_equal(TEXT(json, "modules", "1", "loader", "entrypoint", "control.id"), wanted);
    assert_string_equal(TEXT(json, "modules", "1", "loader", "entrypoint", "launch", "args", "2"),
                        wanted);
    json_decref(json);
}

static void a_module_that_publishes_to_nobody_gets_no_logger(void **state)
{
    fixture *fix = *state;
    fix->report.publishes = false;
    fix->report.launch = NULL;
    write_it(fix);
    json_t *json = load(fix, "replay.json");
    assert_int_equal(json_array_size(at(json, "modules", NULL)), 2);
    assert_int_equal(json_array_size(at(json, "links", NULL)), 1);
    assert_null(at(json, "modules", "1", "loader", "entrypoint", "activation.type", NULL));
    assert_null(at(json, "modules", "1", "restart", NULL)); /* nobody starts it */
    assert_null(at(json, "modules", "1", "sandbox", NULL));
    assert_int_equal(NUMBER(json, "modules", "1", "heartbeat", "timeout.ms"), 900);
    json_decref(json);
}

static void count_one(void *arg, const char *name)
{
    (void)name;
    ++*(size_t *)arg;
}

static size_t reports_in(const char *folder)
{
    size_t count = 0;
    assert_int_equal(wr_folder_each(folder, count_one, &count, NULL), WEIR_OK);
    return count;
}

static void the_oldest_reports_are_removed(void **state)
{
    fixture *fix = *state;
    fix->settings.reports_max = 3;
    fix->report.module = "other";
    write_it(fix);
    fix->report.module = "camera";
    write_it(fix);
    char *first = strdup(fix->folder);
    assert_non_null(first);
    for (unsigned i = 0; i < 20; i++) {
        char *before = fix->folder;
        fix->folder = NULL;
        write_it(fix);
        assert_true(strcmp(before, fix->folder) < 0); /* in the order of their names */
        free(before);
        assert_int_equal(reports_in(fix->crash_folder), i == 0 ? 3 : 4);
    }
    assert_false(wr_file_exists(first));
    assert_true(wr_file_exists(path_in(fix, "report.json")));
    free(first);
}

static weir_err write_at(fixture *fix, const char *time)
{
    memcpy(fix->report.time, time, WEIR_TIME_SIZE);
    free(fix->folder);
    fix->folder = NULL;
    return wr_crash_report_write(&fix->report, &fix->folder, NULL);
}

static void reports_of_one_time_are_numbered(void **state)
{
    static const char time[WEIR_TIME_SIZE] = "2026-11-24T06:08:05.123Z";
    fixture *fix = *state;
    fix->settings.reports_max = 2;
    for (unsigned i = 1; i <= 5; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "/camera-20261124T060805.123Z-%03u", i);
        assert_int_equal(write_at(fix, time), WEIR_OK);
        assert_string_equal(strrchr(fix->folder, '/'), name);
    }
    assert_int_equal(reports_in(fix->crash_folder), 2);
}

static void names_are_safe_and_distinct(void **state)
{
    static const char *const names[] = {"../../etc", "a/b", "a_b",         "a b", ".",
                                        "..",        "-rf", "caf\xc3\xa9", "*"};
    fixture *fix = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fix->settings.reports_max = 1;
        fix->report.module = names[i];
        write_it(fix);
        assert_int_equal(reports_in(fix->crash_folder), i + 1);
        const char *name = strrchr(fix->folder, '/') + 1;
        assert_true(name[0] != '.' && name[0] != '-');
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789._~-"),
                         strlen(name));
    }
}

static void what_is_no_report_is_left_alone(void **state)
{
    fixture *fix = *state;
    fix->settings.reports_max = 1;
    write_it(fix);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/camera-20200101T000000.000Z-001-mine",
                   fix->crash_folder);
    assert_int_equal(wr_folder_make(path, NULL), WEIR_OK);
    (void)snprintf(path, sizeof(path), "%s/camera-2-20200101T000000.000Z-001", fix->crash_folder);
    assert_int_equal(wr_folder_make(path, NULL), WEIR_OK);
    write_it(fix);
    assert_int_equal(reports_in(fix->crash_folder), 3);
}

/* The names of reports with a message that was set aside. */
static void count_poison(void *arg, const char *name)
{
    const char *end = strrchr(name, '-');
    *(size_t *)arg += end != NULL && strcmp(end, "-poison") == 0;
}

static size_t poison_in(const char *folder)
{
    size_t count = 0;
    assert_int_equal(wr_folder_each(folder, count_poison, &count, NULL), WEIR_OK);
    return count;
}

static void a_message_that_was_set_aside_is_not_pushed_out(void **state)
{
    fixture *fix = *state;
    fix->settings.reports_max = 1;
    fix->report.poison_deaths = 3;
    write_it(fix);
    json_t *json = load(fix, "report.json");
    assert_int_equal(NUMBER(json, "poison.deaths"), 3);
    json_decref(json);
    fix->report.poison_deaths = 0;
    for (unsigned i = 0; i < 3; i++) {
        write_it(fix);
    }
    json = load(fix, "report.json");
    assert_null(at(json, "poison.deaths", NULL));
    json_decref(json);
    assert_int_equal(poison_in(fix->crash_folder), 1);
    assert_int_equal(reports_in(fix->crash_folder), 2);
}

static void no_more_is_set_aside_than_the_limit(void **state)
{
    static const char time[WEIR_TIME_SIZE] = "2026-11-24T06:08:05.123Z";
    fixture *fix = *state;
    wr_error error = {.code = WEIR_OK};
    fix->report.poison_deaths = 3;
    for (unsigned i = 0; i < WR_CRASH_POISON_MAX; i++) {
        assert_int_equal(write_at(fix, time), WEIR_OK);
    }
    assert_int_equal(poison_in(fix->crash_folder), WR_CRASH_POISON_MAX);
    free(fix->folder);
    fix->folder = NULL;
    assert_int_equal(wr_crash_report_write(&fix->report, &fix->folder, &error), WEIR_ERR_FULL);
    assert_non_null(strstr(wr_error_text(&error), "100 messages"));
    assert_int_equal(reports_in(fix->crash_folder), WR_CRASH_POISON_MAX);
}

static void a_report_that_cannot_be_written_leaves_nothing(void **state)
{
    fixture *fix = *state;
    wr_error error = {.code = WEIR_OK};
    fix->settings.args = "not JSON"; /* replay.json cannot be made */
    assert_int_not_equal(wr_crash_report_write(&fix->report, &fix->folder, &error), WEIR_OK);
    assert_null(fix->folder);
    assert_non_null(strstr(wr_error_text(&error), "replay.json"));
    assert_int_equal(reports_in(fix->crash_folder), 0);
}

static void a_crash_folder_that_cannot_be_made_is_an_error_in_words(void **state)
{
    fixture *fix = *state;
    wr_error error = {.code = WEIR_OK};
    fix->settings.folder = "/proc/nothing/here";
    assert_int_equal(wr_crash_report_write(&fix->report, &fix->folder, &error), WEIR_ERR_NOT_FOUND);
    assert_non_null(strstr(wr_error_text(&error), "/proc/nothing/here"));
    fix->settings.folder = "/dev/null";
    assert_int_equal(wr_crash_report_write(&fix->report, &fix->folder, &error), WEIR_ERR_INVALID);
    assert_non_null(strstr(wr_error_text(&error), "not a folder"));
}

typedef struct loop_call {
    wr_loop *loop;
    const wr_crash_report *report;
} loop_call;

static void start_on_loop(void *arg)
{
    loop_call *call = arg;
    (void)wr_crash_report_start(call->loop, call->report);
}

static void the_loop_does_not_wait_for_it(void **state)
{
    fixture *fix = *state;
    loop_call call = {.report = &fix->report};
    assert_int_equal(wr_loop_create(&call.loop), WEIR_OK);
    wr_loop_call(call.loop, start_on_loop, &call);
    for (unsigned i = 0; i < MESSAGES; i++) { /* it has references of its own */
        weir_message_unref(fix->messages[i].msg);
        fix->messages[i].msg = NULL;
    }
    fix->lines = (wr_line_ring){.size = 0};
    wr_loop_destroy(call.loop);
    assert_int_equal(reports_in(fix->crash_folder), 1);
}

static void no_report_is_written_where_none_is_wanted(void **state)
{
    fixture *fix = *state;
    loop_call call = {.report = &fix->report};
    fix->settings.reports_max = 0;
    assert_int_equal(wr_loop_create(&call.loop), WEIR_OK);
    wr_loop_call(call.loop, start_on_loop, &call);
    wr_loop_destroy(call.loop);
    assert_false(wr_file_exists(fix->crash_folder));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_report_tells_what_happened),
        TEST(a_hang_and_a_reason_are_told),
        TEST(the_messages_are_frames_as_on_the_wire),
        TEST(nobody_else_can_read_it),
        TEST(a_launched_program_is_replayed_as_it_was),
        TEST(a_native_module_is_replayed_in_a_process),
        TEST(a_replayed_module_is_watched_and_held_as_it_was),
        TEST(another_users_program_makes_its_socket_where_it_can),
        TEST(a_module_that_publishes_to_nobody_gets_no_logger),
        TEST(the_oldest_reports_are_removed),
        TEST(reports_of_one_time_are_numbered),
        TEST(names_are_safe_and_distinct),
        TEST(what_is_no_report_is_left_alone),
        TEST(a_message_that_was_set_aside_is_not_pushed_out),
        TEST(no_more_is_set_aside_than_the_limit),
        TEST(a_report_that_cannot_be_written_leaves_nothing),
        TEST(a_crash_folder_that_cannot_be_made_is_an_error_in_words),
        TEST(the_loop_does_not_wait_for_it),
        TEST(no_report_is_written_where_none_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
