/* SPDX-License-Identifier: MIT
 *
 * Tests of lending: an array stands for the borrower's marks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ipc/lending.h"
#include "platform/random.h"

static _Atomic uint32_t marks[WR_LENDING_SLOTS];

static weir_message *make(void)
{
    weir_message *msg = NULL;
    assert_int_equal(WEIR_OK, weir_message_new(NULL, 0, "content", 7, &msg));
    return msg;
}

static wr_lending *make_lending(void)
{
    wr_lending *lending = NULL;
    memset((void *)marks, 0, sizeof(marks));
    assert_int_equal(WEIR_OK, wr_lending_create(&lending));
    wr_lending_set_marks(lending, marks);
    return lending;
}

static wr_lent lend(wr_lending *lending, weir_message *msg)
{
    wr_lent lent = {0, 0};
    assert_true(wr_lending_lend(lending, msg, &lent));
    assert_true(lent.slot < WR_LENDING_SLOTS);
    assert_int_not_equal(0, lent.generation);
    return lent;
}

static void give_back(const wr_lent *lent)
{
    atomic_store(&marks[lent->slot], lent->generation);
}

static bool is_lent(wr_lending *lending, const wr_lent *lent)
{
    weir_message *found = wr_lending_find(lending, lent);
    weir_message_unref(found);
    return found != NULL;
}

static void what_is_lent_is_found_until_it_is_returned(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent lent = lend(lending, msg);
    weir_message *found = wr_lending_find(lending, &lent);
    assert_ptr_equal(msg, found);
    weir_message_unref(found);
    assert_int_equal(0, wr_lending_collect(lending));
    give_back(&lent);
    assert_int_equal(1, wr_lending_collect(lending));
    assert_false(is_lent(lending, &lent));
    assert_int_equal(0, wr_lending_collect(lending));
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

static void the_lender_may_be_the_last_that_holds_it(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent lent = lend(lending, msg);
    weir_message_unref(msg);
    weir_message *found = wr_lending_find(lending, &lent);
    size_t size = 0;
    assert_memory_equal("content", weir_message_content(found, &size), 7);
    weir_message_unref(found);
    wr_lending_destroy(lending);
}

static void a_mark_of_an_earlier_use_does_not_return_a_later_one(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent first = lend(lending, msg);
    give_back(&first);
    assert_int_equal(1, wr_lending_collect(lending));
    wr_lent second = lend(lending, msg);
    assert_int_equal(first.slot, second.slot);
    assert_int_not_equal(first.generation, second.generation);
    assert_int_equal(0, wr_lending_collect(lending));
    assert_true(is_lent(lending, &second));
    assert_false(is_lent(lending, &first));
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

static void wild_marks_and_numbers_change_nothing(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent lent = lend(lending, msg);
    const wr_lent wild[] = {{lent.slot, lent.generation + 1},
                            {lent.slot + 1, lent.generation},
                            {lent.slot + 1, 0},
                            {WR_LENDING_SLOTS, 1},
                            {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        assert_false(is_lent(lending, &wild[i]));
        if (wild[i].slot < WR_LENDING_SLOTS) {
            give_back(&wild[i]);
        }
    }
    assert_int_equal(0, wr_lending_collect(lending));
    assert_true(is_lent(lending, &lent));
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

static void without_marks_nothing_is_returned(void **state)
{
    (void)state;
    wr_lending *lending = NULL;
    weir_message *msg = make();
    assert_int_equal(WEIR_OK, wr_lending_create(&lending));
    wr_lent lent = lend(lending, msg);
    assert_int_equal(0, wr_lending_collect(lending));
    give_back(&lent);
    wr_lending_set_marks(lending, marks);
    assert_int_equal(1, wr_lending_collect(lending));
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

static void what_is_cancelled_is_not_lent(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent first = lend(lending, msg);
    wr_lent second = lend(lending, msg);
    wr_lending_cancel(lending, &second);
    assert_true(is_lent(lending, &first));
    assert_false(is_lent(lending, &second));
    wr_lent third = lend(lending, msg);
    assert_int_equal(second.slot, third.slot);
    assert_int_not_equal(second.generation, third.generation);
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

static void with_all_slots_taken_nothing_is_lent_until_one_is_returned(void **state)
{
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent last = {0, 0};
    for (unsigned i = 0; i < WR_LENDING_SLOTS; i++) {
        last = lend(lending, msg);
    }
    wr_lent none = {0, 0};
    assert_false(wr_lending_lend(lending, msg, &none));
    give_back(&last);
    wr_lent again = lend(lending, msg);
    assert_int_equal(last.slot, again.slot);
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

/* The borrower keeps the first for ever, and more of them than one look passes over. */
static void what_is_kept_is_in_nobodys_way(void **state)
{
    (void)state;
    enum { KEPT = 100 };
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent kept[KEPT];
    uint32_t highest = 0;
    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = lend(lending, msg);
    }
    for (unsigned i = 0; i < 10 * WR_LENDING_SLOTS; i++) {
        wr_lent lent = lend(lending, msg);
        highest = lent.slot > highest ? lent.slot : highest;
        give_back(&lent);
        if (i == 0) {
            assert_int_equal(1, wr_lending_collect(lending)); /* sets those aside */
        }
    }
    assert_true(highest < KEPT + 64);
    for (unsigned i = 0; i < KEPT; i++) {
        assert_true(is_lent(lending, &kept[i]));
        give_back(&kept[i]);
    }
    while (wr_lending_collect(lending) > 0) {
    }
    for (unsigned i = 0; i < KEPT; i++) {
        assert_false(is_lent(lending, &kept[i]));
    }
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

