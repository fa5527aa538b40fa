/* SPDX-License-Identifier: MIT
 *
 * Races between the parts of the broker that take a thread each to be seen: a source that may go on
 * at the moment at which its run ends, nodes that close while a reading thread collects them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/broker_test.h"

enum { FEEDER = 0, MIDDLE = 1, END = 2 };

#define FED 400000u

/* ---- a source that has work, and is congested and relieved all the time ---- */

typedef struct toggle {
    test_net *net;
    _Atomic size_t worked; /* messages that MIDDLE was given */
    atomic_bool over;
} toggle;

static size_t count_only(void *self, weir_message **msgs, size_t count)
{
    (void)msgs;
    toggle *t = self;
    atomic_fetch_add(&t->worked, count);
    return count;
}

static const wr_consumer counting = {.consume = count_only};

static size_t swallow(void *self, weir_message **msgs, size_t count)
{
    (void)self;
    (void)msgs;
    return count;
}

static bool wait_for_nothing(void *self)
{
    (void)self;
    return false;
}

/* Its publisher runs it at once: so the link is at its limit for a moment with each message. */
static const wr_consumer swallowing = {.consume = swallow, .gather = wait_for_nothing};

static void publish_until_over(void *arg)
{
    toggle *t = arg;
    while (!atomic_load(&t->over)) {
        assert_int_equal(test_net_publish(t->net, MIDDLE, 0, WR_PUBLISH_OVER), WEIR_OK);
    }
}

static void feed(void *arg)
{
    toggle *t = arg;
    for (size_t i = 0; i < FED; i++) {
        assert_int_equal(test_net_publish(t->net, FEEDER, i, WR_PUBLISH_WAIT), WEIR_OK);
    }
}

/* The test's own sinks have not seen anything: their nodes have other consumers. */
static void finish(test_net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        uint64_t dropped;
        assert_int_equal(wr_broker_close(net->broker, net->nodes[i], test_deadline(), &dropped),
                         WEIR_OK);
        assert_int_equal(dropped, 0);
        wr_node_unref(net->nodes[i]);
    }
    wr_broker_destroy(net->broker, false);
    for (size_t i = 0; i < net->count; i++) {
        test_sink_deinit(&net->sinks[i]);
    }
    free(net);
}

static void work_left_at_the_end_of_a_run_is_not_forgotten(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    toggle t = {.net = net};
    assert_int_equal(wr_node_set_consumer(net->nodes[MIDDLE], &counting, &t), WEIR_OK);
    assert_int_equal(wr_node_set_consumer(net->nodes[END], &swallowing, &t), WEIR_OK);
    (void)test_net_link(net, FEEDER, MIDDLE, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, MIDDLE, END, 1, WR_WHEN_FULL_BLOCK);
    test_net_start(net);
    wr_thread threads[2] = {{.started = false}};
    assert_int_equal(wr_thread_start(&threads[0], "toggle", publish_until_over, &t), WEIR_OK);
    assert_int_equal(wr_thread_start(&threads[1], "feeder", feed, &t), WEIR_OK);
    wr_thread_join(&threads[1]); /* it waits for room: for ever, if MIDDLE is forgotten */
    atomic_store(&t.over, true);
    wr_thread_join(&threads[0]);
    assert_true(wr_broker_drain(net->broker, net->nodes[MIDDLE], test_deadline()));
    assert_int_equal(atomic_load(&t.worked), FED);
    finish(net);
}

/* ---- nodes that close, or lose their links, while a reading thread publishes to them ---- */

#define ROUNDS 60u

typedef struct reader {
    test_net *net;
    _Atomic size_t published;
    atomic_bool over;
} reader;

/* As the control loop does. */
static void read_and_run(void *arg)
{
    reader *r = arg;
    while (!atomic_load(&r->over)) {
        wr_node_collect(true);
        assert_int_equal(test_net_publish(r->net, FEEDER, 0, WR_PUBLISH_OVER), WEIR_OK);
        wr_node_collect(false);
        wr_collected *collected = wr_node_get_collected();
        size_t number = atomic_fetch_add(&r->published, 1);
        if (collected != NULL && number % 2 == 0) {
            wr_node_run_collected(collected);
        } else if (collected != NULL) {
            wr_node_put_collected(collected);
        }
    }
}

static wr_node *add_sink(test_net *net, bool blocking, toggle *t)
{
    wr_node *node;
    wr_queue_config config = {64, WR_WHEN_FULL_DROP_NEWEST};
    assert_int_equal(wr_node_create("sink", wr_broker_pool(net->broker), blocking, &node), WEIR_OK);
    assert_int_equal(wr_node_set_consumer(node, &counting, t), WEIR_OK);
    wr_node_start(node);
    assert_int_equal(wr_broker_link(net->broker, net->nodes[FEEDER], node, config), WEIR_OK);
    return node;
}

static void remove_sink(test_net *net, wr_node *node)
{
    uint64_t dropped;
    assert_int_equal(wr_broker_close(net->broker, node, test_deadline(), &dropped), WEIR_OK);
    wr_broker_remove(net->broker, node);
    wr_node_unref(node);
}

static void wait_for_messages(reader *r, size_t more)
{
    size_t before = atomic_load(&r->published);
    while (atomic_load(&r->published) - before < more) {
        wr_thread_relax();
    }
}

static void nodes_come_and_go_while_they_are_collected(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 1);
    toggle t = {.net = net};
    reader r = {.net = net};
    test_net_start(net);
    wr_thread reading = {.started = false};
    assert_int_equal(wr_thread_start(&reading, "reading", read_and_run, &r), WEIR_OK);
    for (size_t round = 0; round < ROUNDS; round++) {
        wr_node *pooled = add_sink(net, false, &t);
        wr_node *blocking = add_sink(net, true, &t);
        wait_for_messages(&r, 20);
        remove_sink(net, blocking);
        remove_sink(net, pooled);
    }
    atomic_store(&r.over, true);
    wr_thread_join(&reading);
    wr_broker_totals totals = wr_broker_add_up(net->broker);
    assert_int_equal(totals.links, 0);
    assert_int_equal(totals.counts.queued, 0);
    assert_int_equal(totals.counts.delivered, atomic_load(&t.worked));
    finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_left_at_the_end_of_a_run_is_not_forgotten),
        cmocka_unit_test(nodes_come_and_go_while_they_are_collected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
