/* SPDX-License-Identifier: MIT
 *
 * The embedding API as a program of a user's has it: public headers and libraries only, and the
 * modules of the build in $WEIR_BUILD_DIR. Each test runs in a folder of its own.
 */
#define _POSIX_C_SOURCE 200809L

#include "embed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/log.h"

#define DEADLINE_S 60

/* hello_world -> logger. */
static weir_gateway *create_from_file(place *at)
{
    write_file("gateway.json",
               "{\"modules\": ["
               "{\"name\": \"logger\", \"args\": {\"filename\": \"log.txt\"}, \"loader\": "
               "{\"entrypoint\": {\"module.path\": \"%s/modules/logger/liblogger.so\"}}},"
               "{\"name\": \"hello\", \"args\": {\"interval.ms\": 1}, \"loader\": {\"entrypoint\": "
               "{\"module.path\": \"%s/modules/hello_world/libhello_world.so\"}}}],"
               "\"links\": [{\"source\": \"hello\", \"sink\": \"logger\"}]}",
               build_dir(), build_dir());
    weir_gateway *gateway = NULL;
    weir_err err = weir_gateway_create_from_file("gateway.json", &at->options, &gateway);
    assert_string_equal(at->problems, "");
    assert_int_equal(err, WEIR_OK);
    return gateway;
}

/* Lists, as text to compare. */

typedef struct listing {
    char text[TEXT_MAX];
    const char *source, *sink; /* of the link whose counters are wanted */
    uint64_t delivered;
} listing;

static void append_module(void *user, const weir_module_info *info)
{
    listing *list = user;
    size_t used = strlen(list->text);
    (void)snprintf(list->text + used, sizeof(list->text) - used, "%s %s %s %" PRId64 "\n",
                   info->name, info->loader, info->state, info->pid);
}

static void append_link(void *user, const weir_link_info *info)
{
    listing *list = user;
    assert_int_equal(info->accepted,
                     info->delivered + info->dropped_full + info->dropped_closed + info->queued);
    size_t used = strlen(list->text);
    (void)snprintf(list->text + used, sizeof(list->text) - used, "%s->%s\n", info->source,
                   info->sink);
    if (list->source != NULL && strcmp(info->source, list->source) == 0 &&
        strcmp(info->sink, list->sink) == 0) {
        list->delivered = info->delivered;
    }
}

static void append_rule(void *user, const weir_link_info *info)
{
    listing *list = user;
    size_t used = strlen(list->text);
    (void)snprintf(list->text + used, sizeof(list->text) - used, "%s->%s %" PRIu32 " %s\n",
                   info->source, info->sink, info->limit, info->when_full);
}

static void assert_modules(weir_gateway *gateway, const char *wanted)
{
    listing list = {.text = ""};
    weir_gateway_modules(gateway, append_module, &list);
    assert_string_equal(list.text, wanted);
}

static void assert_links(weir_gateway *gateway, const char *wanted)
{
    listing list = {.text = ""};
    weir_gateway_links(gateway, append_link, &list);
    assert_string_equal(list.text, wanted);
}

static uint64_t delivered(weir_gateway *gateway, const char *source, const char *sink)
{
    listing list = {.text = "", .source = source, .sink = sink};
    weir_gateway_links(gateway, append_link, &list);
    return list.delivered;
}

/* Until the link has delivered some messages more than now. */
static void wait_for_flow(weir_gateway *gateway, const char *source, const char *sink)
{
    uint64_t before = delivered(gateway, source, sink);
    const struct timespec pause = {.tv_nsec = 1000000};
    time_t end = time(NULL) + DEADLINE_S;
    while (delivered(gateway, source, sink) < before + 3) {
        if (time(NULL) > end) {
            fail_msg("no messages from %s to %s", source, sink);
        }
        (void)nanosleep(&pause, NULL);
    }
}

