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

static void each_message_is_found_in_its_run(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    assert_int_equal(wr_origins_find(&origins, 0), 0);
    wr_origins_add(&origins, 7, 3, 0);
    wr_origins_add(&origins, 9, 4, 0);
    wr_origins_add(&origins, 7, 6, 0);
    static const uint64_t wanted[] = {7, 7, 7, 9, 7, 7, 0};
    for (uint64_t n = 0; n < sizeof(wanted) / sizeof(wanted[0]); n++) {
        assert_int_equal(wr_origins_find(&origins, n), wanted[n]);
    }
    wr_origins_deinit(&origins);
}

static void one_source_needs_one_run(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 1; n <= 100000; n++) {
        wr_origins_add(&origins, 7, n, 0);
    }
    assert_int_equal(origins.count, 1);
    assert_int_equal(wr_origins_find(&origins, 99999), 7);
    wr_origins_deinit(&origins);
}

static void what_is_done_is_forgotten(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 1; n <= 100000; n++) {
        wr_origins_add(&origins, 1 + n % 2, n, n < 10 ? 0 : n - 10);
    }
    assert_true(origins.capacity <= 16);
    assert_int_equal(wr_origins_find(&origins, 10), 0);
    for (uint64_t n = 99991; n <= 100000; n++) {
        assert_int_equal(wr_origins_find(&origins, n - 1), 1 + n % 2);
    }
    wr_origins_deinit(&origins);
}

static void what_is_not_done_is_kept(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    for (uint64_t n = 1; n <= 1000; n++) {
        wr_origins_add(&origins, n, n, n < 500 ? 0 : 450);
    }
    for (uint64_t n = 451; n <= 1000; n++) {
        assert_int_equal(wr_origins_find(&origins, n - 1), n);
    }
    wr_origins_deinit(&origins);
}

static void those_after_a_dropped_one_move_up(void **state)
{
    (void)state;
    wr_origins origins = {.ring = NULL};
    wr_origins_add(&origins, 1, 2, 0);
    wr_origins_add(&origins, 2, 3, 0);
    wr_origins_add(&origins, 3, 5, 0);
    wr_origins_drop(&origins, 2); /* the only one of its run */
    static const uint64_t wanted[] = {1, 1, 3, 3, 0};
    for (uint64_t n = 0; n < sizeof(wanted) / sizeof(wanted[0]); n++) {
        assert_int_equal(wr_origins_find(&origins, n), wanted[n]);
    }
    wr_origins_add(&origins, 4, 5, 0);
    assert_int_equal(wr_origins_find(&origins, 3), 3);
    assert_int_equal(wr_origins_find(&origins, 4), 4);
    wr_origins_deinit(&origins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_found_in_its_run),
        cmocka_unit_test(one_source_needs_one_run),
        cmocka_unit_test(what_is_done_is_forgotten),
        cmocka_unit_test(what_is_not_done_is_kept),
        cmocka_unit_test(those_after_a_dropped_one_move_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
