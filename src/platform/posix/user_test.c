/* SPDX-License-Identifier: MIT
 *
 * Users and groups by name and number. "root" and its number are the same on every system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "platform/user.h"

static void user_is_found_by_name_and_by_number(void **state)
{
    (void)state;
    wr_user by_name = {.id = 7};
    wr_user by_number = {.id = 7};
    assert_int_equal(wr_user_find("root", &by_name, NULL), WEIR_OK);
    assert_int_equal(wr_user_find("0", &by_number, NULL), WEIR_OK);
    assert_int_equal(by_name.id, WR_USER_ROOT);
    assert_int_equal(by_number.id, WR_USER_ROOT);
    assert_true(by_name.has_group && by_number.has_group);
    assert_int_equal(by_name.group, by_number.group);
}

static void number_needs_no_known_user(void **state)
{
    (void)state;
    wr_user user = {.has_group = true};
    assert_int_equal(wr_user_find("4123456789", &user, NULL), WEIR_OK);
    assert_int_equal(user.id, 4123456789u);
    assert_false(user.has_group);
}

static void unknown_name_is_an_error_that_names_it(void **state)
{
    (void)state;
    wr_user user = {.id = 7};
    wr_error error = {.code = WEIR_OK};
    assert_int_equal(wr_user_find("no such user", &user, &error), WEIR_ERR_NOT_FOUND);
    assert_string_equal(error.text, "there is no user 'no such user'");
    assert_int_equal(user.id, 7);
    uint32_t group = 7;
    assert_int_equal(wr_group_find("", &group, &error), WEIR_ERR_NOT_FOUND);
    assert_string_equal(error.text, "there is no group ''");
    assert_int_equal(group, 7);
}

static void number_beyond_all_ids_is_refused(void **state)
{
    (void)state;
    wr_user user;
    uint32_t group;
    assert_int_equal(wr_user_find("4294967294", &user, NULL), WEIR_OK);
    assert_int_equal(wr_user_find("4294967295", &user, NULL), WEIR_ERR_NOT_FOUND);
    assert_int_equal(wr_user_find("99999999999999999999999", &user, NULL), WEIR_ERR_NOT_FOUND);
    assert_int_equal(wr_group_find("4294967295", &group, NULL), WEIR_ERR_NOT_FOUND);
}

static void group_is_found_by_name_and_by_number(void **state)
{
    (void)state;
    uint32_t group = 7;
    assert_int_equal(wr_group_find("root", &group, NULL), WEIR_OK);
    assert_int_equal(group, 0);
    assert_int_equal(wr_group_find("4123456789", &group, NULL), WEIR_OK);
    assert_int_equal(group, 4123456789u);
}

static void own_user_is_the_systems(void **state)
{
    (void)state;
    assert_int_equal(wr_user_self(), geteuid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_user_is_the_systems),
        cmocka_unit_test(user_is_found_by_name_and_by_number),
        cmocka_unit_test(number_needs_no_known_user),
        cmocka_unit_test(unknown_name_is_an_error_that_names_it),
        cmocka_unit_test(number_beyond_all_ids_is_refused),
        cmocka_unit_test(group_is_found_by_name_and_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