static void gateway_from_a_file_runs_and_stops(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_modules(gateway, "logger native created 0\nhello native created 0\n");
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_ERR_STATE);
    assert_modules(gateway, "logger native running 0\nhello native running 0\n");
    assert_links(gateway, "hello->logger\n");
    wait_for_flow(gateway, "hello", "logger");
    assert_int_equal(weir_gateway_stop(gateway), WEIR_OK);
    assert_int_equal(weir_gateway_stop(gateway), WEIR_OK);
    assert_modules(gateway, "logger native stopped 0\nhello native stopped 0\n");
    weir_gateway_destroy(gateway);

    char log[TEXT_MAX];
    read_file("log.txt", log, sizeof(log));
    assert_non_null(strstr(log, "Log started"));
    assert_non_null(strstr(log, "aGVsbG8gd29ybGQ="));
}

static void modules_and_links_come_and_go_while_messages_flow(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    wait_for_flow(gateway, "hello", "logger");

    assert_int_equal(add_native(gateway, "other", "modules/logger/liblogger.so",
                                "{\"filename\": \"other.txt\"}"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "hello", "other"), WEIR_OK);
    assert_links(gateway, "hello->logger\nhello->other\n");
    wait_for_flow(gateway, "hello", "other");

    assert_int_equal(add_native(gateway, "flood", "tests/integration/libflood.so", "null"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "flood", "other"), WEIR_OK);
    wait_for_flow(gateway, "flood", "other");
    assert_modules(gateway, "logger native running 0\nhello native running 0\n"
                            "other native running 0\nflood native running 0\n");

    assert_int_equal(weir_gateway_remove_link(gateway, "flood", "other"), WEIR_OK);
    assert_int_equal(weir_gateway_remove_link(gateway, "flood", "other"), WEIR_ERR_NOT_FOUND);
    assert_int_equal(weir_gateway_remove_module(gateway, "other"), WEIR_OK);
    assert_int_equal(weir_gateway_remove_module(gateway, "other"), WEIR_ERR_NOT_FOUND);
    assert_links(gateway, "hello->logger\n");
    wait_for_flow(gateway, "hello", "logger");
    assert_int_equal(weir_gateway_stop(gateway), WEIR_OK);
    weir_gateway_destroy(gateway);

    char log[TEXT_MAX];
    read_file("other.txt", log, sizeof(log));
    assert_non_null(strstr(log, "Log started"));
}

static void removed_sink_of_a_flood_can_be_added_again(void **state)
{
    (void)state;
    weir_gateway *gateway = NULL;
    assert_int_equal(weir_gateway_create(NULL, &gateway), WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(add_native(gateway, "flood", "tests/integration/libflood.so", "null"),
                     WEIR_OK);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(add_native(gateway, "swallow", "tests/integration/libswallow.so", "null"),
                         WEIR_OK);
        assert_int_equal(add_link(gateway, "flood", "swallow"), WEIR_OK);
        wait_for_flow(gateway, "flood", "swallow");
        assert_int_equal(weir_gateway_remove_module(gateway, "swallow"), WEIR_OK);
    }
    weir_gateway_destroy(gateway);
}

static weir_stats stats_of(weir_gateway *gateway)
{
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(gateway, &stats);
    assert_int_equal(stats.size, sizeof(stats));
    assert_int_equal(stats.accepted,
                     stats.delivered + stats.dropped_full + stats.dropped_closed + stats.queued);
    return stats;
}

static void totals_remember_what_was_removed(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    weir_stats before = stats_of(gateway);
    assert_int_equal(before.uptime_ms, 0);
    assert_int_equal(before.modules, 2);
    assert_int_equal(before.links, 1);
    assert_int_equal(before.accepted, 0);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    wait_for_flow(gateway, "hello", "logger");
    assert_int_equal(weir_gateway_remove_module(gateway, "logger"), WEIR_OK);
    assert_int_equal(weir_gateway_remove_module(gateway, "hello"), WEIR_OK);
    weir_stats after = stats_of(gateway);
    assert_int_equal(after.modules, 0);
    assert_int_equal(after.links, 0);
    assert_true(after.delivered >= 3);
    assert_int_equal(after.queued, 0);
    weir_gateway_destroy(gateway);
}

