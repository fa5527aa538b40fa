/* SPDX-License-Identifier: MIT
 *
 * Nodes that publishers run themselves, a batch at a time, and nodes that a reading thread
 * collects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/broker_test.h"

enum { SOURCE = 0, SINK = 1, OTHER = 2 };

/* What `gather` of all test sinks answers. */
static atomic_bool wait_for_more;

static bool gather(void *self)
{
    (void)self;
    return atomic_load(&wait_for_more);
}

static wr_consumer gathering;

typedef struct publisher_wait publisher_wait;
static publisher_wait *waited_for;
#define LOOKS 100000u

static test_net *begin(unsigned threads, size_t count, bool wait)
{
    atomic_store(&wait_for_more, wait);
    gathering = test_sink_consumer;
    gathering.gather = gather;
    test_net *net = test_net_begin(threads, count);
    assert_int_equal(wr_node_set_consumer(net->nodes[SINK], &gathering, &net->sinks[SINK]),
                     WEIR_OK);
    return net;
}

/* Nobody looks at the nodes any more when this returns. */
static void start(test_net *net)
{
    test_net_start(net);
    for (size_t i = 0; i < net->count; i++) {
        assert_true(wr_broker_drain(net->broker, net->nodes[i], test_deadline()));
    }
}

static size_t count_of(test_net *net, size_t sink)
{
    return test_sink_get(&net->sinks[sink], &net->sinks[sink].count);
}

static void idle_node_is_run_at_once_by_its_publisher(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, false);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    start(net);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_WAIT), WEIR_OK);
        assert_int_equal(count_of(net, SINK), i + 1); /* no other thread had a part in it */
    }
    test_net_finish(net);
}

static void gathered_messages_wait_until_they_are_a_batch(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, true);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, WR_QUEUE_BATCH - 1);
    assert_int_equal(count_of(net, SINK), 0);
    assert_int_equal(test_net_publish(net, SOURCE, WR_QUEUE_BATCH - 1, WR_PUBLISH_WAIT), WEIR_OK);
    test_net_expect(net, SINK, WR_QUEUE_BATCH);
    test_net_finish(net);
}

static void half_of_a_small_queue_is_a_batch(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, true);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1, WR_WHEN_FULL_DROP_OLDEST);
    start(net);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(test_net_publish(net, SOURCE, i, WR_PUBLISH_WAIT), WEIR_OK);
    }
    test_net_expect(net, SINK, 10);
    assert_int_equal(wr_mailbox_count(&link->box).dropped_full, 0);
    test_net_finish(net);
}

static void alarm_runs_what_was_gathered(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, true);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 3);
    wr_node_run_gathered(net->nodes[SINK]);
    assert_int_equal(count_of(net, SINK), 3);
    wr_node_run_gathered(net->nodes[SINK]); /* nothing left */
    assert_int_equal(count_of(net, SINK), 3);
    test_net_finish(net);
}

static void second_link_joins_what_is_gathered(void **state)
{
    (void)state;
    test_net *net = begin(1, 3, true);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, OTHER, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 3);
    test_net_flood(net, OTHER, 2);
    assert_int_equal(count_of(net, SINK), 0);
    wr_node_run_gathered(net->nodes[SINK]);
    assert_int_equal(count_of(net, SINK), 5);
    test_net_finish(net);
}

static void waking_a_gathering_node_runs_it(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, true);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 3);
    wr_node_wake(net->nodes[SINK]);
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

static void ready_node_is_run_by_who_says_so(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, false);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    wr_node_pause(net->nodes[SINK]);
    test_net_flood(net, SOURCE, 1000);
    assert_int_equal(count_of(net, SINK), 0);
    wr_node_ready(net->nodes[SINK]);
    assert_int_equal(count_of(net, SINK), 1000);
    test_net_finish(net);
}

static void closing_a_gathering_node_drops_and_counts(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, true);
    wr_link *link = test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_net_flood(net, SOURCE, 3);
    uint64_t dropped = 0;
    assert_int_equal(wr_broker_close(net->broker, net->nodes[SINK], test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, 3);
    assert_int_equal(wr_mailbox_count(&link->box).dropped_closed, 3);
    test_net_finish(net);
}

/* ---- collected by a reading thread ---- */

