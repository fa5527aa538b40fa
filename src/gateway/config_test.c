/* SPDX-License-Identifier: MIT
 *
 * The configuration reader: what it makes of a text, what it refuses, of which cycles it warns.
 * (config_files_test.c reads whole files.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "gateway/config.h"
#include "gateway/config_reader.h"

#define NATIVE "\"loader\": {\"entrypoint\": {\"module.path\": \"/dev/null\"}}"

/* What was said, one line after the other. */
static wr_buffer said = WR_BUFFER_INIT;
static wr_buffer logged = WR_BUFFER_INIT;

static void note(void *user, const char *text)
{
    (void)user;
    wr_buffer_printf(&said, "%s\n", text);
}

static void note_log(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    wr_buffer_printf(&logged, "%s %s %s\n", weir_log_level_name(level), who, text);
}

static int start_listening(void **state)
{
    (void)state;
    weir_log_set_sink(note_log, NULL);
    return 0;
}

static int stop_listening(void **state)
{
    (void)state;
    weir_log_set_sink(NULL, NULL);
    wr_buffer_deinit(&said);
    wr_buffer_deinit(&logged);
    return 0;
}

static const char *text_of(const wr_buffer *buffer)
{
    return buffer->data == NULL ? "" : buffer->data;
}

static weir_err parse(const char *text, wr_config **out)
{
    wr_buffer_clear(&said);
    wr_buffer_clear(&logged);
    return wr_config_parse(text, strlen(text), "/folder/file.json", note, NULL, out);
}

/* A text without a mistake; the caller destroys it. */
static wr_config *parse_good(const char *text)
{
    wr_config *config = NULL;
    weir_err err = parse(text, &config);
    assert_string_equal(text_of(&said), "");
    assert_int_equal(err, WEIR_OK);
    return config;
}

static void assert_refused(const char *text, const char *lines)
{
    wr_config *config = NULL;
    assert_int_equal(parse(text, &config), WEIR_ERR_CONFIG);
    assert_null(config);
    assert_string_equal(text_of(&said), lines);
}

/* ---- what is read ---- */

static void module_has_what_the_file_says(void **state)
{
    (void)state;
    wr_config *config = parse_good("{\"modules\": [\n {\"name\": \"a\", " NATIVE "}]}");
    const wr_module_config *module = &config->modules[0];
    assert_int_equal(config->module_count, 1);
    assert_int_equal(config->link_count, 0);
    assert_string_equal(config->path, "/folder/file.json");
    assert_string_equal(config->folder, "/folder");
    assert_string_equal(module->name, "a");
    assert_string_equal(module->loader, "native");
    assert_int_equal(module->type, WR_LOADER_NATIVE);
    assert_string_equal(module->args, "null");
    assert_string_equal(module->module_path, "/dev/null");
    assert_false(module->isolated);
    assert_int_equal(module->place.line, 2);
    assert_int_equal(module->place.column, 2);
    assert_int_equal(config->grace_period_ms, 1000);
    assert_int_equal(config->receive_deadline_ms, 5000);
    assert_int_equal(config->threads, 0);
    wr_config_destroy(config);
}

static void args_keep_their_text_without_white_space(void **state)
{
    (void)state;
    wr_config *config = parse_good("{\"modules\": [{\"name\": \"a\", \"args\": { \"x\" : 1.50,\n\t"
                                   "\"y z\": [ 1e3 , \"a  \\\" b\", {} ] }, " NATIVE "}]}");
    assert_string_equal(config->modules[0].args, "{\"x\":1.50,\"y z\":[1e3,\"a  \\\" b\",{}]}");
    wr_config_destroy(config);
}

static void remote_module_has_defaults(void **state)
{
    (void)state;
    wr_config *config =
        parse_good("{\"modules\": [{\"name\": \"a\", \"loader\": {\"name\": \"outprocess\", "
                   "\"entrypoint\": {\"control.id\": \"ipc://c\"}}}]}");
    const wr_module_config *module = &config->modules[0];
    assert_int_equal(module->type, WR_LOADER_OUTPROCESS);
    assert_string_equal(module->outprocess.control_id, "c");
    assert_null(module->outprocess.message_id);
    assert_int_equal(module->outprocess.timeout_ms, 1000);
    assert_int_equal(module->outprocess.message_limit, 0);
    assert_true(module->outprocess.shared_memory);
    assert_null(module->outprocess.launch.path);
    wr_config_destroy(config);
}

