/* SPDX-License-Identifier: MIT
 *
 * The embedding API as a program of a user's has it: what is refused, with which error, and how the
 * program hears why.
 */
#define _POSIX_C_SOURCE 200809L

#include "embed.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "weir/log.h"

#define FAILS "tests/integration/libfails.so"
#define SWALLOW "tests/integration/libswallow.so"

static weir_gateway *create_empty(const place *at)
{
    weir_gateway *gateway = NULL;
    assert_int_equal(weir_gateway_create(&at->options, &gateway), WEIR_OK);
    return gateway;
}

static atomic_int starts;

static void count_starts(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    (void)who;
    atomic_fetch_add(&starts, strcmp(text, "starts") == 0);
}

static void after_a_failed_start_only_destroy_is_left(void **state)
{
    place *at = *state;
    weir_gateway *gateway = create_empty(at);
    atomic_store(&starts, 0);
    weir_log_set_sink(count_starts, NULL);
    assert_int_equal(add_native(gateway, "good", FAILS, "null"), WEIR_OK);
    assert_int_equal(add_native(gateway, "bad", FAILS, "\"start\""), WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_ERR_MODULE);
    assert_non_null(strstr(at->problems, "\"bad\" cannot be started: "));
    assert_int_equal(weir_gateway_start(gateway), WEIR_ERR_STATE);
    assert_int_equal(atomic_load(&starts), 2); /* each once */
    assert_int_equal(add_native(gateway, "late", SWALLOW, "null"), WEIR_ERR_STATE);
    assert_int_equal(add_link(gateway, "good", "bad"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_remove_link(gateway, "good", "bad"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_remove_module(gateway, "good"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_restart_module(gateway, NULL), WEIR_ERR_STATE);
    weir_gateway_destroy(gateway);
    weir_log_set_sink(NULL, NULL);
}

static void stopped_gateway_refuses_changes(void **state)
{
    weir_gateway *gateway = create_empty(*state);
    assert_int_equal(add_native(gateway, "a", SWALLOW, "null"), WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(weir_gateway_stop(gateway), WEIR_OK);
    assert_int_equal(weir_gateway_start(gateway), WEIR_ERR_STATE);
    assert_int_equal(add_native(gateway, "b", SWALLOW, "null"), WEIR_ERR_STATE);
    assert_int_equal(add_link(gateway, "*", "a"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_remove_link(gateway, "*", "a"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_remove_module(gateway, "a"), WEIR_ERR_STATE);
    assert_int_equal(weir_gateway_restart_module(gateway, "a"), WEIR_ERR_STATE);
    weir_gateway_destroy(gateway);
}

static void missing_arguments_are_refused(void **state)
{
    weir_gateway *gateway = create_empty(*state);
    weir_gateway *other = NULL;
    assert_int_equal(weir_gateway_check(NULL, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_create(NULL, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_create_from_file(NULL, NULL, &other), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_create_from_file("gateway.json", NULL, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_start(NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_stop(NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_add_module(NULL, "{}"), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_add_module(gateway, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_remove_module(NULL, "a"), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_remove_module(gateway, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_restart_module(NULL, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_add_link(NULL, "{}"), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_add_link(gateway, NULL), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_remove_link(NULL, "a", "b"), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_remove_link(gateway, NULL, "b"), WEIR_ERR_INVALID);
    assert_int_equal(weir_gateway_remove_link(gateway, "a", NULL), WEIR_ERR_INVALID);
    weir_gateway_destroy(gateway);
}

static void whatever_create_returns_the_module_has_failed(void **state)
{
    place *at = *state;
    weir_gateway *gateway = create_empty(at);
    assert_int_equal(add_native(gateway, "bad", FAILS, "\"create\""), WEIR_ERR_MODULE);
    assert_non_null(strstr(at->problems, "\"bad\" cannot be created: create returned "
                                         "WEIR_ERR_FULL (queue is full)"));
    assert_int_equal(weir_gateway_start(gateway), WEIR_OK);
    assert_int_equal(add_native(gateway, "bad", FAILS, "\"start\""), WEIR_ERR_MODULE);
    weir_gateway_destroy(gateway);

    write_file("gateway.json",
               "{\"modules\": [{\"name\": \"bad\", \"args\": \"create\", \"loader\": "
               "{\"entrypoint\": {\"module.path\": \"%s/" FAILS "\"}}}]}",
               build_dir());
    assert_int_equal(weir_gateway_create_from_file("gateway.json", &at->options, &gateway),
                     WEIR_ERR_MODULE);
}

static weir_err add_remote(weir_gateway *gateway, const char *name, const char *sockets)
{
    char json[TEXT_MAX];
    (void)snprintf(json, sizeof(json),
                   "{\"name\": \"%s\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": "
                   "{\"activation.type\": \"none\", %s}}}",
                   name, sockets);
    return weir_gateway_add_module(gateway, json);
}

static void socket_belongs_to_one_module(void **state)
{
    place *at = *state;
    weir_gateway *gateway = create_empty(at);
    const char *both = "\"control.id\": \"a.control\", \"message.id\": \"a.messages\"";
    assert_int_equal(add_remote(gateway, "a", both), WEIR_OK);
    assert_int_equal(add_remote(gateway, "b", "\"control.id\": \"ipc://a.control\""),
                     WEIR_ERR_EXISTS);
    assert_non_null(strstr(at->problems, "\"b\" cannot be created: the socket \"a.control\" is "
                                         "that of module \"a\" already"));
    assert_int_equal(add_remote(gateway, "b", "\"control.id\": \"a.messages\""), WEIR_ERR_EXISTS);
    assert_int_equal(add_remote(gateway, "b",
                                "\"control.id\": \"b\", \"message.id\": "
                                "\"a.control\""),
                     WEIR_ERR_EXISTS);
    assert_int_equal(add_remote(gateway, "b", "\"control.id\": \"b\""), WEIR_OK);
    assert_int_equal(weir_gateway_remove_module(gateway, "a"), WEIR_OK);
    assert_int_equal(add_remote(gateway, "c", both), WEIR_OK);
    weir_gateway_destroy(gateway);
}

typedef struct helper {
    weir_gateway *gateway;
    int problems;
} helper;

/* A program that does without the module that is wrong. */
static void add_another(void *user, const char *text)
{
    helper *self = user;
    char name[32];
    assert_string_not_equal(text, "");
    (void)snprintf(name, sizeof(name), "other %d", ++self->problems);
    assert_int_equal(add_native(self->gateway, name, SWALLOW, "null"), WEIR_OK);
    assert_int_equal(add_link(self->gateway, "good", name), WEIR_OK);
    assert_int_equal(weir_gateway_remove_module(self->gateway, name), WEIR_OK);
}

static void who_hears_of_a_problem_may_use_the_gateway(void **state)
{
    (void)state;
    helper self = {NULL, 0};
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = add_another;
    options.user = &self;
    assert_int_equal(weir_gateway_create(&options, &self.gateway), WEIR_OK);
    assert_int_equal(add_native(self.gateway, "good", SWALLOW, "null"), WEIR_OK);
    assert_int_equal(weir_gateway_start(self.gateway), WEIR_OK);
    assert_int_equal(weir_gateway_add_module(self.gateway, "{\"name\": 7}"), WEIR_ERR_CONFIG);
    assert_int_equal(self.problems, 2); /* and no loader */
    assert_int_equal(weir_gateway_add_link(self.gateway, "[]"), WEIR_ERR_CONFIG);
    assert_int_equal(self.problems, 3);
    assert_int_equal(add_native(self.gateway, "good", SWALLOW, "null"), WEIR_ERR_EXISTS);
    assert_int_equal(add_native(self.gateway, "bad", FAILS, "\"create\""), WEIR_ERR_MODULE);
    assert_int_equal(add_native(self.gateway, "bad", FAILS, "\"start\""), WEIR_ERR_MODULE);
    assert_int_equal(self.problems, 6);
    weir_gateway_destroy(self.gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_PLACE(after_a_failed_start_only_destroy_is_left),
        TEST_IN_PLACE(stopped_gateway_refuses_changes),
        TEST_IN_PLACE(missing_arguments_are_refused),
        TEST_IN_PLACE(whatever_create_returns_the_module_has_failed),
        TEST_IN_PLACE(socket_belongs_to_one_module),
        TEST_IN_PLACE(who_hears_of_a_problem_may_use_the_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
