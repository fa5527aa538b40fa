/* SPDX-License-Identifier: MIT
 *
 * The rule for poison messages: who is suspected, who is cleared, and who is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/window.h"
#include "proxy/poison.h"

static wr_poison with_patience(uint32_t deaths)
{
    wr_poison poison;
    wr_poison_init(&poison, deaths);
    return poison;
}

/* The module dies with the messages first..end-1 in its hands. */
static wr_poison_verdict die(wr_poison *poison, uint64_t first, uint64_t end)
{
    return wr_poison_note_death(poison, &(wr_poison_death){.first = first, .end = end});
}

static void one_that_it_dies_of_three_times_is_found(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    assert_int_equal(die(&poison, 40, 80), WR_POISON_NONE);
    assert_false(wr_poison_is_careful(&poison));
    assert_int_equal(die(&poison, 40, 100), WR_POISON_NONE);
    assert_true(wr_poison_is_careful(&poison));
    assert_int_equal(poison.first, 40);
    assert_int_equal(poison.end, 80);
    assert_int_equal(wr_poison_portion_end(&poison, 40), 41);
    assert_int_equal(die(&poison, 57, 58), WR_POISON_FOUND);
    assert_int_equal(poison.first, 57);
}

static void many_suspects_take_one_death_more(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    assert_int_equal(die(&poison, 1000, 9192), WR_POISON_NONE);
    assert_int_equal(die(&poison, 1000, 9192), WR_POISON_NONE);
    assert_int_equal(wr_poison_portion_end(&poison, 1000), 1091); /* 91 portions of 91 */
    assert_int_equal(wr_poison_portion_end(&poison, 9100), 9191);
    assert_int_equal(wr_poison_portion_end(&poison, 9191), 9192);
    assert_int_equal(die(&poison, 1091, 1182), WR_POISON_NONE);
    assert_int_equal(wr_poison_portion_end(&poison, 1091), 1092);
    assert_int_equal(die(&poison, 1105, 1106), WR_POISON_FOUND);
    assert_int_equal(poison.deaths, 4);
}

static void as_many_as_a_window_holds_take_no_more(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    (void)die(&poison, 1, 1 + WR_WINDOW_MESSAGES);
    (void)die(&poison, 1, 1 + WR_WINDOW_MESSAGES);
    assert_int_equal(die(&poison, 1, wr_poison_portion_end(&poison, 1)), WR_POISON_NONE);
    assert_int_equal(wr_poison_portion_end(&poison, 1), 2);
    assert_int_equal(die(&poison, 1, 2), WR_POISON_FOUND);
    assert_int_equal(poison.deaths, 4);
}

static void as_many_as_are_given_singly_are(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    (void)die(&poison, 10, 10 + WR_POISON_SINGLE_MAX);
    assert_int_equal(wr_poison_portion_end(&poison, 10), 11);
    wr_poison_clear(&poison);
    (void)die(&poison, 10, 10 + WR_POISON_SINGLE_MAX + 1);
    assert_int_equal(wr_poison_portion_end(&poison, 10), 22);
}

static void death_without_messages_clears_them(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    (void)die(&poison, 5, 6);
    (void)die(&poison, 5, 6);
    assert_true(wr_poison_is_careful(&poison));
    assert_int_equal(die(&poison, 5, 5), WR_POISON_NONE);
    assert_false(wr_poison_is_careful(&poison));
    (void)die(&poison, 5, 6);
    (void)die(&poison, 5, 6);
    assert_int_equal(die(&poison, 5, 6), WR_POISON_FOUND);
}

static void death_with_others_begins_anew(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    (void)die(&poison, 5, 10);
    (void)die(&poison, 5, 10);
    assert_int_equal(die(&poison, 10, 11), WR_POISON_NONE);
    assert_int_equal(poison.deaths, 1);
    assert_int_equal(poison.first, 10);
}

