/* SPDX-License-Identifier: MIT
 *
 * hello_world on a host of the test's own.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_host.h"

static const char a_day[] = "{\"interval.ms\": 86400000}";

typedef struct fixture {
    fake_host host;
    const weir_module_api *api;
    void *module;
} fixture;

static int setup(void **state)
{
    fixture *fix = calloc(1, sizeof(*fix));
    assert_non_null(fix);
    fake_host_init(&fix->host);
    fix->api = weir_module();
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;
    fake_host_deinit(&fix->host);
    free(fix);
    return 0;
}

static void start_with(fixture *fix, const char *args)
{
    assert_int_equal(fix->api->create(&fix->host.base, args, &fix->module), WEIR_OK);
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

static void assert_content(const weir_message *msg, const char *expected)
{
    size_t size;
    const void *content = weir_message_content(msg, &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(content, expected, size);
}

static void its_table_is_sound(void **state)
{
    fixture *fix = *state;
    wr_error error;
    assert_int_equal(wr_module_api_check(fix->api, &error), WEIR_OK);
    assert_null(fix->api->receive);
}

static void publishes_at_once(void **state)
{
    fixture *fix = *state;
    start_with(fix, a_day);
    await_published(fix, 1);
    fix->api->destroy(fix->module);
    assert_int_equal(fix->host.published, 1);
    assert_content(fix->host.kept[0], "hello world");
    assert_string_equal(weir_message_property(fix->host.kept[0], "source"), "hello_world");
}

static void publishes_again_and_again(void **state)
{
    fixture *fix = *state;
    start_with(fix, "{\"message\": \"gr\\u00fc\\u00dfe\", \"interval.ms\": 1}");
    await_published(fix, 5);
    fix->api->destroy(fix->module);
    assert_content(fix->host.kept[4], "gr\xc3\xbc\xc3\x9f"
                                      "e");
}

static void null_args_mean_the_defaults(void **state)
{
    fixture *fix = *state;
    start_with(fix, "null");
    await_published(fix, 1);
    fix->api->destroy(fix->module);
    assert_content(fix->host.kept[0], "hello world");
}

static void destroy_ends_a_publish_that_waits(void **state)
{
    fixture *fix = *state;
    fix->host.full = true;
    start_with(fix, a_day);
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

static void destroy_before_start_is_harmless(void **state)
{
    fixture *fix = *state;
    assert_int_equal(fix->api->create(&fix->host.base, "{}", &fix->module), WEIR_OK);
    fix->api->destroy(fix->module);
    fix->api->destroy(NULL);
}

static void wrong_args_are_refused_in_words(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"[]", "object or null"},
        {"\"text\"", "object or null"},
        {"{\"mesage\": \"x\"}", "unknown key \"mesage\""},
        {"{\"message\": 1}", "args.message: expected a string"},
        {"{\"interval.ms\": 0}", "from 1 to 86400000"},
        {"{\"interval.ms\": 86400001}", "from 1 to 86400000"},
        {"{\"interval.ms\": \"1\"}", "from 1 to 86400000"},
        {"{\"interval.ms\": 1.5}", "from 1 to 86400000"},
        {"{", "args: "},
    };
    fixture *fix = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wr_error error;
        void *module = NULL;
        assert_int_equal(
            wr_module_create(fix->api, &fix->host.base, cases[i].args, &module, &error),
            WEIR_ERR_CONFIG);
        assert_non_null(strstr(wr_error_text(&error), cases[i].says));
        assert_null(module);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_table_is_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(publishes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(publishes_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(null_args_mean_the_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(destroy_ends_a_publish_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(destroy_before_start_is_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_args_are_refused_in_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
