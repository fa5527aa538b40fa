/* SPDX-License-Identifier: MIT
 *
 * The lock with an owner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/owned_lock.h"

#define OWNER_ROUNDS 200000u
#define OTHER_ROUNDS 2000u
#define OTHERS 2u

typedef struct shared {
    wr_owned_lock lock;
    uint64_t count; /* guarded by the lock, and by nothing else */
} shared;

static void add(shared *to, bool often)
{
    if (often) {
        wr_owned_lock_take_often(&to->lock);
    } else {
        wr_owned_lock_take(&to->lock);
    }
    to->count++;
    wr_owned_lock_give(&to->lock);
}

static void make_owner(shared *of)
{
    for (unsigned i = 0; i <= WR_OWNED_LOCK_WORTH; i++) {
        add(of, true);
    }
}

static void add_as_other(void *arg)
{
    for (unsigned i = 0; i < OTHER_ROUNDS; i++) {
        add(arg, false);
    }
}

static void add_often(void *arg)
{
    for (unsigned i = 0; i < OWNER_ROUNDS; i++) {
        add(arg, true);
    }
}

static void run(shared *with, void (*run_it)(void *), wr_thread *thread)
{
    assert_int_equal(wr_thread_start(thread, "other", run_it, with), WEIR_OK);
}

/* On another thread, to its end. */
static void run_to_end(shared *with, void (*run_it)(void *))
{
    wr_thread thread = {.started = false};
    run(with, run_it, &thread);
    wr_thread_join(&thread);
}

static void add_some(void *arg)
{
    for (unsigned i = 0; i < 2 * WR_OWNED_LOCK_VAIN_MAX; i++) {
        add(arg, false);
    }
}

static bool has_owner(const shared *of)
{
    return atomic_load(&of->lock.owner) != NULL;
}

static void who_comes_often_becomes_the_owner(void **state)
{
    (void)state;
    shared with = {.count = 0};
    wr_owned_lock_init(&with.lock);
    add(&with, true);
    assert_false(has_owner(&with));
    add(&with, false);
    make_owner(&with);
    assert_int_equal(has_owner(&with), wr_thread_can_fence_others());
    wr_owned_lock_take(&with.lock);
    assert_int_equal(with.lock.by_owner, wr_thread_can_fence_others());
    wr_owned_lock_give(&with.lock);
    wr_owned_lock_deinit(&with.lock);
}

static void add_one(void *arg)
{
    add(arg, false);
}

static void who_is_interrupted_again_and_again_does_not_become_it(void **state)
{
    (void)state;
    shared with = {.count = 0};
    wr_owned_lock_init(&with.lock);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 1; k < WR_OWNED_LOCK_WORTH; k++) {
            add(&with, true);
        }
        run_to_end(&with, add_one);
    }
    assert_false(has_owner(&with));
    wr_owned_lock_deinit(&with.lock);
}

static void an_owner_that_is_worth_it_stays_one(void **state)
{
    (void)state;
    shared with = {.count = 0};
    wr_owned_lock_init(&with.lock);
    make_owner(&with);
    for (unsigned i = 0; i < 4 * WR_OWNED_LOCK_VAIN_MAX; i++) {
        make_owner(&with);
        run_to_end(&with, add_one);
    }
    assert_int_equal(has_owner(&with), wr_thread_can_fence_others());
    wr_owned_lock_deinit(&with.lock);
}

static void an_owner_that_stays_away_is_one_no_more_until_it_comes_again(void **state)
{
    (void)state;
    shared with = {.count = 0};
    wr_owned_lock_init(&with.lock);
    make_owner(&with);
    run_to_end(&with, add_some);
    assert_false(has_owner(&with));
    run_to_end(&with, add_often); /* another thread never becomes it */
    assert_false(has_owner(&with));
    make_owner(&with);
    make_owner(&with);
    assert_int_equal(has_owner(&with), wr_thread_can_fence_others());
    wr_owned_lock_deinit(&with.lock);
}

static void one_at_a_time_has_it(void **state)
{
    (void)state;
    shared with = {.count = 0};
    wr_thread others[OTHERS] = {{.started = false}};
    wr_owned_lock_init(&with.lock);
    make_owner(&with);
    uint64_t before = with.count;
    for (unsigned i = 0; i < OTHERS; i++) {
        run(&with, add_as_other, &others[i]);
    }
    add_often(&with);
    for (unsigned i = 0; i < OTHERS; i++) {
        wr_thread_join(&others[i]);
    }
    assert_int_equal(with.count - before, OWNER_ROUNDS + OTHERS * OTHER_ROUNDS);
    assert_int_equal(atomic_load(&with.lock.wanted), 0);
    assert_false(atomic_load(&with.lock.inside));
    wr_owned_lock_deinit(&with.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_often_becomes_the_owner),
        cmocka_unit_test(who_is_interrupted_again_and_again_does_not_become_it),
        cmocka_unit_test(an_owner_that_is_worth_it_stays_one),
        cmocka_unit_test(an_owner_that_stays_away_is_one_no_more_until_it_comes_again),
        cmocka_unit_test(one_at_a_time_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
