/* SPDX-License-Identifier: MIT
 *
 * Tests of the broker: links come and go, draining, closing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"

enum { SOURCE = 0, SINK = 1, OTHER = 2 };

static weir_err link_default(test_net *net, size_t source, size_t sink)
{
    wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    return wr_broker_link(net->broker, net->nodes[source], net->nodes[sink], config);
}

static weir_err unlink_nodes(test_net *net, size_t source, size_t sink)
{
    return wr_broker_unlink(net->broker, net->nodes[source], net->nodes[sink]);
}

static void broker_with_the_default_pool_comes_and_goes(void **state)
{
    (void)state;
    wr_broker *broker = NULL;
    assert_int_equal(wr_broker_create(0, &broker), WEIR_OK);
    assert_non_null(wr_broker_pool(broker));
    wr_broker_destroy(broker, false);
    wr_broker_destroy(NULL, false);
}

static void second_link_between_two_nodes_is_refused(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_ERR_EXISTS);
    assert_int_equal(link_default(net, SINK, SOURCE), WEIR_OK);
    test_net_finish(net);
}

static void link_that_does_not_exist_is_not_found(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_ERR_NOT_FOUND);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    assert_int_equal(unlink_nodes(net, SINK, SOURCE), WEIR_ERR_NOT_FOUND);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_ERR_NOT_FOUND);
    test_net_finish(net);
}

static void removed_link_gets_nothing_more_and_a_new_one_does(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    assert_int_equal(link_default(net, SOURCE, OTHER), WEIR_OK);
    test_net_start(net);
    test_net_flood(net, SOURCE, 2);
    test_net_expect(net, SINK, 2);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    test_net_flood(net, SOURCE, 2);
    test_sink_wait_count(&net->sinks[OTHER], 4);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    test_net_flood(net, SOURCE, 2);
    test_sink_wait_count(&net->sinks[SINK], 4);
    test_net_finish(net);
}

static void unlinking_drops_the_queue_of_a_sink_that_may_not_run(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = wr_link_ref(test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_BLOCK));
    test_net_flood(net, SOURCE, 7);
    assert_true(wr_node_congested(net->nodes[SOURCE]));
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    assert_true(wr_node_wait_drained(net->nodes[SINK], &link, 1, test_deadline()));
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.accepted, 7);
    assert_int_equal(counts.dropped_closed, 7);
    wr_link_unref(link);
    test_net_finish(net);
}

static void new_link_sees_no_messages_of_the_removed_one(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *gone = wr_link_ref(test_net_link(net, SOURCE, SINK, 256, WR_WHEN_FULL_BLOCK));
    net->sinks[SINK].held = true;
    test_net_flood(net, SOURCE, 3 * WR_NODE_BATCH);
    test_net_start(net);
    test_sink_wait_inside(&net->sinks[SINK]); /* with the first batch, amid a run */
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    (void)test_net_link(net, SOURCE, SINK, 256, WR_WHEN_FULL_BLOCK);
    assert_int_equal(test_net_publish(net, SOURCE, WR_NODE_BATCH, WR_PUBLISH_OVER), WEIR_OK);
    test_sink_hold(&net->sinks[SINK], false);
    test_net_expect(net, SINK, WR_NODE_BATCH + 1);
    assert_true(wr_node_wait_drained(net->nodes[SINK], &gone, 1, test_deadline()));
    assert_int_equal(wr_mailbox_count(&gone->box).dropped_closed, 2 * WR_NODE_BATCH);
    wr_link_unref(gone);
    test_net_finish(net);
}

static void unlinking_leaves_other_links_of_the_sink_alone(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    wr_link *gone = wr_link_ref(test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK));
    (void)test_net_link(net, OTHER, SINK, 16, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 5);
    test_net_flood(net, OTHER, 5);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    assert_true(wr_node_wait_drained(net->nodes[SINK], &gone, 1, test_deadline()));
    test_net_start(net);
    test_net_expect(net, SINK, 5);
    assert_int_equal(wr_mailbox_count(&gone->box).dropped_closed, 5);
    wr_link_unref(gone);
    test_net_finish(net);
}

static void node_may_be_linked_to_itself(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 1);
    (void)test_net_link(net, SOURCE, SOURCE, 4, WR_WHEN_FULL_DROP_OLDEST);
    test_net_start(net);
    test_net_flood(net, SOURCE, 1);
    test_net_expect(net, SOURCE, 1);
    test_net_finish(net);
}

