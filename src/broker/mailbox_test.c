/* SPDX-License-Identifier: MIT
 *
 * Tests of the mailbox: its rules at every limit, order, and counters that add up at every step.
 * One thread, but for the last ones; broker_stress_test.c has the crowd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"
#include "broker/mailbox.h"

static const uint32_t limits[] = {1, 2, 3, 64, 1000, 1024};
#define LIMITS (sizeof(limits) / sizeof(limits[0]))
#define BATCH 64u

typedef struct fixture {
    wr_mailbox box;
    uint64_t next;     /* number of the next message to put */
    uint64_t expected; /* number of the next message that take must give */
    uint64_t dropped;  /* in our own books */
    uint64_t delivered;
} fixture;

static fixture *begin(uint32_t limit, wr_when_full when_full)
{
    fixture *f = aligned_alloc(WR_CACHE_LINE, sizeof(*f));
    assert_non_null(f);
    memset(f, 0, sizeof(*f));
    wr_mailbox_init(&f->box, (wr_queue_config){limit, when_full});
    return f;
}

static void finish(fixture *f)
{
    wr_mailbox_deinit(&f->box);
    free(f);
}

/* The mailbox's counters against our own. */
static void check_books(const fixture *f)
{
    wr_mailbox_counts counts = wr_mailbox_count(&f->box);
    assert_int_equal(counts.accepted, f->next);
    assert_int_equal(counts.delivered, f->delivered);
    assert_int_equal(counts.dropped_full + counts.dropped_closed, f->dropped);
    assert_int_equal(counts.queued, f->next - f->delivered - f->dropped);
}

/* Put the next message; returns whether the mailbox said that it is at its limit. */
static bool put(fixture *f)
{
    bool at_limit;
    assert_int_equal(wr_mailbox_put(&f->box, test_message(f->next++), &at_limit), WEIR_OK);
    return at_limit;
}

static void put_many(fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)put(f);
    }
}

/* Take up to `max` and require the expected numbers without a gap. Returns how many came. */
static size_t take(fixture *f, size_t max)
{
    weir_message *batch[BATCH];
    size_t count = wr_mailbox_take(&f->box, batch, max < BATCH ? max : BATCH);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(test_number(batch[i]), f->expected++);
        weir_message_unref(batch[i]);
    }
    wr_mailbox_count_delivered(&f->box, count);
    f->delivered += count;
    check_books(f);
    return count;
}

static size_t take_all(fixture *f)
{
    size_t total = 0;
    size_t count;
    while ((count = take(f, BATCH)) > 0) {
        total += count;
    }
    return total;
}

static void empty_mailbox_gives_nothing(void **state)
{
    (void)state;
    fixture *f = begin(4, WR_WHEN_FULL_BLOCK);
    assert_false(wr_mailbox_has_message(&f->box));
    assert_int_equal(take(f, BATCH), 0);
    assert_int_equal(wr_mailbox_purge(&f->box), 0);
    assert_int_equal(wr_mailbox_queued(&f->box), 0);
    assert_null(atomic_load(&f->box.cells));
    finish(f);
}

static void messages_come_in_order_at_every_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        for (int rule = WR_WHEN_FULL_BLOCK; rule <= WR_WHEN_FULL_DROP_NEWEST; rule++) {
            fixture *f = begin(limits[i], (wr_when_full)rule);
            put_many(f, limits[i]);
            check_books(f);
            assert_true(wr_mailbox_has_message(&f->box));
            assert_int_equal(wr_mailbox_queued(&f->box), limits[i]);
            assert_int_equal(take_all(f), limits[i]);
            assert_false(wr_mailbox_has_message(&f->box));
            finish(f);
        }
    }
}

static void ring_wraps_around_with_any_fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *f = begin(limits[i], WR_WHEN_FULL_BLOCK);
        for (size_t step = 0; step < 500; step++) {
            size_t room = limits[i] - (size_t)wr_mailbox_queued(&f->box);
            put_many(f, step % 7 < room ? step % 7 : room);
            check_books(f);
            (void)take(f, step % 5);
        }
        (void)take_all(f);
        assert_int_equal(f->expected, f->next);
        finish(f);
    }
}