static void older_program_gets_the_stats_that_it_knows(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    weir_stats stats = WEIR_STATS_INIT;
    stats.size = offsetof(weir_stats, links);
    stats.links = 77;
    weir_gateway_stats(gateway, &stats);
    assert_int_equal(stats.modules, 2);
    assert_int_equal(stats.links, 77); /* past the end of its struct */
    stats.size = 10 * sizeof(stats);   /* a newer one hears how much this library knows */
    weir_gateway_stats(gateway, &stats);
    assert_int_equal(stats.size, sizeof(stats));
    assert_int_equal(stats.links, 1);
    weir_gateway_destroy(gateway);
}

static void link_tells_its_limit_and_rule(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(weir_gateway_add_link(gateway, "{\"source\": \"logger\", \"sink\": \"hello\", "
                                                    "\"queue\": {\"limit\": 7, \"when.full\": "
                                                    "\"drop.oldest\"}}"),
                     WEIR_OK);
    listing list = {.text = ""};
    weir_gateway_links(gateway, append_rule, &list);
    assert_string_equal(list.text, "hello->logger 1024 block\nlogger->hello 7 drop.oldest\n");
    weir_gateway_destroy(gateway);
}

static void link_from_every_module_holds_for_later_ones(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(add_native(gateway, "sink", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "*", "sink"), WEIR_OK);
    assert_int_equal(add_native(gateway, "flood", "tests/integration/libflood.so", "null"),
                     WEIR_OK);
    wait_for_flow(gateway, "hello", "sink");
    wait_for_flow(gateway, "flood", "sink");
    assert_int_equal(weir_gateway_remove_link(gateway, "*", "sink"), WEIR_OK);
    assert_links(gateway, "hello->logger\n");
    weir_gateway_destroy(gateway);
}