static void nobody_is_found_who_was_not_alone(void **state)
{
    (void)state;
    wr_poison poison = with_patience(1);
    assert_int_equal(die(&poison, 5, 6), WR_POISON_NONE); /* alone, but not after a quiet time */
    assert_true(wr_poison_is_careful(&poison));
    assert_int_equal(die(&poison, 5, 6), WR_POISON_FOUND);
    assert_int_equal(poison.deaths, 2); /* one is never enough, whatever the configuration says */
    poison = with_patience(2);
    assert_int_equal(die(&poison, 5, 200), WR_POISON_NONE);
    assert_int_equal(die(&poison, 5, 19), WR_POISON_NONE);
    assert_int_equal(die(&poison, 5, 6), WR_POISON_FOUND);
}

static void module_that_has_processed_nothing_has_no_poison(void **state)
{
    (void)state;
    wr_poison poison = with_patience(2);
    (void)die(&poison, 0, 1);
    assert_int_equal(die(&poison, 0, 1), WR_POISON_UNPROVEN);
    wr_poison_clear(&poison);
    (void)die(&poison, 1, 2);
    assert_int_equal(die(&poison, 1, 2), WR_POISON_FOUND);
    wr_poison_set_aside(&poison);
    assert_false(wr_poison_is_careful(&poison));
    (void)die(&poison, 1, 2); /* the next one: it dies of everything now */
    assert_int_equal(die(&poison, 1, 2), WR_POISON_UNPROVEN);
    wr_poison_clear(&poison);
    (void)die(&poison, 2, 3);
    assert_int_equal(die(&poison, 2, 3), WR_POISON_FOUND);
}

static void quiet_time_follows_from_the_silence(void **state)
{
    (void)state;
    static const uint32_t wanted[][2] = {{0, 100},     {50, 100},    {51, 102},      {1000, 2000},
                                         {2499, 4998}, {2500, 5000}, {9999999, 5000}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        wr_poison poison = with_patience(3);
        (void)wr_poison_note_death(
            &poison, &(wr_poison_death){.first = 1, .end = 2, .silent_ms = wanted[i][0]});
        assert_int_equal(poison.quiet_ms, wanted[i][1]);
    }
}

static void without_the_rule_nothing_is_found(void **state)
{
    (void)state;
    wr_poison poison = with_patience(0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(die(&poison, 5, 6), WR_POISON_NONE);
        assert_false(wr_poison_is_careful(&poison));
    }
}

static void dropped_messages_are_no_suspects(void **state)
{
    (void)state;
    wr_poison poison = with_patience(3);
    assert_int_equal(die(&poison, 10, 13), WR_POISON_NONE);
    assert_int_equal(die(&poison, 10, 20), WR_POISON_NONE);
    wr_poison_drop(&poison, 15);
    wr_poison_drop(&poison, 11);
    assert_int_equal(poison.first, 10);
    assert_int_equal(poison.end, 12);
    wr_poison_drop(&poison, 3);
    assert_int_equal(poison.first, 9);
    assert_int_equal(poison.end, 11);
    assert_true(wr_poison_is_careful(&poison));
    wr_poison_drop(&poison, 9);
    wr_poison_drop(&poison, 9);
    assert_false(wr_poison_is_careful(&poison));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_it_dies_of_three_times_is_found),
        cmocka_unit_test(many_suspects_take_one_death_more),
        cmocka_unit_test(as_many_as_a_window_holds_take_no_more),
        cmocka_unit_test(as_many_as_are_given_singly_are),
        cmocka_unit_test(death_without_messages_clears_them),
        cmocka_unit_test(death_with_others_begins_anew),
        cmocka_unit_test(nobody_is_found_who_was_not_alone),
        cmocka_unit_test(module_that_has_processed_nothing_has_no_poison),
        cmocka_unit_test(quiet_time_follows_from_the_silence),
        cmocka_unit_test(dropped_messages_are_no_suspects),
        cmocka_unit_test(without_the_rule_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
