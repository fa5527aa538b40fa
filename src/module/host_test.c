/* SPDX-License-Identifier: MIT
 *
 * Tests of the module contract's two directions with a module that records what it was called with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "module/host.h"

typedef struct record {
    char args[32];
    size_t received;
    size_t batches;
    bool destroyed;
} record;

static record seen;
static weir_host *made_for;

static weir_err create_ok(weir_host *host, const char *args, void **self)
{
    made_for = host;
    memcpy(seen.args, args, strlen(args) + 1);
    *self = &seen;
    return WEIR_OK;
}

static weir_err create_silent(weir_host *host, const char *args, void **self)
{
    (void)host;
    (void)args;
    *self = &seen;
    return WEIR_ERR_IO;
}

static weir_err create_with_reason(weir_host *host, const char *args, void **self)
{
    (void)self;
    return weir_fail(host, WEIR_ERR_CONFIG, "cannot use %s", args);
}

static weir_err create_with_unknown_code(weir_host *host, const char *args, void **self)
{
    (void)host;
    (void)args;
    (void)self;
    return (weir_err)12345;
}

static weir_err create_without_self(weir_host *host, const char *args, void **self)
{
    (void)host;
    (void)args;
    (void)self;
    return WEIR_OK;
}

static weir_err start_with_reason(void *self)
{
    (void)self;
    return weir_fail(made_for, WEIR_ERR_IO, "no port");
}

static void receive_one(void *self, weir_message *msg)
{
    assert_non_null(msg);
    ((record *)self)->received++;
}

static void receive_batch(void *self, weir_message **msgs, size_t count)
{
    (void)msgs;
    ((record *)self)->received += count;
    ((record *)self)->batches++;
}

static void destroy_record(void *self)
{
    ((record *)self)->destroyed = true;
}

static weir_module_api table(void)
{
    return (weir_module_api){.abi_version = WEIR_MODULE_ABI,
                             .size = sizeof(weir_module_api),
                             .name = "recorder",
                             .summary = "records",
                             .create = create_ok,
                             .receive = receive_one,
                             .destroy = destroy_record};
}

static int fresh_record(void **state)
{
    (void)state;
    seen = (record){0};
    made_for = NULL;
    return 0;
}

static weir_err publish_tells(weir_host *host, weir_message *msg, bool wait)
{
    (void)host;
    (void)msg;
    return wait ? WEIR_ERR_CLOSED : WEIR_ERR_FULL;
}

static const wr_host_ops ops = {publish_tells};

static void whole_table_passes_the_check(void **state)
{
    (void)state;
    weir_module_api api = table();
    assert_int_equal(WEIR_OK, wr_module_api_check(&api, NULL));
    api.size += 64;
    api.receive = NULL;
    api.destroy = NULL;
    assert_int_equal(WEIR_OK, wr_module_api_check(&api, NULL));
}

static void assert_table_refused(const weir_module_api *api, const char *text)
{
    wr_error error = {0};
    assert_int_equal(WEIR_ERR_LOAD, wr_module_api_check(api, &error));
    assert_non_null(strstr(wr_error_text(&error), text));
}

static void wrong_table_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_table_refused(NULL, "no module table");
    weir_module_api api = table();
    api.abi_version = 7;
    assert_table_refused(&api, "module ABI 7, but this is Weir with ABI 1");
    api = table();
    api.size = 16;
    assert_table_refused(&api, "has 16 bytes, expected at least");
    api = table();
    api.create = NULL;
    assert_table_refused(&api, "no create function");
    api = table();
    api.summary = NULL;
    assert_table_refused(&api, "no name or no summary");
}

static void create_gets_its_args_or_null(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_host host = {.ops = &ops, .name = "m"};
    void *self = NULL;
    assert_int_equal(WEIR_OK, wr_module_create(&api, &host, "{\"a\":1}", &self, NULL));
    assert_ptr_equal(&seen, self);
    assert_string_equal("{\"a\":1}", seen.args);
    assert_int_equal(WEIR_OK, wr_module_create(&api, &host, NULL, &self, NULL));
    assert_string_equal("null", seen.args);
}

static void module_without_state_has_no_self(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_host host = {.ops = &ops, .name = "m"};
    void *self = &seen;
    api.create = create_without_self;
    assert_int_equal(WEIR_OK, wr_module_create(&api, &host, NULL, &self, NULL));
    assert_null(self);
}

static void failed_create_tells_the_modules_reason(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_host host = {.ops = &ops, .name = "m"};
    wr_error error = {0};
    void *self = NULL;
    api.create = create_with_reason;
    assert_int_equal(WEIR_ERR_CONFIG, wr_module_create(&api, &host, "[1]", &self, &error));
    assert_string_equal("cannot use [1]", wr_error_text(&error));
    assert_null(self);
    /* A reason is not kept for the next failure. */
    api.create = create_silent;
    assert_int_equal(WEIR_ERR_IO, wr_module_create(&api, &host, NULL, &self, &error));
    assert_string_equal("create returned WEIR_ERR_IO (input/output error) and gave no reason",
                        wr_error_text(&error));
    assert_null(self);
}