static void block_says_when_the_limit_is_reached(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *f = begin(limits[i], WR_WHEN_FULL_BLOCK);
        for (size_t k = 1; k < limits[i]; k++) {
            assert_false(put(f));
        }
        assert_true(put(f));
        assert_true(put(f));
        finish(f);
    }
}

static void drop_rules_never_say_at_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *oldest = begin(limits[i], WR_WHEN_FULL_DROP_OLDEST);
        fixture *newest = begin(limits[i], WR_WHEN_FULL_DROP_NEWEST);
        for (size_t k = 0; k < limits[i] + 3; k++) {
            assert_false(put(oldest));
            assert_false(put(newest));
        }
        finish(oldest);
        finish(newest);
    }
}

static void block_keeps_everything_over_the_limit_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *f = begin(limits[i], WR_WHEN_FULL_BLOCK);
        size_t count = 3 * (size_t)limits[i] + 200;
        for (size_t k = 0; k < count; k++) {
            (void)put(f);
            check_books(f);
        }
        assert_int_equal(wr_mailbox_queued(&f->box), count);
        assert_int_equal(take_all(f), count);
        finish(f);
    }
}

static void overflow_is_emptied_before_the_ring_is_used_again(void **state)
{
    (void)state;
    fixture *f = begin(2, WR_WHEN_FULL_BLOCK);
    put_many(f, 5); /* two in the ring, three over */
    assert_int_equal(take(f, 2), 2);
    put_many(f, 2); /* the ring is empty, but these must not overtake */
    assert_int_equal(atomic_load(&f->box.overflow_count), 5);
    assert_int_equal(take(f, 4), 4);
    put_many(f, 1);
    assert_int_equal(take_all(f), 2);
    put_many(f, 1);
    assert_int_equal(atomic_load(&f->box.overflow_count), 0);
    assert_int_equal(take_all(f), 1);
    finish(f);
}

static void overflow_grows_while_it_is_wrapped(void **state)
{
    (void)state;
    fixture *f = begin(1, WR_WHEN_FULL_BLOCK);
    for (size_t round = 0; round < 40; round++) {
        put_many(f, 50);
        (void)take(f, 37);
    }
    (void)take_all(f);
    assert_int_equal(f->expected, f->next);
    finish(f);
}

static void overflow_gives_its_memory_back_when_it_is_empty(void **state)
{
    (void)state;
    fixture *f = begin(4, WR_WHEN_FULL_BLOCK);
    for (unsigned round = 0; round < 3; round++) {
        put_many(f, 4 + 8 * WR_OVERFLOW_KEPT);
        assert_true(f->box.overflow_capacity >= 8 * WR_OVERFLOW_KEPT);
        while (f->expected < f->next - 1) {
            (void)take(f, 1);
        }
        assert_true(f->box.overflow_capacity >= 8 * WR_OVERFLOW_KEPT);
        (void)take(f, 1);
        assert_true(f->box.overflow_capacity <= WR_OVERFLOW_KEPT);
        check_books(f);
    }
    finish(f);
}

static void small_overflow_keeps_its_memory(void **state)
{
    (void)state;
    fixture *f = begin(4, WR_WHEN_FULL_BLOCK);
    put_many(f, 4 + WR_OVERFLOW_KEPT);
    weir_message *const *kept = f->box.overflow;
    (void)take_all(f);
    put_many(f, 4 + WR_OVERFLOW_KEPT);
    assert_ptr_equal(f->box.overflow, kept);
    (void)take_all(f);
    check_books(f);
    finish(f);
}

