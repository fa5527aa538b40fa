/* SPDX-License-Identifier: MIT
 *
 * Tests of nodes: when they run, what their consumers get, and what publishers meet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"
#include "broker/node.h"

enum { SOURCE = 0, SINK = 1, OTHER = 2, MIDDLE = 1, LAST = 2 };

static void message_reaches_every_sink(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 4);
    for (size_t i = 1; i < net->count; i++) {
        (void)test_net_link(net, SOURCE, i, 16, WR_WHEN_FULL_BLOCK);
    }
    test_net_start(net);
    assert_int_equal(test_net_publish(net, SOURCE, 0, WR_PUBLISH_WAIT), WEIR_OK);
    for (size_t i = 1; i < net->count; i++) {
        test_net_expect(net, i, 1);
    }
    test_net_finish(net);
}

static void publishing_without_links_is_no_error(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 1);
    assert_int_equal(test_net_publish(net, SOURCE, 0, WR_PUBLISH_WAIT), WEIR_OK);
    weir_message *msg = test_message(0);
    assert_int_equal(wr_node_publish_many(net->nodes[SOURCE], &msg, 1), WEIR_OK);
    test_net_finish(net);
}

static void messages_of_a_publisher_keep_their_order(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 2);
    (void)test_net_link(net, SOURCE, SINK, 7, WR_WHEN_FULL_BLOCK);
    test_net_start(net);
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_WAIT), WEIR_OK);
    }
    test_net_expect(net, SINK, 2000);
    test_net_finish(net);
}

static void publish_many_serves_every_link_in_order(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    (void)test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 2, WR_WHEN_FULL_BLOCK);
    weir_message *msgs[100];
    for (size_t i = 0; i < 100; i++) {
        msgs[i] = test_message(i);
    }
    assert_int_equal(wr_node_publish_many(net->nodes[SOURCE], msgs, 100), WEIR_OK);
    assert_true(wr_node_congested(net->nodes[SOURCE]));
    test_net_start(net);
    test_net_expect(net, SINK, 100);
    test_net_expect(net, OTHER, 100);
    test_net_finish(net);
}

static void nothing_is_consumed_before_the_start(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 16, WR_WHEN_FULL_BLOCK);
    wr_node_start(net->nodes[OTHER]);
    test_net_flood(net, SOURCE, 3);
    test_net_expect(net, OTHER, 3); /* the pool's one thread has seen SINK before it */
    assert_int_equal(test_sink_get(&net->sinks[SINK], &net->sinks[SINK].count), 0);
    wr_node_start(net->nodes[SINK]);
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

static void paused_node_gets_nothing_until_it_is_ready(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 16, WR_WHEN_FULL_BLOCK);
    test_net_start(net);
    wr_node_pause(net->nodes[SINK]);
    test_net_flood(net, SOURCE, 3);
    test_net_expect(net, OTHER, 3);
    assert_int_equal(test_sink_get(&net->sinks[SINK], &net->sinks[SINK].count), 0);
    wr_node_ready(net->nodes[SINK]);
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

static void consumer_that_takes_fewer_gets_the_rest_first(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 64, WR_WHEN_FULL_BLOCK);
    net->sinks[SINK].take_max = 3;
    test_net_flood(net, SOURCE, 60);
    test_net_start(net);
    for (size_t taken = 3; taken < 60; taken += 3) {
        test_net_expect(net, SINK, taken);
        /* drained comes at the end of the run: the pause has taken hold */
        test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].drained, taken / 3);
        wr_mailbox_counts counts = wr_mailbox_count(&link->box);
        assert_int_equal(counts.delivered, taken);
        assert_int_equal(counts.queued, 60 - taken);
        wr_node_ready(net->nodes[SINK]);
    }
    test_net_expect(net, SINK, 60);
    test_net_finish(net);
}

static void ready_from_another_thread_during_consume_is_not_lost(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 2);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    net->sinks[SINK].take_max = 1;
    test_net_start(net);
    test_net_flood(net, SOURCE, 300);
    for (size_t taken = 1; taken < 300; taken++) {
        test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].count, taken);
        wr_node_ready(net->nodes[SINK]); /* the consumer may still be inside */
    }
    test_net_expect(net, SINK, 300);
    test_net_finish(net);
}

static size_t refuse_odd_ones(void *self, weir_message **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (test_number(msgs[i]) % 2 == 1) {
            wr_node_refuse(((test_sink *)self)->node, 1);
        }
    }
    return test_sink_consume(self, msgs, count);
}