static void collect_link(void *user, const wr_link *link)
{
    const wr_link ***at = user;
    *(*at)++ = link;
}

static void links_are_visited_in_the_order_of_adding(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    const wr_link *visited[3];
    const wr_link **at = visited;
    wr_link *first = test_net_link(net, SOURCE, OTHER, 4, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SINK, OTHER, 4, WR_WHEN_FULL_BLOCK);
    wr_link *last = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    assert_int_equal(unlink_nodes(net, SINK, OTHER), WEIR_OK);
    wr_broker_each_link(net->broker, collect_link, &at);
    assert_int_equal(at - visited, 2);
    assert_ptr_equal(visited[0], first);
    assert_ptr_equal(visited[1], last);
    test_net_finish(net);
}

/* ---- totals ---- */

static void assert_totals(test_net *net, size_t links, wr_mailbox_counts wanted)
{
    wr_broker_totals totals = wr_broker_add_up(net->broker);
    assert_int_equal(totals.links, links);
    assert_int_equal(totals.counts.accepted, wanted.accepted);
    assert_int_equal(totals.counts.delivered, wanted.delivered);
    assert_int_equal(totals.counts.dropped_full, wanted.dropped_full);
    assert_int_equal(totals.counts.dropped_closed, wanted.dropped_closed);
    assert_int_equal(totals.counts.queued, wanted.queued);
}

static void totals_keep_what_removed_links_counted(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    assert_totals(net, 0, (wr_mailbox_counts){0});
    wr_link *gone = test_net_link(net, SOURCE, SINK, 2, WR_WHEN_FULL_DROP_NEWEST);
    (void)test_net_link(net, SOURCE, OTHER, 100, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 5);
    assert_totals(net, 2, (wr_mailbox_counts){.accepted = 10, .dropped_full = 3, .queued = 7});
    wr_link_ref(gone);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    assert_true(wr_node_wait_drained(net->nodes[SINK], &gone, 1, test_deadline()));
    wr_mailbox_counts wanted = {
        .accepted = 10, .dropped_full = 3, .dropped_closed = 2, .queued = 5};
    assert_totals(net, 1, wanted); /* it still exists, */
    wr_link_unref(gone);
    assert_totals(net, 1, wanted); /* and is freed */
    test_net_start(net);
    test_net_expect(net, OTHER, 5);
    test_net_finish(net);
}

static void totals_count_what_the_sink_of_a_removed_link_has_in_hand(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 256, WR_WHEN_FULL_BLOCK);
    net->sinks[SINK].held = true;
    test_net_flood(net, SOURCE, WR_NODE_BATCH + 10);
    test_net_start(net);
    test_sink_wait_inside(&net->sinks[SINK]);
    assert_int_equal(unlink_nodes(net, SOURCE, SINK), WEIR_OK);
    assert_totals(
        net, 0, (wr_mailbox_counts){.accepted = WR_NODE_BATCH + 10, .queued = WR_NODE_BATCH + 10});
    test_sink_hold(&net->sinks[SINK], false);
    assert_true(wr_node_wait_drained(net->nodes[SINK], NULL, 0, test_deadline()));
    assert_totals(net, 0,
                  (wr_mailbox_counts){.accepted = WR_NODE_BATCH + 10,
                                      .delivered = WR_NODE_BATCH,
                                      .dropped_closed = 10});
    test_net_finish(net);
}

/* ---- a stopped sink beside others ---- */

enum { FOUR_SINKS = 4, STOPPED = FOUR_SINKS, MANY = 3000, LITTLE_ROOM = 8 };

/* SOURCE with links to nodes 1 to 4; the last has little room and a drop rule, and stands still. */
static test_net *net_with_four_sinks(wr_when_full rule, wr_link **stopped)
{
    test_net *net = test_net_begin(2, 1 + FOUR_SINKS);
    for (size_t sink = 1; sink < STOPPED; sink++) {
        (void)test_net_link(net, SOURCE, sink, 4096, WR_WHEN_FULL_BLOCK);
        wr_node_start(net->nodes[sink]);
    }
    *stopped = test_net_link(net, SOURCE, STOPPED, LITTLE_ROOM, rule);
    return net;
}

/* WR_PUBLISH_TRY is refused where the source would have to wait: it never has to. The others get
 * everything, in order, from queues that never had to drop; the stopped one is not even run. */