static void collected_node_runs_on_the_reading_thread(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    wr_node_collect(true);
    test_net_flood(net, SOURCE, 3);
    wr_node_collect(false);
    assert_non_null(wr_node_get_collected());
    assert_int_equal(count_of(net, SINK), 0);
    wr_node_run_collected(wr_node_get_collected());
    assert_int_equal(count_of(net, SINK), 3);
    assert_int_equal(count_of(net, OTHER), 3);
    assert_null(wr_node_get_collected());
    test_net_finish(net);
}

static void collected_nodes_can_be_left_to_the_pool(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    wr_node_collect(true);
    test_net_flood(net, SOURCE, 3);
    wr_node_collect(false);
    wr_node_put_collected(wr_node_get_collected());
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

typedef struct reader {
    test_net *net;
    wr_collected *collected; /* set before SINK is run */
} reader;

static void read_and_run(void *arg)
{
    reader *r = arg;
    wr_node_collect(true);
    test_net_flood(r->net, SOURCE, 3);
    wr_node_collect(false);
    r->collected = wr_node_get_collected();
    wr_node_run_collected(r->collected);
}

static void what_waits_behind_a_module_that_stays_is_left_to_the_pool(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    (void)test_net_link(net, SOURCE, OTHER, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    test_sink_hold(&net->sinks[SINK], true);
    wr_thread reading = {.started = false};
    reader r = {.net = net};
    assert_int_equal(wr_thread_start(&reading, "reading", read_and_run, &r), WEIR_OK);
    test_sink_wait_inside(&net->sinks[SINK]);
    wr_node_put_collected(r.collected);
    test_net_expect(net, OTHER, 3);
    assert_int_equal(count_of(net, SINK), 0);
    test_sink_hold(&net->sinks[SINK], false);
    wr_thread_join(&reading);
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

static void blocking_node_is_not_collected(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 1);
    test_net_add(net, true);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    wr_node_collect(true);
    test_net_flood(net, SOURCE, 3);
    wr_node_collect(false);
    assert_null(wr_node_get_collected());
    test_net_expect(net, SINK, 3);
    test_net_finish(net);
}

static void shy_node_goes_to_the_pool(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 2);
    (void)test_net_link(net, SOURCE, SINK, 1024, WR_WHEN_FULL_BLOCK);
    start(net);
    atomic_store(&net->nodes[SINK]->shy_for, 1);
    wr_node_collect(true);
    test_net_flood(net, SOURCE, 1);
    wr_node_collect(false);
    assert_null(wr_node_get_collected());
    test_net_expect(net, SINK, 1);
    assert_int_equal(atomic_load(&net->nodes[SINK]->shy_for), 0);
    test_net_finish(net);
}

/* ---- stress ---- */

#define STRESS_PUBLISHERS 3u
#define STRESS_MESSAGES 1200u /* of each; all fit into a sink's memory */

typedef struct stress {
    test_net *net;
    size_t source;
    uint64_t seed;
} stress;

static void publish_all(void *arg)
{
    stress *s = arg;
    for (uint64_t i = 0; i < STRESS_MESSAGES; i++) {
        s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
        if (s->seed >> 60 == 0) {
            atomic_store(&wait_for_more, s->seed >> 59 & 1);
        }
        uint64_t number = s->source << 32 | i;
        assert_int_equal(test_net_publish(s->net, s->source, number, WR_PUBLISH_WAIT), WEIR_OK);
    }
}

/* The alarm: as long as something is missing, look. */
static void ring(void *arg)
{
    test_net *net = arg;
    while (count_of(net, SINK) < STRESS_PUBLISHERS * STRESS_MESSAGES) {
        wr_node_run_gathered(net->nodes[SINK]);
    }
}

static void check_order(const test_sink *sink)
{
    uint64_t next[STRESS_PUBLISHERS + 2] = {0};
    for (size_t i = 0; i < sink->count; i++) {
        assert_int_equal(sink->seen[i] & UINT32_MAX, next[sink->seen[i] >> 32]++);
    }
}

static void publishers_alarm_and_pool_lose_nothing(void **state)
{
    (void)state;
    uint64_t seed = wr_clock_ns();
    printf("seed %llu\n", (unsigned long long)seed);
    test_net *net = begin(2, 2 + STRESS_PUBLISHERS, true);
    stress publishers[STRESS_PUBLISHERS];
    wr_thread threads[STRESS_PUBLISHERS + 1] = {{.started = false}};
    for (size_t i = 0; i < STRESS_PUBLISHERS; i++) {
        publishers[i] = (stress){net, 2 + i, seed + i};
        (void)test_net_link(net, 2 + i, SINK, 64, WR_WHEN_FULL_BLOCK);
    }
    start(net);
    for (size_t i = 0; i < STRESS_PUBLISHERS; i++) {
        assert_int_equal(wr_thread_start(&threads[i], "publisher", publish_all, &publishers[i]),
                         WEIR_OK);
    }
    assert_int_equal(wr_thread_start(&threads[STRESS_PUBLISHERS], "alarm", ring, net), WEIR_OK);
    test_sink_wait_count(&net->sinks[SINK], STRESS_PUBLISHERS * STRESS_MESSAGES);
    for (size_t i = 0; i <= STRESS_PUBLISHERS; i++) {
        wr_thread_join(&threads[i]);
    }
    check_order(&net->sinks[SINK]);
    test_net_finish(net);
}

/* One thread waits for the publishers of a node while another is one. What they see is judged by
 * the test's own thread. */
struct publisher_wait {
    test_net *net;
    size_t number; /* of the message */
    wr_thread thread;
    weir_err started;
    weir_err published;
    atomic_bool over;
    bool over_too_soon;
};

static void wait_for_publishers(void *arg)
{
    publisher_wait *wait = arg;
    wr_node_wait_publishers(wait->net->nodes[SOURCE]);
    atomic_store(&wait->over, true);
}

/* In the middle of a publish, until the other thread is through, which is wrong, or was seen
 * waiting so often that it is not just about to go on. */
static bool begin_wait_and_look(void *self)
{
    (void)self;
    publisher_wait *wait = waited_for;
    wait->started = wr_thread_start(&wait->thread, "waiting", wait_for_publishers, wait);
    size_t seen = 0;
    while (wait->started == WEIR_OK && seen < LOOKS && !atomic_load(&wait->over)) {
        seen += atomic_load(&wait->net->nodes[SOURCE]->waiters) > 0;
        wr_thread_relax();
    }
    wait->over_too_soon = atomic_load(&wait->over);
    return false;
}

static void publish_waited_for(void *arg)
{
    publisher_wait *wait = arg;
    wait->published = test_net_publish(wait->net, SOURCE, wait->number, WR_PUBLISH_WAIT);
    wr_thread_join(&wait->thread);
}

static void check_wait(const publisher_wait *wait)
{
    assert_int_equal(wait->started, WEIR_OK);
    assert_int_equal(wait->published, WEIR_OK);
    assert_true(atomic_load(&wait->over));
    assert_false(wait->over_too_soon);
}

static void who_replaces_links_waits_for_the_owner_and_for_others(void **state)
{
    (void)state;
    test_net *net = begin(1, 2, false);
    (void)test_net_link(net, SOURCE, SINK, 16, WR_WHEN_FULL_BLOCK);
    start(net);
    gathering.gather = begin_wait_and_look;

    publisher_wait owner = {.net = net, .number = 0, .started = WEIR_ERR_CLOSED};
    waited_for = &owner;
    publish_waited_for(&owner); /* the first to publish is the owner */
    check_wait(&owner);

    publisher_wait other = {.net = net, .number = 1, .started = WEIR_ERR_CLOSED};
    waited_for = &other;
    wr_thread thread;
    assert_int_equal(wr_thread_start(&thread, "other", publish_waited_for, &other), WEIR_OK);
    wr_thread_join(&thread);
    check_wait(&other);

    test_net_expect(net, SINK, 2);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_node_is_run_at_once_by_its_publisher),
        cmocka_unit_test(gathered_messages_wait_until_they_are_a_batch),
        cmocka_unit_test(half_of_a_small_queue_is_a_batch),
        cmocka_unit_test(alarm_runs_what_was_gathered),
        cmocka_unit_test(second_link_joins_what_is_gathered),
        cmocka_unit_test(waking_a_gathering_node_runs_it),
        cmocka_unit_test(ready_node_is_run_by_who_says_so),
        cmocka_unit_test(closing_a_gathering_node_drops_and_counts),
        cmocka_unit_test(collected_node_runs_on_the_reading_thread),
        cmocka_unit_test(collected_nodes_can_be_left_to_the_pool),
        cmocka_unit_test(what_waits_behind_a_module_that_stays_is_left_to_the_pool),
        cmocka_unit_test(blocking_node_is_not_collected),
        cmocka_unit_test(shy_node_goes_to_the_pool),
        cmocka_unit_test(publishers_alarm_and_pool_lose_nothing),
        cmocka_unit_test(who_replaces_links_waits_for_the_owner_and_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
