/* SPDX-License-Identifier: MIT
 *
 * Messages that a publisher gives to the consumer itself, without the mailbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"

enum { SOURCE = 0, SINK = 1, OTHER = 2 };

#define MANY 4000u /* at most TEST_SEEN_MAX */

static atomic_size_t passed;   /* messages that came directly */
static atomic_size_t refusing; /* of so many, each last one is not taken directly; 0: all are */
static _Atomic uint64_t from;  /* the number of the link that the last of these came from */
static atomic_bool gathering;  /* what `gather` answers */

static bool gather(void *self)
{
    (void)self;
    return atomic_load(&gathering);
}

/* As a proxy: taking by either way is one at a time, under the consumer's own lock. */
static bool direct(void *self, uint64_t link, weir_message *msg)
{
    atomic_store(&from, link);
    test_sink *sink = self;
    size_t each = atomic_load(&refusing);
    if (each > 0 && test_number(msg) % each == each - 1) {
        return false;
    }
    wr_mutex_lock(&sink->lock);
    assert_true(sink->count < TEST_SEEN_MAX);
    sink->seen[sink->count++] = test_number(msg);
    wr_cond_broadcast(&sink->changed);
    wr_mutex_unlock(&sink->lock);
    atomic_fetch_add(&passed, 1);
    return true;
}

static wr_consumer consumer;

static test_net *begin(size_t count, bool wait)
{
    atomic_store(&passed, 0);
    atomic_store(&from, 0);
    atomic_store(&refusing, 0);
    atomic_store(&gathering, wait);
    consumer = test_sink_consumer;
    consumer.gather = gather;
    consumer.direct = direct;
    test_net *net = test_net_begin(1, count);
    assert_int_equal(wr_node_set_consumer(net->nodes[SINK], &consumer, &net->sinks[SINK]), WEIR_OK);
    return net;
}

static void start(test_net *net)
{
    test_net_start(net);
    for (size_t i = 0; i < net->count; i++) {
        assert_true(wr_broker_drain(net->broker, net->nodes[i], test_deadline()));
    }
}

static void assert_counts(const wr_link *link, uint64_t accepted, uint64_t delivered)
{
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.accepted, accepted);
    assert_int_equal(counts.delivered, delivered);
    assert_int_equal(counts.accepted, counts.delivered + counts.dropped_full +
                                          counts.dropped_closed + counts.dropped_poison +
                                          counts.queued);
}

static size_t count_seen(test_net *net)
{
    return test_sink_get(&net->sinks[SINK], &net->sinks[SINK].count);
}

/* Other threads, and systems without an owner, go by the mailbox. */
static bool has_owners(void)
{
    return wr_thread_can_fence_others();
}

static void what_nothing_waits_before_goes_directly(void **state)
{
    (void)state;
    test_net *net = begin(2, false);
    wr_link *link = test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 100);
    test_net_expect(net, SINK, 100);
    assert_int_equal(atomic_load(&passed), has_owners() ? 100 : 0);
    assert_counts(link, 100, 100);
    test_net_finish(net);
}

static void what_comes_behind_a_queued_message_queues_too(void **state)
{
    (void)state;
    test_net *net = begin(2, true);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    atomic_store(&refusing, 10);
    test_net_flood(net, SOURCE, 20); /* 9 is not taken, and 10 to 19 must not overtake it */
    assert_int_equal(atomic_load(&passed), has_owners() ? 9 : 0);
    assert_counts(link, 20, atomic_load(&passed));
    wr_node_run_gathered(net->nodes[SINK]);
    test_net_expect(net, SINK, 20);
    assert_counts(link, 20, 20);
    test_net_finish(net);
}

static void a_node_that_may_not_run_gets_nothing_directly(void **state)
{
    (void)state;
    test_net *net = begin(2, false);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 3); /* not started */
    assert_int_equal(atomic_load(&passed), 0);
    start(net);
    wr_node_pause(net->nodes[SINK]);
    assert_int_equal(test_net_publish(net, SOURCE, 3, WR_PUBLISH_OVER), WEIR_OK);
    assert_int_equal(atomic_load(&passed), 0);
    assert_counts(link, 4, 3);
    wr_node_ready(net->nodes[SINK]);
    test_net_expect(net, SINK, 4);
    test_net_finish(net);
}

static void a_closed_link_passes_nothing(void **state)
{
    (void)state;
    test_net *net = begin(2, false);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    uint64_t dropped = 0;
    start(net);
    test_net_flood(net, SOURCE, 2);
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(test_net_publish(net, SOURCE, 2, WR_PUBLISH_OVER), WEIR_OK);
    assert_int_equal(count_seen(net), 2);
    assert_int_equal(wr_mailbox_count(&link->box).dropped_closed, 1);
    assert_counts(link, 3, 2);
    test_net_finish(net);
}

static void several_sinks_get_it_each_in_its_way(void **state)
{
    (void)state;
    test_net *net = begin(3, false);
    (void)test_net_link(net, SOURCE, OTHER, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 100);
    test_net_expect(net, SINK, 100);
    test_net_expect(net, OTHER, 100);
    assert_int_equal(atomic_load(&passed), has_owners() ? 100 : 0);
    test_net_finish(net);
}

static void each_comes_with_the_number_of_its_link(void **state)
{
    (void)state;
    test_net *net = begin(3, false);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    wr_link *other = test_net_link(net, OTHER, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 3);
    assert_int_equal(atomic_load(&from), has_owners() ? link->number : 0);
    test_net_flood(net, OTHER, 3);
    assert_int_equal(atomic_load(&from), has_owners() ? other->number : 0);
    assert_int_not_equal(link->number, other->number);

    wr_broker_count_late(net->broker, link->number, WR_LATE_POISON);
    assert_counts(link, 3, 2);
    assert_int_equal(wr_mailbox_count(&link->box).dropped_poison, 1);
    assert_counts(other, 3, 3);
    test_net_finish(net);
}

static void run_again_and_again(void *arg)
{
    test_net *net = arg;
    while (count_seen(net) < MANY) {
        wr_node_run_gathered(net->nodes[SINK]);
    }
}

static void order_holds_while_another_thread_runs_the_node(void **state)
{
    (void)state;
    test_net *net = begin(2, true);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    wr_thread runner = {.started = false};
    start(net);
    atomic_store(&refusing, 7);
    assert_int_equal(wr_thread_start(&runner, "runner", run_again_and_again, net), WEIR_OK);
    test_net_flood(net, SOURCE, MANY);
    wr_thread_join(&runner);
    test_net_expect(net, SINK, MANY);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    assert_counts(link, MANY, MANY);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nothing_waits_before_goes_directly),
        cmocka_unit_test(what_comes_behind_a_queued_message_queues_too),
        cmocka_unit_test(a_node_that_may_not_run_gets_nothing_directly),
        cmocka_unit_test(a_closed_link_passes_nothing),
        cmocka_unit_test(several_sinks_get_it_each_in_its_way),
        cmocka_unit_test(each_comes_with_the_number_of_its_link),
        cmocka_unit_test(order_holds_while_another_thread_runs_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