static void isolated_module_has_the_grace_period_of_the_file(void **state)
{
    (void)state;
    wr_config *config = parse_good("{\"modules\": [{\"name\": \"a\", \"isolation\": \"process\", "
                                   "\"loader\": {\"entrypoint\": {"
                                   "\"module.path\": \"/dev/null\", \"grace.period.ms\": 5}}}]}");
    assert_int_equal(config->modules[0].outprocess.launch.grace_period_ms, 5);
    wr_config_destroy(config);
}

static void launch_has_what_the_file_says(void **state)
{
    (void)state;
    wr_config *config = parse_good(
        "{\"modules\": [{\"name\": \"a\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": {"
        "\"control.id\": \"c\", \"message.id\": \"m\", \"timeout\": 5, \"message.limit\": 14,"
        "\"shared.memory\": false, "
        "\"activation.type\": \"launch\", \"launch\": {\"path\": \"./p\", \"args\": [\"x\", \"\"],"
        "\"env\": {\"A\": \"1\", \"B\": \"\"}, \"working.dir\": \"/\"}}}}]}");
    const wr_outprocess_config *remote = &config->modules[0].outprocess;
    assert_string_equal(remote->message_id, "m");
    assert_int_equal(remote->timeout_ms, 5);
    assert_int_equal(remote->message_limit, 14);
    assert_false(remote->shared_memory);
    assert_string_equal(remote->launch.path, "./p");
    assert_string_equal(remote->launch.args[0], "x");
    assert_string_equal(remote->launch.args[1], "");
    assert_null(remote->launch.args[2]);
    assert_string_equal(remote->launch.env[0], "A=1");
    assert_string_equal(remote->launch.env[1], "B=");
    assert_null(remote->launch.env[2]);
    assert_string_equal(remote->launch.working_dir, "/");
    assert_int_equal(remote->launch.grace_period_ms, 3000);
    wr_config_destroy(config);
}

static void launch_without_lists_has_empty_lists(void **state)
{
    (void)state;
    wr_config *config = parse_good(
        "{\"modules\": [{\"name\": \"a\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": {"
        "\"control.id\": \"c\", \"activation.type\": \"launch\", \"launch\": {\"path\": "
        "\"p\"}}}}]}");
    const wr_launch_config *launch = &config->modules[0].outprocess.launch;
    assert_non_null(launch->args);
    assert_null(launch->args[0]);
    assert_non_null(launch->env);
    assert_null(launch->env[0]);
    wr_config_destroy(config);
}

static void loader_gives_defaults_that_modules_replace(void **state)
{
    (void)state;
    wr_config *config = parse_good(
        "{\"loaders\": [{\"type\": \"outprocess\", \"name\": \"mine\", \"configuration\": "
        "{\"timeout\": 7, \"message.limit\": 100, \"activation.type\": \"launch\", "
        "\"launch\": {\"path\": \"p\"}}}],"
        "\"modules\": [{\"name\": \"a\", \"loader\": {\"name\": \"mine\", \"entrypoint\": "
        "{\"control.id\": \"a\", \"timeout\": 9}}}, {\"name\": \"b\", \"loader\": {\"name\": "
        "\"mine\", \"entrypoint\": {\"control.id\": \"b\", \"activation.type\": \"none\"}}}]}");
    assert_string_equal(config->modules[0].loader, "mine");
    assert_int_equal(config->modules[0].type, WR_LOADER_OUTPROCESS);
    assert_int_equal(config->modules[0].outprocess.timeout_ms, 9);
    assert_int_equal(config->modules[0].outprocess.message_limit, 100);
    assert_string_equal(config->modules[0].outprocess.launch.path, "p");
    assert_int_equal(config->modules[1].outprocess.timeout_ms, 7);
    assert_null(config->modules[1].outprocess.launch.path);
    wr_config_destroy(config);
}

static void isolated_module_has_no_control_id(void **state)
{
    (void)state;
    wr_config *config =
        parse_good("{\"modules\": [{\"name\": \"a\", \"isolation\": \"process\", " NATIVE "}]}");
    assert_true(config->modules[0].isolated);
    assert_int_equal(config->modules[0].type, WR_LOADER_NATIVE);
    assert_null(config->modules[0].outprocess.control_id);
    assert_int_equal(config->modules[0].outprocess.timeout_ms, 1000);
    assert_int_equal(config->modules[0].outprocess.launch.grace_period_ms, 3000);
    wr_config_destroy(config);
}

static void link_has_what_the_file_says(void **state)
{
    (void)state;
    wr_config *config = parse_good(
        "{\"modules\": [{\"name\": \"a\", " NATIVE "}, {\"name\": \"b\", " NATIVE "}], \"links\": ["
        "{\"source\": \"a\", \"sink\": \"b\"},\n {\"source\": \"*\", \"sink\": \"b\", \"queue\": "
        "{\"limit\": 3, \"when.full\": \"drop.newest\"}}], \"gateway\": {\"receive.deadline.ms\": "
        "0, \"threads\": 4, "
        "\"grace.period.ms\": 0}}");
    assert_int_equal(config->link_count, 2);
    assert_string_equal(config->links[0].source, "a");
    assert_string_equal(config->links[0].sink, "b");
    assert_int_equal(config->links[0].queue.limit, 1024);
    assert_int_equal(config->links[0].queue.when_full, WR_WHEN_FULL_BLOCK);
    assert_string_equal(config->links[1].source, "*");
    assert_int_equal(config->links[1].queue.limit, 3);
    assert_int_equal(config->links[1].queue.when_full, WR_WHEN_FULL_DROP_NEWEST);
    assert_int_equal(config->links[1].place.line, 2);
    assert_int_equal(config->links[1].place.index, 1);
    assert_int_equal(config->threads, 4);
    assert_int_equal(config->receive_deadline_ms, 0);
    assert_int_equal(config->grace_period_ms, 0);
    wr_config_destroy(config);
}

static void one_module_is_read_by_itself(void **state)
{
    (void)state;
    wr_config *config = NULL;
    wr_buffer_clear(&said);
    assert_int_equal(
        wr_config_parse_module("{\"name\": \"a\", " NATIVE "}", "/", note, NULL, &config), WEIR_OK);
    assert_int_equal(config->module_count, 1);
    assert_string_equal(config->modules[0].name, "a");
    assert_string_equal(config->folder, "/");
    wr_config_destroy(config);
    config = NULL;
    assert_int_equal(wr_config_parse_module("{\"name\": 5}", "/", note, NULL, &config),
                     WEIR_ERR_CONFIG);
    assert_null(config);
    assert_string_equal(text_of(&said),
                        "module:1:1: module: the key \"loader\" with an \"entrypoint\" is missing "
                        "(expected an object with \"module.path\")\n"
                        "module:1:10: name: expected a string, found a number\n");
}

static void one_link_is_read_by_itself(void **state)
{
    (void)state;
    wr_config *config = NULL;
    wr_buffer_clear(&said);
    assert_int_equal(
        wr_config_parse_link("{\"source\": \"x\", \"sink\": \"y\"}", note, NULL, &config), WEIR_OK);
    assert_int_equal(config->link_count, 1);
    assert_string_equal(config->links[0].sink, "y");
    wr_config_destroy(config);
    config = NULL;
    assert_int_equal(
        wr_config_parse_link("{\"source\": \"x\", \"sink\": \"*\"}", note, NULL, &config),
        WEIR_ERR_CONFIG);
    assert_string_equal(text_of(&said),
                        "link:1:25: sink: \"*\" cannot be a sink (expected a module's name)\n");
}

/* ---- what is refused ---- */

static void missing_file_is_reported(void **state)
{
    (void)state;
    wr_config *config = NULL;
    wr_buffer_clear(&said);
    assert_int_equal(wr_config_read("/no/such/file.json", note, NULL, &config), WEIR_ERR_CONFIG);
    assert_string_equal(text_of(&said), "/no/such/file.json:1:1: file: there is no such file\n");
}

static void problems_go_to_the_log_where_nobody_listens(void **state)
{
    (void)state;
    wr_config *config = NULL;
    wr_buffer_clear(&logged);
    assert_int_equal(wr_config_parse("[]", 2, "f", NULL, NULL, &config), WEIR_ERR_CONFIG);
    assert_string_equal(text_of(&logged),
                        "error weir f:1:1: file: expected an object, found an array\n");
}

static void hundred_thousand_brackets_are_refused(void **state)
{
    (void)state;
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, '[', 100000);
    text[100000] = '\0';
    assert_refused(text, "/folder/file.json:1:2049: file: brackets are nested too deeply (at most "
                         "2048 levels)\n");
    free(text);
}

static void too_many_problems_are_counted(void **state)
{
    (void)state;
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_append_text(&text, "{\"modules\": [0");
    for (int i = 1; i < 250; i++) {
        wr_buffer_append_text(&text, ",0");
    }
    wr_buffer_append_text(&text, "]}");
    wr_config *config = NULL;
    assert_int_equal(parse(text.data, &config), WEIR_ERR_CONFIG);
    size_t lines = 0;
    for (const char *at = text_of(&said); *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, WR_PROBLEMS_MAX + 1);
    assert_non_null(strstr(text_of(&said), "\n... and 150 more\n"));
    wr_buffer_deinit(&text);
}

/* A module of that loader with args of `size` bytes. */
static weir_err parse_args_of(size_t size, const char *rest)
{
    wr_buffer text = WR_BUFFER_INIT;
    wr_config *config = NULL;
    char *filler = malloc(size - 2);
    assert_non_null(filler);
    memset(filler, 'x', size - 2);
    wr_buffer_append_text(&text, "{\"modules\": [{\"name\": \"a\", \"args\": \"");
    wr_buffer_append(&text, filler, size - 2);
    wr_buffer_printf(&text, "\", %s}]}", rest);
    weir_err err = parse(text.data, &config);
    wr_config_destroy(config);
    wr_buffer_deinit(&text);
    free(filler);
    return err;
}

static void args_of_a_remote_module_fit_a_control_message(void **state)
{
    (void)state;
    const char *remote = "\"loader\": {\"name\": \"outprocess\", \"entrypoint\": "
                         "{\"control.id\": \"c\"}}";
    const char *isolated = "\"isolation\": \"process\", " NATIVE;
    assert_int_equal(parse_args_of(WR_ARGS_SENT_MAX, remote), WEIR_OK);
    assert_int_equal(parse_args_of(WR_ARGS_SENT_MAX + 1, remote), WEIR_ERR_CONFIG);
    assert_string_equal(text_of(&said),
                        "/folder/file.json:1:36: modules[0].args: is 1047553 bytes long without "
                        "white space (at most 1047552 for a module in another process)\n");
    assert_int_equal(parse_args_of(WR_ARGS_HOSTED_MAX, isolated), WEIR_OK);
    assert_int_equal(parse_args_of(WR_ARGS_HOSTED_MAX + 1, isolated), WEIR_ERR_CONFIG);
    assert_int_equal(parse_args_of(WR_ARGS_SENT_MAX + 1, NATIVE), WEIR_OK);
}

static void launch_lists_have_a_limit(void **state)
{
    (void)state;
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_append_text(&text, "{\"modules\": [{\"name\": \"a\", \"loader\": {\"name\": "
                                 "\"outprocess\", \"entrypoint\": {\"control.id\": \"c\", "
                                 "\"activation.type\": \"launch\", \"launch\": {\"path\": \"p\",\n"
                                 "\"args\": [\"\"");
    for (size_t i = 0; i < WR_LAUNCH_LIST_MAX; i++) {
        wr_buffer_append_text(&text, ",\"\"");
    }
    wr_buffer_append_text(&text, "]}}}}]}");
    assert_refused(text.data,
                   "/folder/file.json:2:9: modules[0].loader.entrypoint.launch.args: has "
                   "1025 entries (at most 1024)\n");
    wr_buffer_deinit(&text);
}

static void deep_paths_are_cut(void **state)
{
    (void)state;
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_append_text(&text, "{\"modules\": [{\"name\": \"a\", " NATIVE ", \"args\": ");
    for (int i = 0; i < 2000; i++) {
        wr_buffer_append_text(&text, "[");
    }
    wr_buffer_append_text(&text, "{\"k\": 1, \"k\": 2}");
    for (int i = 0; i < 2000; i++) {
        wr_buffer_append_text(&text, "]");
    }
    wr_buffer_append_text(&text, "}]}");
    wr_config *config = NULL;
    assert_int_equal(parse(text.data, &config), WEIR_ERR_CONFIG);
    assert_non_null(strstr(text_of(&said),
                           ": modules[0].args[0][0][0][0][0][0][0][0][0][0][0][0][0]"
                           "...: duplicate key"));
    wr_buffer_deinit(&text);
}

/* ---- cycles ---- */

#define CYCLE_LINE                                                                                 \
    "closes a cycle of links that can all wait for each other (let one of them drop: \"queue\": "  \
    "{\"when.full\": \"drop.oldest\"}): "

/* Modules a, b, c with these links; what the log says. */
static const char *log_of_links(const char *links)
{
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_printf(&text,
                     "{\"modules\": [{\"name\": \"a\", " NATIVE "}, {\"name\": \"b\", " NATIVE
                     "}, {\"name\": \"c\", " NATIVE "}],\n\"links\": [%s]}",
                     links);
    wr_config_destroy(parse_good(text.data));
    wr_buffer_deinit(&text);
    return text_of(&logged);
}

#define LINK(source, sink) "{\"source\": \"" source "\", \"sink\": \"" sink "\"}"
#define DROPPING(source, sink)                                                                     \
    "{\"source\": \"" source "\", \"sink\": \"" sink "\", \"queue\": {\"when.full\": "             \
    "\"drop.oldest\"}}"

static void cycle_of_blocking_links_is_named(void **state)
{
    (void)state;
    assert_string_equal(log_of_links(LINK("a", "b") "," LINK("b", "c") ",\n" LINK("c", "b")),
                        "warn weir /folder/file.json:3:1: links[2]: " CYCLE_LINE "b -> c -> b\n");
    assert_string_equal(log_of_links(LINK("a", "b") "," LINK("b", "c") ",\n" LINK("c", "a")),
                        "warn weir /folder/file.json:3:1: links[2]: " CYCLE_LINE
                        "a -> b -> c -> a\n");
}

static void link_that_drops_breaks_the_cycle(void **state)
{
    (void)state;
    assert_string_equal(log_of_links(LINK("a", "b") "," LINK("b", "c") "," DROPPING("c", "a")), "");
    assert_string_equal(log_of_links(LINK("a", "b") "," LINK("b", "c") "," LINK("a", "c")), "");
}

static void cycle_through_every_module_is_named(void **state)
{
    (void)state;
    assert_string_equal(log_of_links(LINK("*", "a") ",\n" LINK("*", "c")),
                        "warn weir /folder/file.json:3:1: links[1]: " CYCLE_LINE "a -> c -> a\n");
    assert_string_equal(log_of_links(LINK("*", "a") "," LINK("a", "b")),
                        "warn weir /folder/file.json:2:11: links[0]: " CYCLE_LINE "a -> b -> a\n");
    assert_string_equal(log_of_links(LINK("*", "a") "," LINK("b", "c")), "");
    assert_string_equal(log_of_links(LINK("*", "a") "," DROPPING("a", "b")), "");
    assert_string_equal(log_of_links(LINK("*", "a") "," DROPPING("*", "b")), "");
    assert_string_equal(log_of_links(DROPPING("*", "a") "," LINK("a", "b")), "");
}

/* ---- many ---- */

static void ten_thousand_modules_in_a_ring_are_read(void **state)
{
    (void)state;
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_append_text(&text, "{\"modules\": [");
    for (int i = 0; i < 10000; i++) {
        wr_buffer_printf(&text, "%s{\"name\": \"m%d\", " NATIVE "}", i == 0 ? "" : ",", i);
    }
    wr_buffer_append_text(&text, "], \"links\": [");
    for (int i = 0; i < 10000; i++) {
        wr_buffer_printf(&text, "%s{\"source\": \"m%d\", \"sink\": \"m%d\"}", i == 0 ? "" : ",", i,
                         (i + 1) % 10000);
    }
    wr_buffer_append_text(&text, "]}");
    wr_config *config = parse_good(text.data);
    assert_int_equal(config->module_count, 10000);
    assert_int_equal(config->link_count, 10000);
    assert_string_equal(config->modules[9999].name, "m9999");
    assert_non_null(strstr(text_of(&logged), "links[9999]: " CYCLE_LINE "m0 -> m1 -> m2"));
    assert_non_null(strstr(text_of(&logged), "... -> m0\n"));
    wr_config_destroy(config);
    wr_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_has_what_the_file_says),
        cmocka_unit_test(args_keep_their_text_without_white_space),
        cmocka_unit_test(remote_module_has_defaults),
        cmocka_unit_test(isolated_module_has_the_grace_period_of_the_file),
        cmocka_unit_test(launch_has_what_the_file_says),
        cmocka_unit_test(launch_without_lists_has_empty_lists),
        cmocka_unit_test(loader_gives_defaults_that_modules_replace),
        cmocka_unit_test(isolated_module_has_no_control_id),
        cmocka_unit_test(link_has_what_the_file_says),
        cmocka_unit_test(one_module_is_read_by_itself),
        cmocka_unit_test(one_link_is_read_by_itself),
        cmocka_unit_test(missing_file_is_reported),
        cmocka_unit_test(problems_go_to_the_log_where_nobody_listens),
        cmocka_unit_test(hundred_thousand_brackets_are_refused),
        cmocka_unit_test(too_many_problems_are_counted),
        cmocka_unit_test(args_of_a_remote_module_fit_a_control_message),
        cmocka_unit_test(launch_lists_have_a_limit),
        cmocka_unit_test(deep_paths_are_cut),
        cmocka_unit_test(cycle_of_blocking_links_is_named),
        cmocka_unit_test(link_that_drops_breaks_the_cycle),
        cmocka_unit_test(cycle_through_every_module_is_named),
        cmocka_unit_test(ten_thousand_modules_in_a_ring_are_read),
    };
    return cmocka_run_group_tests(tests, start_listening, stop_listening);
}
