/* SPDX-License-Identifier: MIT
 *
 * Races between the parts of the broker that take a thread each to be seen: a source that may go on
 * at the moment at which its run ends, nodes that close while a reading thread collects them.
 *
 * WEIR_SEED repeats a load; the interleaving remains the machine's.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_left_at_the_end_of_a_run_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
