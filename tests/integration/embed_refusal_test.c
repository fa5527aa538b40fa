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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_PLACE(after_a_failed_start_only_destroy_is_left),
        TEST_IN_PLACE(stopped_gateway_refuses_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