static void overflow_waits_for_a_claimed_position_of_the_ring(void **state)
{
    (void)state;
    fixture *f = begin(2, WR_WHEN_FULL_BLOCK);
    put_many(f, 1);
    assert_int_equal(take(f, 1), 1);
    /* Another publisher has claimed the first position and not yet stored its message. */
    atomic_fetch_add(&f->box.tail, 1);
    weir_message *late = test_message(1);
    f->next = 2;
    put_many(f, 3); /* 2 fills the ring behind it; 3 and 4 go over the limit */
    assert_false(wr_mailbox_has_message(&f->box));
    assert_int_equal(take(f, BATCH), 0);
    atomic_store(&atomic_load(&f->box.cells)[1], late);
    assert_true(wr_mailbox_has_message(&f->box));
    assert_int_equal(take_all(f), 4);
    finish(f);
}

static void overflow_has_an_end(void **state)
{
    (void)state;
    fixture *f = begin(1, WR_WHEN_FULL_BLOCK);
    weir_message *msg = test_message(0);
    bool at_limit;
    for (size_t i = 0; i < 1 + (size_t)WR_OVERFLOW_MAX; i++) {
        weir_err err = wr_mailbox_put(&f->box, weir_message_ref(msg), &at_limit);
        assert_int_equal(err, WEIR_OK);
    }
    assert_int_equal(wr_mailbox_put(&f->box, weir_message_ref(msg), &at_limit), WEIR_ERR_FULL);
    assert_true(at_limit);
    weir_message_unref(msg);
    f->next = 2 + (uint64_t)WR_OVERFLOW_MAX;
    f->dropped = 1;
    check_books(f);
    assert_int_equal(wr_mailbox_purge(&f->box), 1 + WR_OVERFLOW_MAX);
    finish(f);
}

static void drop_oldest_keeps_the_newest_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *f = begin(limits[i], WR_WHEN_FULL_DROP_OLDEST);
        put_many(f, limits[i]);
        for (size_t k = 1; k <= 2 * (size_t)limits[i] + 1; k++) {
            (void)put(f);
            f->dropped++;
            f->expected++;
            check_books(f);
        }
        assert_int_equal(wr_mailbox_count(&f->box).dropped_full, f->dropped);
        assert_int_equal(take_all(f), limits[i]);
        finish(f);
    }
}

static void drop_newest_keeps_the_oldest_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        fixture *f = begin(limits[i], WR_WHEN_FULL_DROP_NEWEST);
        put_many(f, limits[i]);
        for (size_t k = 1; k <= 2 * (size_t)limits[i] + 1; k++) {
            (void)put(f);
            f->dropped++;
            check_books(f);
        }
        assert_int_equal(wr_mailbox_count(&f->box).dropped_full, f->dropped);
        assert_int_equal(take_all(f), limits[i]);
        f->expected = f->next;
        put_many(f, 1);
        assert_int_equal(take_all(f), 1);
        finish(f);
    }
}

static void drop_oldest_drops_the_message_itself_behind_a_claimed_position(void **state)
{
    (void)state;
    fixture *f = begin(1, WR_WHEN_FULL_DROP_OLDEST);
    put_many(f, 1);
    assert_int_equal(take(f, 1), 1);
    atomic_fetch_add(&f->box.tail, 1);
    weir_message *late = test_message(1);
    f->next = 2;
    (void)put(f);
    f->dropped = 1;
    check_books(f);
    atomic_store(&atomic_load(&f->box.cells)[0], late);
    assert_int_equal(take_all(f), 1);
    finish(f);
}

static void purge_counts_as_dropped_by_closing(void **state)
{
    (void)state;
    fixture *f = begin(3, WR_WHEN_FULL_BLOCK);
    put_many(f, 100); /* most of them over the limit */
    assert_int_equal(take(f, 2), 2);
    assert_int_equal(wr_mailbox_purge(&f->box), 98);
    f->dropped = 98;
    check_books(f);
    assert_int_equal(wr_mailbox_count(&f->box).dropped_closed, 98);
    assert_int_equal(wr_mailbox_queued(&f->box), 0);
    finish(f);
}

static void refused_message_is_accepted_and_dropped(void **state)
{
    (void)state;
    fixture *f = begin(3, WR_WHEN_FULL_BLOCK);
    wr_mailbox_refuse(&f->box, test_message(f->next++));
    f->dropped = 1;
    check_books(f);
    assert_int_equal(wr_mailbox_count(&f->box).dropped_closed, 1);
    assert_false(wr_mailbox_has_message(&f->box));
    finish(f);
}