static void expect_that_it_costs_nothing(test_net *net, const wr_link *stopped, size_t has)
{
    size_t runs = test_sink_get(&net->sinks[STOPPED], &net->sinks[STOPPED].drained);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_TRY), WEIR_OK);
        assert_false(wr_node_congested(net->nodes[SOURCE]));
    }
    for (size_t sink = 1; sink < STOPPED; sink++) {
        test_net_expect(net, sink, MANY);
    }
    wr_mailbox_counts counts = wr_mailbox_count(&stopped->box);
    assert_int_equal(counts.accepted, MANY + has);
    assert_int_equal(counts.dropped_full, MANY - LITTLE_ROOM);
    assert_int_equal(counts.queued, LITTLE_ROOM + has);
    assert_int_equal(test_sink_get(&net->sinks[STOPPED], &net->sinks[STOPPED].drained), runs);
}

static void sink_that_may_not_run_costs_the_other_three_nothing(void **state)
{
    (void)state;
    static const wr_when_full rules[] = {WR_WHEN_FULL_DROP_OLDEST, WR_WHEN_FULL_DROP_NEWEST};
    for (size_t i = 0; i < 2; i++) {
        wr_link *stopped;
        test_net *net = net_with_four_sinks(rules[i], &stopped);
        expect_that_it_costs_nothing(net, stopped, 0);
        test_net_finish(net);
    }
}

static void sink_stuck_in_receive_costs_the_other_three_nothing(void **state)
{
    (void)state;
    static const wr_when_full rules[] = {WR_WHEN_FULL_DROP_OLDEST, WR_WHEN_FULL_DROP_NEWEST};
    for (size_t i = 0; i < 2; i++) {
        wr_link *stopped;
        test_net *net = net_with_four_sinks(rules[i], &stopped);
        test_sink_hold(&net->sinks[STOPPED], true);
        wr_node_start(net->nodes[STOPPED]);
        assert_int_equal(wr_link_put(stopped, test_message(0)), WEIR_OK);
        test_sink_wait_inside(&net->sinks[STOPPED]);
        expect_that_it_costs_nothing(net, stopped, 1);
        test_net_finish(net);
    }
}

/* ---- draining and closing ---- */

static void drain_waits_until_everything_is_consumed(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    wr_link *one = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    wr_link *two = test_net_link(net, OTHER, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 1000);
    test_net_flood(net, OTHER, 1000);
    test_net_start(net);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    assert_int_equal(wr_mailbox_count(&one->box).delivered, 1000);
    assert_int_equal(wr_mailbox_count(&two->box).delivered, 1000);
    test_net_finish(net);
}

static void drain_gives_up_at_the_deadline(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 1);
    assert_false(wr_broker_drain(net->broker, net->nodes[SINK], wr_clock_ns()));
    test_net_start(net);
    test_net_expect(net, SINK, 1);
    test_net_finish(net);
}

static void drain_does_not_wait_for_an_absent_consumer(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 1);
    wr_node_set_absent(net->nodes[SINK], true);
    assert_false(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    wr_node_set_absent(net->nodes[SINK], false);
    test_net_start(net);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    test_net_finish(net);
}

typedef struct drainer {
    test_net *net;
    bool drained;
    wr_thread thread;
} drainer;

static void drain_sink(void *arg)
{
    drainer *d = arg;
    d->drained = wr_broker_drain(d->net->broker, d->net->nodes[SINK], test_deadline());
}

static void consumer_that_becomes_absent_ends_the_drain(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 1);
    drainer d = {.net = net};
    assert_int_equal(wr_thread_start(&d.thread, "drain", drain_sink, &d), WEIR_OK);
    uint64_t deadline = test_deadline();
    while (atomic_load(&net->nodes[SINK]->waiters) == 0) {
        assert_true(wr_clock_ns() < deadline);
    }
    wr_node_set_absent(net->nodes[SINK], true);
    wr_thread_join(&d.thread);
    assert_false(d.drained);
    test_net_finish(net);
}

static void closed_node_refuses_and_counts(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    wr_link *link = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
    test_net_flood(net, SOURCE, 6);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, 6);
    assert_false(wr_node_congested(net->nodes[SOURCE]));
    test_net_flood(net, SOURCE, 10);
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.accepted, 16);
    assert_int_equal(counts.dropped_closed, 16);
    assert_int_equal(counts.queued, 0);
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, 0);
    test_net_finish(net);
}