static void link_from_every_module_is_removed_without_links_of_their_own(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(add_native(gateway, "sink", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_int_equal(weir_gateway_add_link(gateway, "{\"source\": \"hello\", \"sink\": \"sink\", "
                                                    "\"queue\": {\"limit\": 7}}"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "*", "sink"), WEIR_OK);
    assert_links(gateway, "hello->logger\nhello->sink\nlogger->sink\n");
    assert_int_equal(weir_gateway_remove_link(gateway, "*", "sink"), WEIR_OK);
    listing list = {.text = ""};
    weir_gateway_links(gateway, append_rule, &list);
    assert_string_equal(list.text, "hello->logger 1024 block\nhello->sink 7 block\n");
    assert_int_equal(weir_gateway_remove_link(gateway, "*", "sink"), WEIR_ERR_NOT_FOUND);
    weir_gateway_destroy(gateway);
}

static void link_from_every_module_goes_with_its_sink(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(add_native(gateway, "sink", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "*", "sink"), WEIR_OK);
    assert_int_equal(weir_gateway_remove_module(gateway, "sink"), WEIR_OK);
    assert_int_equal(add_native(gateway, "sink", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_links(gateway, "hello->logger\n");
    assert_int_equal(add_link(gateway, "*", "sink"), WEIR_OK);
    assert_links(gateway, "hello->logger\nlogger->sink\nhello->sink\n");
    weir_gateway_destroy(gateway);
}

static void removed_link_does_not_come_back_with_the_next_module(void **state)
{
    weir_gateway *gateway = create_from_file(*state);
    assert_int_equal(add_native(gateway, "sink", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "*", "sink"), WEIR_OK);
    assert_int_equal(weir_gateway_remove_link(gateway, "logger", "sink"), WEIR_OK);
    assert_int_equal(add_native(gateway, "other", "tests/integration/libswallow.so", "null"),
                     WEIR_OK);
    assert_links(gateway, "hello->logger\nhello->sink\nother->sink\n");
    weir_gateway_destroy(gateway);
}

/* A module in a process of its own. */
static void add_pass(weir_gateway *gateway)
{
    char json[TEXT_MAX];
    (void)snprintf(json, sizeof(json),
                   "{\"name\": \"pass\", \"isolation\": \"process\", \"loader\": "
                   "{\"entrypoint\": {\"module.path\": \"%s/tests/integration/libpass.so\"}}}",
                   build_dir());
    assert_int_equal(weir_gateway_add_module(gateway, json), WEIR_OK);
}

static void isolated_module_is_listed_with_its_process(void **state)
{
    place *at = *state;
    weir_gateway *gateway = create_from_file(at);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    add_pass(gateway);
    assert_int_equal(add_link(gateway, "hello", "pass"), WEIR_OK);
    assert_int_equal(add_link(gateway, "pass", "logger"), WEIR_OK);
    wait_for_flow(gateway, "pass", "logger");
    listing list = {.text = ""};
    weir_gateway_modules(gateway, append_module, &list);
    const char *line = strstr(list.text, "pass native running ");
    assert_non_null(line);
    assert_true(strtol(line + strlen("pass native running "), NULL, 10) > 0);
    assert_int_equal(weir_gateway_remove_module(gateway, "pass"), WEIR_OK);
    wait_for_flow(gateway, "hello", "logger");
    weir_gateway_destroy(gateway);
}

static atomic_bool stays;

static void note_stay(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    if (strcmp(who, "stay") == 0 && strcmp(text, "stays") == 0) {
        atomic_store(&stays, true);
    }
}

/* Keep the only thread of the pool in a sink, until let_it_return. */
static weir_gateway *create_stuck(place *at)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    char args[sizeof(at->folder) + 16];
    weir_gateway *gateway = NULL;
    atomic_store(&stays, false);
    weir_log_set_sink(note_stay, NULL);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    write_file("gateway.json", "{\"gateway\": {\"threads\": 1}, \"modules\": [], \"links\": []}");
    assert_int_equal(weir_gateway_create_from_file("gateway.json", &at->options, &gateway),
                     WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    (void)snprintf(args, sizeof(args), "\"%s/pipe\"", at->folder);
    assert_int_equal(add_native(gateway, "stay", "tests/integration/libstay.so", args), WEIR_OK);
    assert_int_equal(add_native(gateway, "hello", "modules/hello_world/libhello_world.so",
                                "{\"interval.ms\": 1}"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "hello", "stay"), WEIR_OK);
    while (!atomic_load(&stays)) {
        (void)nanosleep(&pause, NULL);
    }
    return gateway;
}

static void let_it_return(void)
{
    int pipe = open("pipe", O_WRONLY | O_CLOEXEC);
    assert_true(pipe >= 0);
    (void)close(pipe);
    (void)remove("pipe");
}

static void module_that_stays_holds_up_nothing_that_goes_to_a_remote_one(void **state)
{
    weir_gateway *gateway = create_stuck(*state);
    add_pass(gateway); /* nobody but the pool was there to start its node */
    assert_int_equal(add_native(gateway, "other", "modules/hello_world/libhello_world.so",
                                "{\"interval.ms\": 1}"),
                     WEIR_OK);
    assert_int_equal(add_link(gateway, "other", "pass"), WEIR_OK);
    wait_for_flow(gateway, "other", "pass");
    let_it_return();
    weir_gateway_destroy(gateway);
    weir_log_set_sink(NULL, NULL); /* nobody logs any more */
}

static void mistakes_in_a_file_are_reported_to_the_program(void **state)
{
    place *at = *state;
    write_file("gateway.json", "{\n\"modules\": [],\n\"linkz\": []}");
    weir_gateway *gateway = NULL;
    assert_int_equal(weir_gateway_create_from_file("gateway.json", &at->options, &gateway),
                     WEIR_ERR_CONFIG);
    assert_null(gateway);
    assert_string_equal(at->problems,
                        "gateway.json:3:1: linkz: unknown key (did you mean \"links\"?)\n");
    assert_int_equal(weir_gateway_check("gateway.json", &at->options), WEIR_ERR_CONFIG);
}

static void module_that_fails_to_create_is_reported_to_the_program(void **state)
{
    place *at = *state;
    write_file("gateway.json",
               "{\"modules\": [{\"name\": \"logger\", \"args\": {\"filename\": \".\"}, "
               "\"loader\": {\"entrypoint\": {\"module.path\": "
               "\"%s/modules/logger/liblogger.so\"}}}]}",
               build_dir());
    weir_gateway *gateway = NULL;
    assert_int_not_equal(weir_gateway_create_from_file("gateway.json", &at->options, &gateway),
                         WEIR_OK);
    assert_null(gateway);
    assert_non_null(strstr(at->problems, "gateway.json:1:14: modules[0]: module \"logger\""));
}

static void wrong_changes_at_run_time_are_refused_and_change_nothing(void **state)
{
    place *at = *state;
    weir_gateway *gateway = create_from_file(at);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(weir_gateway_add_module(gateway, "{\"name\": 5}"), WEIR_ERR_CONFIG);
    assert_non_null(strstr(at->problems, "name: expected a string"));
    assert_int_equal(add_native(gateway, "hello", "tests/integration/libpass.so", "null"),
                     WEIR_ERR_EXISTS);
    assert_non_null(strstr(at->problems, "there is a module of this name already"));
    assert_int_not_equal(add_native(gateway, "bad", "modules/hello_world/libhello_world.so", "7"),
                         WEIR_OK);
    assert_non_null(strstr(at->problems, "\"bad\" cannot be created: "));
    assert_int_not_equal(add_native(gateway, "bad", "tests/integration/libundefined.so", "null"),
                         WEIR_OK);
    assert_non_null(strstr(at->problems, "function_that_exists_nowhere"));
    assert_int_equal(add_link(gateway, "hello", "nobody"), WEIR_ERR_NOT_FOUND);
    assert_int_equal(add_link(gateway, "hello", "logger"), WEIR_ERR_EXISTS);
    assert_int_equal(weir_gateway_add_link(gateway, "[]"), WEIR_ERR_CONFIG);
    assert_int_equal(weir_gateway_remove_module(gateway, "nobody"), WEIR_ERR_NOT_FOUND);
    assert_int_equal(weir_gateway_remove_link(gateway, "logger", "hello"), WEIR_ERR_NOT_FOUND);
    assert_modules(gateway, "logger native running 0\nhello native running 0\n");
    assert_links(gateway, "hello->logger\n");
    wait_for_flow(gateway, "hello", "logger");
    weir_gateway_destroy(gateway);
}

static void gateway_that_was_never_started_can_be_destroyed(void **state)
{
    weir_gateway_destroy(create_from_file(*state));
    weir_gateway *gateway = NULL;
    assert_int_equal(weir_gateway_create(NULL, &gateway), WEIR_OK);
    weir_gateway_destroy(gateway);
    weir_gateway_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_PLACE(gateway_from_a_file_runs_and_stops),
        TEST_IN_PLACE(modules_and_links_come_and_go_while_messages_flow),
        TEST_IN_PLACE(removed_sink_of_a_flood_can_be_added_again),
        TEST_IN_PLACE(totals_remember_what_was_removed),
        TEST_IN_PLACE(older_program_gets_the_stats_that_it_knows),
        TEST_IN_PLACE(link_tells_its_limit_and_rule),
        TEST_IN_PLACE(link_from_every_module_holds_for_later_ones),
        TEST_IN_PLACE(link_from_every_module_is_removed_without_links_of_their_own),
        TEST_IN_PLACE(link_from_every_module_goes_with_its_sink),
        TEST_IN_PLACE(removed_link_does_not_come_back_with_the_next_module),
        TEST_IN_PLACE(isolated_module_is_listed_with_its_process),
        TEST_IN_PLACE(module_that_stays_holds_up_nothing_that_goes_to_a_remote_one),
        TEST_IN_PLACE(mistakes_in_a_file_are_reported_to_the_program),
        TEST_IN_PLACE(module_that_fails_to_create_is_reported_to_the_program),
        TEST_IN_PLACE(wrong_changes_at_run_time_are_refused_and_change_nothing),
        TEST_IN_PLACE(gateway_that_was_never_started_can_be_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
