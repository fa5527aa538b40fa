/* SPDX-License-Identifier: MIT
 *
 * Where messages came from: runs, what is forgotten, and what moves up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/origins.h"

static void assert_links(const wr_origins *origins, const uint64_t *wanted, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        assert_int_equal(wr_origins_find(origins, n), wanted[n]);
    }
}

static void each_message_is_found_in_its_run(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    assert_int_equal(wr_origins_find(&origins, 0), 0);
    wr_origins_note(&origins, 7, 0, 0);
    wr_origins_note(&origins, 7, 1, 0);
    wr_origins_note(&origins, 9, 3, 0);
    wr_origins_note(&origins, 7, 4, 0);
    static const uint64_t wanted[] = {7, 7, 7, 9, 7, 7, 7};
    assert_links(&origins, wanted, sizeof(wanted) / sizeof(wanted[0]));
    assert_int_equal(origins.count, 3);
    wr_origins_deinit(&origins);
}

static void one_source_needs_one_run(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 0; n < 100000; n++) {
        wr_origins_note(&origins, 7, n, 0);
    }
    assert_int_equal(origins.count, 1);
    assert_int_equal(wr_origins_find(&origins, 99999), 7);
    wr_origins_deinit(&origins);
}

static void run_without_a_message_leaves_nothing(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    wr_origins_note(&origins, 7, 0, 0);
    for (uint64_t link = 8; link < 1000; link++) {
        wr_origins_note(&origins, link, 5, 0);
    }
    static const uint64_t wanted[] = {7, 7, 7, 7, 7, 999, 999};
    assert_links(&origins, wanted, sizeof(wanted) / sizeof(wanted[0]));
    assert_int_equal(origins.count, 2);
    wr_origins_deinit(&origins);
}

static void what_is_done_is_forgotten(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 0; n < 100000; n++) {
        wr_origins_note(&origins, 1 + n % 2, n, n < 10 ? 0 : n - 10);
    }
    assert_true(origins.capacity <= 16);
    assert_int_equal(wr_origins_find(&origins, 10), 0);
    for (uint64_t n = 99990; n < 100000; n++) {
        assert_int_equal(wr_origins_find(&origins, n), 1 + n % 2);
    }
    wr_origins_deinit(&origins);
}

static void what_is_not_done_is_kept(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 0; n < 1000; n++) {
        wr_origins_note(&origins, n + 1, n, n < 500 ? 0 : 450);
    }
    for (uint64_t n = 450; n < 1000; n++) {
        assert_int_equal(wr_origins_find(&origins, n), n + 1);
    }
    wr_origins_deinit(&origins);
}

static void run_goes_on_when_its_first_messages_are_done(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    wr_origins_note(&origins, 1, 0, 0);
    wr_origins_note(&origins, 2, 10, 5);
    assert_int_equal(wr_origins_find(&origins, 5), 1);
    wr_origins_note(&origins, 3, 20, 10);
    assert_int_equal(wr_origins_find(&origins, 9), 0);
    assert_int_equal(wr_origins_find(&origins, 10), 2);
    wr_origins_deinit(&origins);
}

static void those_after_a_dropped_one_move_up(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    wr_origins_note(&origins, 1, 0, 0);
    wr_origins_note(&origins, 2, 2, 0);
    wr_origins_note(&origins, 3, 3, 0);
    wr_origins_drop(&origins, 2); /* the only one of its run */
    static const uint64_t wanted[] = {1, 1, 3, 3};
    assert_links(&origins, wanted, sizeof(wanted) / sizeof(wanted[0]));
    wr_origins_note(&origins, 4, 4, 0);
    assert_int_equal(wr_origins_find(&origins, 3), 3);
    assert_int_equal(wr_origins_find(&origins, 4), 4);
    wr_origins_deinit(&origins);
}

static void what_many_runs_needed_is_given_back(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    wr_origins_shrink(&origins, 0);
    assert_int_equal(origins.capacity, 0);
    for (uint64_t n = 0; n < 1000; n++) {
        wr_origins_note(&origins, n + 1, n, 0);
    }
    wr_origins_shrink(&origins, 10); /* most of it is in use */
    assert_int_equal(origins.capacity, 1024);
    wr_origins_shrink(&origins, 990);
    assert_int_equal(origins.capacity, 32);
    wr_origins_note(&origins, 1000, 1000, 990); /* the last run goes on */
    assert_int_equal(origins.count, 10);
    for (uint64_t n = 990; n < 1000; n++) {
        assert_int_equal(wr_origins_find(&origins, n), n + 1);
    }
    wr_origins_shrink(&origins, 1001);
    assert_int_equal(origins.capacity, 16);
    assert_int_equal(wr_origins_find(&origins, 1001), 1000);
    wr_origins_deinit(&origins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_found_in_its_run),
        cmocka_unit_test(one_source_needs_one_run),
        cmocka_unit_test(run_without_a_message_leaves_nothing),
        cmocka_unit_test(what_is_done_is_forgotten),
        cmocka_unit_test(what_is_not_done_is_kept),
        cmocka_unit_test(run_goes_on_when_its_first_messages_are_done),
        cmocka_unit_test(those_after_a_dropped_one_move_up),
        cmocka_unit_test(what_many_runs_needed_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