static void number_that_is_no_error_becomes_a_failure_of_the_module(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_host host = {.ops = &ops, .name = "m"};
    void *self = NULL;
    api.create = create_with_unknown_code;
    assert_int_equal(WEIR_ERR_MODULE, wr_module_create(&api, &host, NULL, &self, NULL));
}

static void start_may_be_missing_or_fail(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_host host = {.ops = &ops, .name = "m"};
    wr_error error = {0};
    void *self = NULL;
    assert_int_equal(WEIR_OK, wr_module_create(&api, &host, NULL, &self, NULL));
    assert_int_equal(WEIR_OK, wr_module_start(&api, &host, self, &error));
    api.start = start_with_reason;
    assert_int_equal(WEIR_ERR_IO, wr_module_start(&api, &host, self, &error));
    assert_string_equal("no port", wr_error_text(&error));
}

static void messages_are_handed_over_singly_in_a_batch_or_not_at_all(void **state)
{
    (void)state;
    weir_module_api api = table();
    weir_message *msg = NULL;
    assert_int_equal(WEIR_OK, weir_message_new(NULL, 0, NULL, 0, &msg));
    weir_message *msgs[] = {msg, msg, msg};
    wr_module_receive(&api, &seen, msgs, 3);
    assert_int_equal(3, seen.received);
    api.receive_many = receive_batch;
    wr_module_receive(&api, &seen, msgs, 3);
    assert_int_equal(6, seen.received);
    assert_int_equal(1, seen.batches);
    api.receive_many = NULL;
    api.receive = NULL;
    wr_module_receive(&api, &seen, msgs, 3);
    assert_int_equal(6, seen.received);
    weir_message_unref(msg);
}

static void destroy_may_be_missing(void **state)
{
    (void)state;
    weir_module_api api = table();
    wr_module_destroy(&api, &seen);
    assert_true(seen.destroyed);
    api.destroy = NULL;
    wr_module_destroy(&api, NULL);
}

static void publishing_reaches_the_host_and_says_whether_to_wait(void **state)
{
    (void)state;
    weir_host host = {.ops = &ops, .name = "m"};
    weir_message *msg = NULL;
    assert_int_equal(WEIR_OK, weir_message_new(NULL, 0, NULL, 0, &msg));
    assert_int_equal(WEIR_ERR_CLOSED, weir_publish(&host, msg));
    assert_int_equal(WEIR_ERR_FULL, weir_try_publish(&host, msg));
    assert_int_equal(WEIR_ERR_INVALID, weir_publish(&host, NULL));
    assert_int_equal(WEIR_ERR_INVALID, weir_publish(NULL, msg));
    assert_int_equal(WEIR_ERR_INVALID, weir_try_publish(&host, NULL));
    weir_message_unref(msg);
}

static char logged[64];

static void keep_line(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    assert_string_equal("m", who);
    memcpy(logged, text, strlen(text) + 1);
}

static void log_lines_carry_the_modules_name(void **state)
{
    (void)state;
    weir_host host = {.ops = &ops, .name = "m"};
    weir_log_set_sink(keep_line, NULL);
    weir_log(&host, WEIR_LOG_WARN, "%d of %d", 1, 2);
    weir_log_set_sink(NULL, NULL);
    assert_string_equal("1 of 2", logged);
    assert_string_equal("m", weir_host_name(&host));
}

#define on_fresh(test) cmocka_unit_test_setup(test, fresh_record)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_fresh(whole_table_passes_the_check),
        on_fresh(wrong_table_is_refused_with_the_reason),
        on_fresh(create_gets_its_args_or_null),
        on_fresh(module_without_state_has_no_self),
        on_fresh(failed_create_tells_the_modules_reason),
        on_fresh(number_that_is_no_error_becomes_a_failure_of_the_module),
        on_fresh(start_may_be_missing_or_fail),
        on_fresh(messages_are_handed_over_singly_in_a_batch_or_not_at_all),
        on_fresh(destroy_may_be_missing),
        on_fresh(publishing_reaches_the_host_and_says_whether_to_wait),
        on_fresh(log_lines_carry_the_modules_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
