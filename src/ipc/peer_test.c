/* SPDX-License-Identifier: MIT
 *
 * Whose process may be at the other end. Here it is always this one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/peer.h"
#include "platform/user.h"

static weir_err check_own(const wr_users *allowed, wr_error *error)
{
    wr_stream *a = NULL;
    wr_stream *b = NULL;
    assert_int_equal(wr_stream_pair(&a, &b), WEIR_OK);
    weir_err err = wr_peer_check(a, allowed, error);
    wr_stream_close(a);
    wr_stream_close(b);
    return err;
}

static void own_user_needs_no_permission(void **state)
{
    (void)state;
    assert_int_equal(check_own(&(wr_users){.count = 0}, NULL), WEIR_OK);
}

static void own_user_is_refused_where_only_others_are_allowed(void **state)
{
    (void)state;
    wr_users users = {.only = true};
    wr_error error = {.code = WEIR_OK};
    assert_int_equal(wr_users_add(&users, wr_user_self() + 1), WEIR_OK);
    assert_int_equal(check_own(&users, &error), WEIR_ERR_DENIED);
    assert_non_null(strstr(error.text, "not to its own"));
    assert_int_equal(wr_users_add(&users, wr_user_self()), WEIR_OK);
    assert_int_equal(check_own(&users, NULL), WEIR_OK);
}

static void users_are_added_once_and_up_to_a_limit(void **state)
{
    (void)state;
    wr_users users = {.count = 0};
    for (uint32_t id = 0; id < WR_USERS_MAX; id++) {
        assert_false(wr_users_has(&users, id));
        assert_int_equal(wr_users_add(&users, id), WEIR_OK);
        assert_int_equal(wr_users_add(&users, id), WEIR_OK);
        assert_true(wr_users_has(&users, id));
    }
    assert_int_equal(users.count, WR_USERS_MAX);
    assert_int_equal(wr_users_add(&users, WR_USERS_MAX), WEIR_ERR_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_user_needs_no_permission),
        cmocka_unit_test(own_user_is_refused_where_only_others_are_allowed),
        cmocka_unit_test(users_are_added_once_and_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