/* Lend and return at random, beside a list of what ought to be lent. */
static void lends_and_returns_in_any_order(void **state)
{
    (void)state;
    enum { MOST = 300, STEPS = 50000 };
    uint32_t seed = 0;
    wr_random_fill(&seed, sizeof(seed));
    print_message("seed %u\n", seed);
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent lent[MOST];
    size_t count = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (count < MOST && (seed >> 16) % 2 == 0) {
            lent[count++] = lend(lending, msg);
        } else if (count > 0) {
            size_t which = (seed >> 8) % count;
            assert_true(is_lent(lending, &lent[which]));
            give_back(&lent[which]);
            lent[which] = lent[--count];
        }
        if (i % 1000 == 0) {
            (void)wr_lending_collect(lending);
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(is_lent(lending, &lent[i]));
        give_back(&lent[i]);
    }
    while (wr_lending_collect(lending) > 0) {
    }
    for (uint32_t slot = 0; slot < MOST; slot++) {
        wr_lent any = {slot, atomic_load(&marks[slot])};
        assert_false(is_lent(lending, &any));
    }
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

/* In vain, again and again: the looks get short, but what is returned is found in the end. */
static void who_keeps_everything_is_asked_less_often(void **state)
{
    enum { KEPT = 100, VAIN = 1000, SHORT = 64 };
    (void)state;
    wr_lending *lending = make_lending();
    weir_message *msg = make();
    wr_lent lent[KEPT];
    for (size_t i = 0; i < KEPT; i++) {
        lent[i] = lend(lending, msg);
    }
    for (size_t i = 0; i < VAIN; i++) {
        assert_int_equal(0, wr_lending_collect(lending));
    }
    give_back(&lent[KEPT - 1]);
    size_t looks = 1;
    while (wr_lending_collect(lending) == 0) {
        looks++;
    }
    assert_in_range(looks, 2, SHORT + 1);
    give_back(&lent[KEPT - 2]); /* whoever returns something is asked in full again */
    assert_int_equal(1, wr_lending_collect(lending));
    wr_lending_destroy(lending);
    weir_message_unref(msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_lent_is_found_until_it_is_returned),
        cmocka_unit_test(the_lender_may_be_the_last_that_holds_it),
        cmocka_unit_test(a_mark_of_an_earlier_use_does_not_return_a_later_one),
        cmocka_unit_test(wild_marks_and_numbers_change_nothing),
        cmocka_unit_test(without_marks_nothing_is_returned),
        cmocka_unit_test(what_is_cancelled_is_not_lent),
        cmocka_unit_test(with_all_slots_taken_nothing_is_lent_until_one_is_returned),
        cmocka_unit_test(what_is_kept_is_in_nobodys_way),
        cmocka_unit_test(lends_and_returns_in_any_order),
        cmocka_unit_test(who_keeps_everything_is_asked_less_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