static void refused_messages_count_as_dropped(void **state)
{
    (void)state;
    static const wr_consumer picky = {.consume = refuse_odd_ones, .release = test_sink_release};
    test_net *net = test_net_begin(2, 2);
    assert_int_equal(wr_node_set_consumer(net->nodes[SINK], &picky, &net->sinks[SINK]), WEIR_OK);
    wr_link *link = test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 9);
    test_net_start(net);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.delivered, 5);
    assert_int_equal(counts.dropped_closed, 4);
    test_net_finish(net);
}

static void consumer_is_told_when_a_run_ends(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 3);
    test_net_start(net);
    test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].drained, 1);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    assert_int_equal(net->sinks[SINK].drained, 1);
    test_net_finish(net);
}

/* ---- congestion ---- */

static void full_sink_stops_its_source_and_starts_it_again(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    (void)test_net_link(net, SOURCE, MIDDLE, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, MIDDLE, LAST, 1, WR_WHEN_FULL_BLOCK);
    net->sinks[MIDDLE].forward = true;
    net->sinks[LAST].held = true;
    test_net_flood(net, SOURCE, 300);
    test_net_start(net);
    test_sink_wait(&net->sinks[MIDDLE], &net->sinks[MIDDLE].drained, 1);
    /* One batch went over the limit without waiting; after it the node may not run. */
    assert_int_equal(test_sink_get(&net->sinks[MIDDLE], &net->sinks[MIDDLE].count), WR_NODE_BATCH);
    assert_true(wr_node_congested(net->nodes[MIDDLE]));
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    test_sink_hold(&net->sinks[LAST], false);
    test_net_expect(net, LAST, 300);
    assert_true(wr_broker_drain(net->broker, net->nodes[LAST], test_deadline()));
    assert_false(wr_node_congested(net->nodes[MIDDLE]));
    test_net_finish(net);
}

static void node_with_two_full_sinks_waits_for_both(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    (void)test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 2, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 3);
    assert_true(wr_node_congested(net->nodes[SOURCE]));
    wr_node_start(net->nodes[SINK]);
    test_net_expect(net, SINK, 3);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    assert_true(wr_node_congested(net->nodes[SOURCE]));
    assert_int_equal(net->sinks[SOURCE].uncongested, 0);
    wr_node_start(net->nodes[OTHER]);
    test_sink_wait(&net->sinks[SOURCE], &net->sinks[SOURCE].uncongested, 1);
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    test_net_finish(net);
}

static void try_gives_full_and_serves_nobody(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    (void)test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_BLOCK);
    wr_link *roomy = test_net_link(net, SOURCE, OTHER, 16, WR_WHEN_FULL_BLOCK);
    assert_int_equal(test_net_publish(net, SOURCE, 0, WR_PUBLISH_TRY), WEIR_OK);
    assert_int_equal(test_net_publish(net, SOURCE, 1, WR_PUBLISH_TRY), WEIR_OK);
    assert_int_equal(test_net_publish(net, SOURCE, 2, WR_PUBLISH_TRY), WEIR_ERR_FULL);
    assert_int_equal(wr_mailbox_count(&roomy->box).accepted, 2);
    test_net_finish(net);
}

static void callback_never_waits(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1, WR_WHEN_FULL_BLOCK);
    bool outer = wr_node_enter_callback();
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_WAIT), WEIR_OK);
    }
    wr_node_leave_callback(outer);
    assert_int_equal(wr_mailbox_count(&link->box).queued, 50);
    test_net_start(net);
    test_net_expect(net, SINK, 50);
    test_net_finish(net);
}

static void callbacks_nest(void **state)
{
    (void)state;
    bool outer = wr_node_enter_callback();
    bool inner = wr_node_enter_callback();
    assert_false(outer);
    assert_true(inner);
    wr_node_leave_callback(inner);
    assert_true(wr_node_enter_callback());
    wr_node_leave_callback(outer);
}

typedef struct waiting_publisher {
    test_net *net;
    uint64_t count;
    weir_err last;
    wr_thread thread;
} waiting_publisher;

static void publish_waiting(void *arg)
{
    waiting_publisher *p = arg;
    for (uint64_t i = 0; i < p->count && p->last == WEIR_OK; i++) {
        p->last = test_net_publish(p->net, SOURCE, i, WR_PUBLISH_WAIT);
    }
}

