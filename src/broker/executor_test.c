/* SPDX-License-Identifier: MIT
 *
 * Tests of the executor: who runs, in which order, and that it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"
#include "broker/executor.h"

enum { SOURCE = 0, FIRST = 1, SECOND = 2, THIRD = 3 };

static void executor_without_work_ends(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        wr_executor *executor;
        assert_int_equal(wr_executor_create(threads, "idle", &executor), WEIR_OK);
        wr_executor_destroy(executor);
    }
    wr_executor_destroy(NULL);
}

/* Every message that any of the noting sinks got, in the order of getting. One thread writes. */
typedef struct note {
    const test_sink *sink;
    size_t count;
} note;

static note notes[64];
static size_t note_count;

static size_t consume_noting(void *self, weir_message **msgs, size_t count)
{
    assert_true(note_count < sizeof(notes) / sizeof(notes[0]));
    notes[note_count++] = (note){self, count};
    return test_sink_consume(self, msgs, count);
}

static const wr_consumer noting = {.consume = consume_noting, .release = test_sink_release};

/* A pool of one thread, which is held in FIRST; whatever is published meanwhile is queued. */
static test_net *begin_with_the_thread_held(size_t count, uint32_t limit)
{
    test_net *net = test_net_begin(1, count);
    note_count = 0;
    for (size_t i = FIRST; i < count; i++) {
        assert_int_equal(wr_node_set_consumer(net->nodes[i], &noting, &net->sinks[i]), WEIR_OK);
    }
    (void)test_net_link(net, SOURCE, FIRST, 16, WR_WHEN_FULL_BLOCK);
    for (size_t i = FIRST; i + 1 < count; i++) {
        (void)test_net_link(net, i, i + 1, limit, WR_WHEN_FULL_BLOCK);
    }
    net->sinks[FIRST].held = true;
    test_net_start(net);
    for (size_t i = 0; i < count; i++) { /* the start wakes them once, too */
        assert_true(wr_node_wait_drained(net->nodes[i], NULL, 0, test_deadline()));
    }
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_inside(&net->sinks[FIRST]);
    return net;
}

static void nodes_run_in_the_order_of_their_waking(void **state)
{
    (void)state;
    test_net *net = begin_with_the_thread_held(5, 16);
    test_net_flood(net, SECOND, 1); /* for THIRD */
    test_net_flood(net, THIRD, 1);  /* for the one after it */
    test_net_flood(net, FIRST, 1);  /* for SECOND */
    test_sink_hold(&net->sinks[FIRST], false);
    test_sink_wait_count(&net->sinks[SECOND], 1);
    assert_ptr_equal(notes[1].sink, &net->sinks[THIRD]);
    assert_ptr_equal(notes[2].sink, &net->sinks[THIRD + 1]);
    assert_ptr_equal(notes[3].sink, &net->sinks[SECOND]);
    test_net_finish(net);
}

static void busy_node_lets_others_have_their_turn(void **state)
{
    (void)state;
    test_net *net = begin_with_the_thread_held(4, 4096);
    test_net_flood(net, FIRST, 3 * WR_NODE_RUN_MAX); /* for SECOND */
    test_net_flood(net, SECOND, 1);                  /* for THIRD */
    test_sink_hold(&net->sinks[FIRST], false);
    test_sink_wait_count(&net->sinks[THIRD], 1);
    test_sink_wait_count(&net->sinks[SECOND], 3 * WR_NODE_RUN_MAX);
    size_t before = 0;
    for (size_t i = 1; notes[i].sink != &net->sinks[THIRD]; i++) {
        before += notes[i].count;
    }
    assert_int_equal(before, WR_NODE_RUN_MAX);
    test_net_finish(net);
}

static void two_threads_run_two_nodes_at_once(void **state)
{
    (void)state;
    test_net *net = test_net_begin(2, 3);
    for (size_t i = FIRST; i <= SECOND; i++) {
        (void)test_net_link(net, SOURCE, i, 16, WR_WHEN_FULL_BLOCK);
        net->sinks[i].held = true;
    }
    test_net_start(net);
    test_net_flood(net, SOURCE, 1);
    test_sink_wait_inside(&net->sinks[FIRST]);
    test_sink_wait_inside(&net->sinks[SECOND]);
    test_net_finish(net);
}

static void node_woken_often_while_queued_runs_once(void **state)
{
    (void)state;
    test_net *net = begin_with_the_thread_held(3, 16);
    test_net_flood(net, FIRST, 5); /* for SECOND */
    for (size_t i = 0; i < 100; i++) {
        wr_node_wake(net->nodes[SECOND]);
    }
    test_sink_hold(&net->sinks[FIRST], false);
    test_net_expect(net, SECOND, 5);
    assert_true(wr_broker_drain(net->broker, net->nodes[SECOND], test_deadline()));
    assert_int_equal(note_count, 2);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executor_without_work_ends),
        cmocka_unit_test(nodes_run_in_the_order_of_their_waking),
        cmocka_unit_test(busy_node_lets_others_have_their_turn),
        cmocka_unit_test(two_threads_run_two_nodes_at_once),
        cmocka_unit_test(node_woken_often_while_queued_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