/* What makes a publish that overlaps with a close visible again and again. */
typedef struct flooder {
    test_net *net;
    atomic_bool stop;
    uint64_t sent;
    wr_thread thread;
} flooder;

static void flood_until_told(void *arg)
{
    flooder *f = arg;
    while (!atomic_load(&f->stop)) {
        test_net_flood(f->net, SOURCE, 8);
        f->sent += 8;
    }
}

static void nothing_stays_in_the_mailbox_of_a_node_closed_under_load(void **state)
{
    (void)state;
    for (size_t round = 0; round < 300; round++) {
        test_net *net = test_net_begin(1, 3);
        wr_link *link = test_net_link(net, SOURCE, SINK, 4, WR_WHEN_FULL_BLOCK);
        test_net_start(net);
        flooder f = {.net = net};
        assert_int_equal(wr_thread_start(&f.thread, "flood", flood_until_told, &f), WEIR_OK);
        test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].count, round % 50 + 1);
        uint64_t dropped;
        assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                         WEIR_OK);
        assert_int_equal(wr_mailbox_queued(&link->box), 0);
        assert_null(atomic_load(&net->nodes[SINK]->pending));
        atomic_store(&f.stop, true);
        wr_thread_join(&f.thread);
        wr_mailbox_counts counts = wr_mailbox_count(&link->box);
        assert_int_equal(counts.accepted, f.sent);
        assert_int_equal(counts.queued, 0);
        test_net_finish(net);
    }
}

static void closing_keeps_links_and_removing_takes_them(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    const wr_link *visited[3];
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    assert_int_equal(link_default(net, SINK, OTHER), WEIR_OK);
    assert_int_equal(link_default(net, SOURCE, OTHER), WEIR_OK);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    const wr_link **at = visited;
    wr_broker_each_link(net->broker, collect_link, &at);
    assert_int_equal(at - visited, 3);
    wr_broker_remove(net->broker, net->nodes[SINK]);
    at = visited;
    wr_broker_each_link(net->broker, collect_link, &at);
    assert_int_equal(at - visited, 1);
    assert_ptr_equal(visited[0]->sink, net->nodes[OTHER]);
    test_net_finish(net);
}

static void removed_node_is_freed_with_the_last_reference(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    assert_int_equal(link_default(net, SOURCE, SINK), WEIR_OK);
    test_net_start(net);
    test_net_flood(net, SOURCE, 3);
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    wr_broker_remove(net->broker, net->nodes[SINK]);
    net->count--;
    wr_node_unref(net->nodes[SINK]);
    /* The pool's thread may still hold its reference for a moment. */
    test_sink_wait(&net->sinks[SINK], &net->sinks[SINK].released, 1);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_with_the_default_pool_comes_and_goes),
        cmocka_unit_test(second_link_between_two_nodes_is_refused),
        cmocka_unit_test(link_that_does_not_exist_is_not_found),
        cmocka_unit_test(removed_link_gets_nothing_more_and_a_new_one_does),
        cmocka_unit_test(unlinking_drops_the_queue_of_a_sink_that_may_not_run),
        cmocka_unit_test(new_link_sees_no_messages_of_the_removed_one),
        cmocka_unit_test(unlinking_leaves_other_links_of_the_sink_alone),
        cmocka_unit_test(node_may_be_linked_to_itself),
        cmocka_unit_test(links_are_visited_in_the_order_of_adding),
        cmocka_unit_test(totals_keep_what_removed_links_counted),
        cmocka_unit_test(totals_count_what_the_sink_of_a_removed_link_has_in_hand),
        cmocka_unit_test(sink_that_may_not_run_costs_the_other_three_nothing),
        cmocka_unit_test(sink_stuck_in_receive_costs_the_other_three_nothing),
        cmocka_unit_test(drain_waits_until_everything_is_consumed),
        cmocka_unit_test(drain_gives_up_at_the_deadline),
        cmocka_unit_test(drain_does_not_wait_for_an_absent_consumer),
        cmocka_unit_test(consumer_that_becomes_absent_ends_the_drain),
        cmocka_unit_test(closed_node_refuses_and_counts),
        cmocka_unit_test(nothing_stays_in_the_mailbox_of_a_node_closed_under_load),
        cmocka_unit_test(closing_keeps_links_and_removing_takes_them),
        cmocka_unit_test(removed_node_is_freed_with_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