static void start_publisher(waiting_publisher *p)
{
    assert_int_equal(wr_thread_start(&p->thread, "publisher", publish_waiting, p), WEIR_OK);
}

/* Until a publisher stands in the queue for room. */
static void wait_for_waiter(wr_node *node)
{
    uint64_t deadline = test_deadline();
    while (atomic_load(&node->waiters) == 0) {
        assert_true(wr_clock_ns() < deadline);
    }
}

static void publisher_on_its_own_thread_waits_for_room(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    waiting_publisher publisher = {.net = net, .count = 1000};
    start_publisher(&publisher);
    wait_for_waiter(net->nodes[SOURCE]);
    assert_int_equal(wr_mailbox_count(&link->box).accepted, 4);
    test_net_start(net);
    wr_thread_join(&publisher.thread);
    assert_int_equal(publisher.last, WEIR_OK);
    test_net_expect(net, SINK, 1000);
    test_net_finish(net);
}

static void every_waiting_publisher_is_woken(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 1, WR_WHEN_FULL_BLOCK);
    waiting_publisher publishers[4];
    for (size_t i = 0; i < 4; i++) {
        publishers[i] = (waiting_publisher){.net = net, .count = 200};
        start_publisher(&publishers[i]);
    }
    wait_for_waiter(net->nodes[SOURCE]);
    test_net_start(net);
    for (size_t i = 0; i < 4; i++) {
        wr_thread_join(&publishers[i].thread);
        assert_int_equal(publishers[i].last, WEIR_OK);
    }
    test_sink_wait_count(&net->sinks[SINK], 800);
    test_net_finish(net);
}

static void closing_wakes_waiting_publishers(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    waiting_publisher publisher = {.net = net, .count = 1000};
    start_publisher(&publisher);
    wait_for_waiter(net->nodes[SOURCE]);
    wr_node_stop_waiting(net->nodes[SOURCE]);
    wr_thread_join(&publisher.thread);
    assert_int_equal(publisher.last, WEIR_ERR_CLOSED);
    assert_int_equal(test_net_publish(net, SOURCE, 0, WR_PUBLISH_WAIT), WEIR_ERR_CLOSED);
    test_net_finish(net);
}

static void closing_the_full_sink_lets_publishers_go_on(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    waiting_publisher publisher = {.net = net, .count = 1000};
    start_publisher(&publisher);
    wait_for_waiter(net->nodes[SOURCE]);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    wr_thread_join(&publisher.thread);
    assert_int_equal(publisher.last, WEIR_OK);
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.accepted, 1000);
    assert_int_equal(counts.dropped_closed, 1000);
    assert_in_range(dropped, 4, 1000);
    test_net_finish(net);
}

static void over_the_limit_publisher_hears_when_there_is_room(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 3);
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    test_net_flood(net, SOURCE, 10);
    assert_true(wr_node_congested(net->nodes[SOURCE]));
    test_net_start(net);
    test_sink_wait(&net->sinks[SOURCE], &net->sinks[SOURCE].uncongested, 1);
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    test_sink_wait_count(&net->sinks[SINK], 13);
    test_net_finish(net);
}

static void dead_sink_with_a_drop_rule_slows_nobody(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 4);
    wr_link *oldest = test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_DROP_OLDEST);
    wr_link *newest = test_net_link(net, SOURCE, OTHER, 2, WR_WHEN_FULL_DROP_NEWEST);
    (void)test_net_link(net, SOURCE, 3, 8, WR_WHEN_FULL_BLOCK);
    wr_node_start(net->nodes[3]);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_WAIT), WEIR_OK);
    }
    test_net_expect(net, 3, 500);
    assert_int_equal(wr_mailbox_count(&oldest->box).dropped_full, 498);
    assert_int_equal(wr_mailbox_count(&newest->box).dropped_full, 498);
    test_net_start(net);
    test_sink_wait_count(&net->sinks[SINK], 2);
    test_sink_wait_count(&net->sinks[OTHER], 2);
    assert_int_equal(net->sinks[SINK].seen[0], 498);
    assert_int_equal(net->sinks[OTHER].seen[1], 1);
    test_net_finish(net);
}

/* ---- life cycle ---- */

static void blocking_node_holds_up_no_other(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    test_net_add(net, true);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 16, WR_WHEN_FULL_BLOCK);
    net->sinks[OTHER].held = true;
    test_net_start(net);
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_inside(&net->sinks[OTHER]);
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_count(&net->sinks[SINK], 2);
    test_sink_hold(&net->sinks[OTHER], false);
    test_sink_wait_count(&net->sinks[OTHER], 2);
    test_net_finish(net);
}