static void taken_messages_count_as_queued_until_reported(void **state)
{
    (void)state;
    fixture *f = begin(3, WR_WHEN_FULL_BLOCK);
    put_many(f, 3);
    weir_message *batch[3];
    assert_int_equal(wr_mailbox_take(&f->box, batch, 3), 3);
    assert_int_equal(wr_mailbox_count(&f->box).queued, 3);
    assert_int_equal(wr_mailbox_queued(&f->box), 0);
    wr_mailbox_count_delivered(&f->box, 1);
    wr_mailbox_count_closed(&f->box, 2);
    f->delivered = 1;
    f->dropped = 2;
    check_books(f);
    for (size_t i = 0; i < 3; i++) {
        weir_message_unref(batch[i]);
    }
    finish(f);
}

static void deinit_frees_what_is_queued(void **state)
{
    (void)state;
    weir_message *msg = test_message(1);
    fixture *f = begin(2, WR_WHEN_FULL_BLOCK);
    bool at_limit;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(wr_mailbox_put(&f->box, weir_message_ref(msg), &at_limit), WEIR_OK);
    }
    finish(f); /* the leak checkers see what is left */
    weir_message_unref(msg);
}

/* ---- several threads ---- */

#define PUBLISHERS 3u
#define PER_PUBLISHER 20000u

typedef struct publisher {
    wr_mailbox *box;
    uint64_t id;
    wr_thread thread;
} publisher;

static void publish_numbers(void *arg)
{
    publisher *p = arg;
    for (uint64_t i = 0; i < PER_PUBLISHER; i++) {
        bool at_limit;
        assert_int_equal(wr_mailbox_put(p->box, test_message(p->id << 32 | i), &at_limit), WEIR_OK);
    }
}

/* Consume until `total` messages are delivered or dropped; each publisher's order must hold. */
static void consume_until(wr_mailbox *box, uint64_t total, uint64_t *last)
{
    weir_message *batch[BATCH];
    uint64_t gone = 0;
    while (gone < total) {
        size_t count = wr_mailbox_take(box, batch, BATCH);
        for (size_t i = 0; i < count; i++) {
            uint64_t number = test_number(batch[i]);
            uint64_t from = number >> 32;
            assert_true(from < PUBLISHERS);
            assert_true((number & UINT32_MAX) + 1 > last[from]);
            last[from] = (number & UINT32_MAX) + 1;
            weir_message_unref(batch[i]);
        }
        wr_mailbox_count_delivered(box, count);
        wr_mailbox_counts counts = wr_mailbox_count(box);
        assert_true(counts.accepted >= counts.delivered + counts.dropped_full);
        gone = counts.delivered + counts.dropped_full;
    }
}

static void crowd(uint32_t limit, wr_when_full rule)
{
    fixture *f = begin(limit, rule);
    publisher publishers[PUBLISHERS];
    uint64_t last[PUBLISHERS] = {0};
    for (uint64_t i = 0; i < PUBLISHERS; i++) {
        publishers[i] = (publisher){.box = &f->box, .id = i};
        assert_int_equal(
            wr_thread_start(&publishers[i].thread, "publisher", publish_numbers, &publishers[i]),
            WEIR_OK);
    }
    consume_until(&f->box, PUBLISHERS * (uint64_t)PER_PUBLISHER, last);
    for (size_t i = 0; i < PUBLISHERS; i++) {
        wr_thread_join(&publishers[i].thread);
    }
    wr_mailbox_counts counts = wr_mailbox_count(&f->box);
    assert_int_equal(counts.accepted, PUBLISHERS * PER_PUBLISHER);
    assert_int_equal(counts.queued, 0);
    if (rule == WR_WHEN_FULL_BLOCK) {
        assert_int_equal(counts.delivered, PUBLISHERS * PER_PUBLISHER);
    }
    finish(f);
}