static void closing_drops_and_counts_queue_and_rest(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    net->sinks[SINK].take_max = 5;
    test_net_flood(net, SOURCE, 100);
    test_net_start(net);
    test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].drained, 1);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, 95);
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.delivered, 5);
    assert_int_equal(counts.dropped_closed, 95);
    assert_int_equal(counts.queued, 0);
    test_net_finish(net);
}

static void closed_node_never_runs_again(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    test_net_start(net);
    assert_int_equal(wr_node_close(net->nodes[SINK], test_deadline()), WEIR_OK);
    test_net_flood(net, SOURCE, 3);
    wr_node_start(net->nodes[SINK]);
    wr_node_wake(net->nodes[SINK]);
    assert_int_equal(wr_mailbox_count(&link->box).queued, 3);
    assert_int_equal(wr_node_close(net->nodes[SINK], test_deadline()), WEIR_OK);
    assert_int_equal(test_sink_get(&net->sinks[SINK], &net->sinks[SINK].count), 0);
    test_net_finish(net);
}

static void close_of_a_stuck_pool_consumer_times_out(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    net->sinks[SINK].held = true;
    test_net_start(net);
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_inside(&net->sinks[SINK]);
    test_net_flood(net, SOURCE, 1);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], wr_clock_ns(), &dropped),
                     WEIR_ERR_TIMEOUT);
    assert_int_equal(dropped, 0);
    test_sink_hold(&net->sinks[SINK], false);
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, 1);
    assert_int_equal(wr_mailbox_count(&link->box).delivered, 1);
    test_net_finish(net);
}

static wr_executor *volatile left_alone; /* leak checkers see that it is meant to stay */

static void stuck_thread_of_a_blocking_node_is_left_alone(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 1);
    test_net_add(net, true);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    left_alone = net->nodes[SINK]->executor;
    net->sinks[SINK].held = true;
    test_net_start(net);
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_inside(&net->sinks[SINK]);
    assert_int_equal(wr_node_close(net->nodes[SINK], wr_clock_ns()), WEIR_ERR_TIMEOUT);
    assert_false(net->nodes[SINK]->own_executor);
    test_sink_hold(&net->sinks[SINK], false);
    test_sink_wait_count(&net->sinks[SINK], 1);
    /* The thread comes back after all, gives its reference up, and ends without its node. */
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_reaches_every_sink),
        cmocka_unit_test(publishing_without_links_is_no_error),
        cmocka_unit_test(messages_of_a_publisher_keep_their_order),
        cmocka_unit_test(publish_many_serves_every_link_in_order),
        cmocka_unit_test(nothing_is_consumed_before_the_start),
        cmocka_unit_test(paused_node_gets_nothing_until_it_is_ready),
        cmocka_unit_test(consumer_that_takes_fewer_gets_the_rest_first),
        cmocka_unit_test(ready_from_another_thread_during_consume_is_not_lost),
        cmocka_unit_test(refused_messages_count_as_dropped),
        cmocka_unit_test(consumer_is_told_when_a_run_ends),
        cmocka_unit_test(full_sink_stops_its_source_and_starts_it_again),
        cmocka_unit_test(node_with_two_full_sinks_waits_for_both),
        cmocka_unit_test(try_gives_full_and_serves_nobody),
        cmocka_unit_test(callback_never_waits),
        cmocka_unit_test(callbacks_nest),
        cmocka_unit_test(publisher_on_its_own_thread_waits_for_room),
        cmocka_unit_test(every_waiting_publisher_is_woken),
        cmocka_unit_test(closing_wakes_waiting_publishers),
        cmocka_unit_test(closing_the_full_sink_lets_publishers_go_on),
        cmocka_unit_test(over_the_limit_publisher_hears_when_there_is_room),
        cmocka_unit_test(dead_sink_with_a_drop_rule_slows_nobody),
        cmocka_unit_test(blocking_node_holds_up_no_other),
        cmocka_unit_test(closing_drops_and_counts_queue_and_rest),
        cmocka_unit_test(closed_node_never_runs_again),
        cmocka_unit_test(close_of_a_stuck_pool_consumer_times_out),
        cmocka_unit_test(stuck_thread_of_a_blocking_node_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