static void no_publisher_overtakes_itself_and_block_loses_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        crowd(limits[i], WR_WHEN_FULL_BLOCK);
    }
}

static void drop_rules_keep_order_and_books_in_a_crowd(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIMITS; i++) {
        crowd(limits[i], WR_WHEN_FULL_DROP_OLDEST);
        crowd(limits[i], WR_WHEN_FULL_DROP_NEWEST);
    }
}

/* The consumer may empty the mailbox while a publisher finds it full: that one's message has its
 * place then, and is not the one to be dropped. */
static void drop_oldest_has_a_place_for_every_message_of_one_publisher(void **state)
{
    (void)state;
    fixture *f = begin(1, WR_WHEN_FULL_DROP_OLDEST);
    publisher p = {.box = &f->box, .id = 0};
    uint64_t last = 0;
    assert_int_equal(wr_thread_start(&p.thread, "publisher", publish_numbers, &p), WEIR_OK);
    consume_until(&f->box, PER_PUBLISHER, &last);
    wr_thread_join(&p.thread);
    assert_int_equal(atomic_load(&f->box.refused), 0);
    assert_int_equal(last, PER_PUBLISHER);
    finish(f);
}

/* The consumer may be so quick. */
static void late_drop_that_is_not_counted_as_delivered_yet_counts_when_it_is(void **state)
{
    (void)state;
    fixture *f = begin(4, WR_WHEN_FULL_BLOCK);
    wr_mailbox_count_late(&f->box, WR_LATE_POISON);
    wr_mailbox_count_late(&f->box, WR_LATE_CLOSED);
    wr_mailbox_counts counts = wr_mailbox_count(&f->box);
    assert_int_equal(counts.accepted + counts.delivered, 0);
    assert_int_equal(counts.dropped_poison + counts.dropped_closed, 0);
    wr_mailbox_count_passed(&f->box);
    wr_mailbox_count_passed(&f->box);
    counts = wr_mailbox_count(&f->box);
    assert_int_equal(counts.accepted, 2);
    assert_int_equal(counts.delivered, 0);
    assert_int_equal(counts.dropped_poison, 1);
    assert_int_equal(counts.dropped_closed, 1);
    assert_true(wr_mailbox_is_settled(&f->box)); /* these are no matter of the queue */
    finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_mailbox_gives_nothing),
        cmocka_unit_test(messages_come_in_order_at_every_limit),
        cmocka_unit_test(ring_wraps_around_with_any_fill),
        cmocka_unit_test(block_says_when_the_limit_is_reached),
        cmocka_unit_test(drop_rules_never_say_at_limit),
        cmocka_unit_test(block_keeps_everything_over_the_limit_in_order),
        cmocka_unit_test(overflow_is_emptied_before_the_ring_is_used_again),
        cmocka_unit_test(overflow_grows_while_it_is_wrapped),
        cmocka_unit_test(overflow_gives_its_memory_back_when_it_is_empty),
        cmocka_unit_test(small_overflow_keeps_its_memory),
        cmocka_unit_test(overflow_waits_for_a_claimed_position_of_the_ring),
        cmocka_unit_test(overflow_has_an_end),
        cmocka_unit_test(drop_oldest_keeps_the_newest_ones),
        cmocka_unit_test(drop_newest_keeps_the_oldest_ones),
        cmocka_unit_test(drop_oldest_drops_the_message_itself_behind_a_claimed_position),
        cmocka_unit_test(purge_counts_as_dropped_by_closing),
        cmocka_unit_test(refused_message_is_accepted_and_dropped),
        cmocka_unit_test(taken_messages_count_as_queued_until_reported),
        cmocka_unit_test(late_drop_that_is_not_counted_as_delivered_yet_counts_when_it_is),
        cmocka_unit_test(deinit_frees_what_is_queued),
        cmocka_unit_test(no_publisher_overtakes_itself_and_block_loses_nothing),
        cmocka_unit_test(drop_rules_keep_order_and_books_in_a_crowd),
        cmocka_unit_test(drop_oldest_has_a_place_for_every_message_of_one_publisher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
