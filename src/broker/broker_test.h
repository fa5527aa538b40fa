/* SPDX-License-Identifier: MIT
 *
 * What the broker's tests share: messages that carry a number, consumers that write down what they
 * get and can be held, and waiting for them. Include after cmocka.h.
 */
#ifndef WR_BROKER_TEST_H
#define WR_BROKER_TEST_H

#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "platform/clock.h"

/* Far enough away that only a hang gets there. */
#define TEST_PATIENCE_NS (60000 * WR_NS_PER_MS)
#define TEST_SEEN_MAX 4096u

static inline uint64_t test_deadline(void)
{
    return wr_clock_ns() + TEST_PATIENCE_NS;
}

static inline weir_message *test_message(uint64_t number)
{
    weir_message *msg = NULL;
    assert_int_equal(weir_message_new(NULL, 0, &number, sizeof(number), &msg), WEIR_OK);
    return msg;
}

static inline uint64_t test_number(const weir_message *msg)
{
    size_t size;
    uint64_t number;
    const void *content = weir_message_content(msg, &size);
    assert_int_equal(size, sizeof(number));
    memcpy(&number, content, sizeof(number));
    return number;
}

/* A consumer's memory. `lock` guards all but `node`, which is set before the start. */
typedef struct test_sink {
    wr_node *node;
    wr_mutex lock;
    wr_cond changed;
    uint64_t seen[TEST_SEEN_MAX];
    size_t count;
    bool held;       /* consume waits until this is false */
    bool inside;     /* a thread is inside consume */
    bool forward;    /* publishes everything again, from inside consume; set before the start */
    size_t take_max; /* takes so many of a batch, then pauses; 0: takes all */
    size_t drained;
    size_t uncongested;
    size_t released;
} test_sink;

static inline void test_sink_init(test_sink *sink)
{
    *sink = (test_sink){.node = NULL};
    wr_mutex_init(&sink->lock);
    wr_cond_init(&sink->changed);
}

static inline void test_sink_deinit(test_sink *sink)
{
    wr_cond_deinit(&sink->changed);
    wr_mutex_deinit(&sink->lock);
}

static inline size_t test_sink_consume(void *self, weir_message **msgs, size_t count)
{
    test_sink *sink = self;
    wr_mutex_lock(&sink->lock);
    assert_false(sink->inside);
    sink->inside = true;
    wr_cond_broadcast(&sink->changed);
    while (sink->held) {
        wr_cond_wait(&sink->changed, &sink->lock);
    }
    if (sink->take_max > 0) {
        count = sink->take_max < count ? sink->take_max : count;
        wr_node_pause(sink->node);
    }
    for (size_t i = 0; i < count && sink->count < TEST_SEEN_MAX; i++) {
        sink->seen[sink->count++] = test_number(msgs[i]);
    }
    wr_mutex_unlock(&sink->lock);
    for (size_t i = 0; sink->forward && i < count; i++) {
        assert_int_equal(wr_node_publish(sink->node, msgs[i], WR_PUBLISH_WAIT), WEIR_OK);
    }
    wr_mutex_lock(&sink->lock);
    sink->inside = false;
    wr_cond_broadcast(&sink->changed);
    wr_mutex_unlock(&sink->lock);
    return count;
}

static inline void test_sink_count(test_sink *sink, size_t *counter)
{
    wr_mutex_lock(&sink->lock);
    *counter += 1;
    wr_cond_broadcast(&sink->changed);
    wr_mutex_unlock(&sink->lock);
}

static inline void test_sink_drained(void *self, size_t count)
{
    (void)count;
    test_sink *sink = self;
    test_sink_count(sink, &sink->drained);
}

static inline void test_sink_uncongested(void *self)
{
    test_sink *sink = self;
    test_sink_count(sink, &sink->uncongested);
}

static inline void test_sink_release(void *self)
{
    test_sink *sink = self;
    test_sink_count(sink, &sink->released);
}

/* The node is freed by whoever has it last: perhaps a thread that was left alone. */
static inline void test_sink_wait_released(test_sink *sink)
{
    wr_mutex_lock(&sink->lock);
    while (sink->released == 0) {
        wr_cond_wait(&sink->changed, &sink->lock);
    }
    assert_int_equal(sink->released, 1);
    wr_mutex_unlock(&sink->lock);
}

static const wr_consumer test_sink_consumer = {
    .consume = test_sink_consume,
    .drained = test_sink_drained,
    .uncongested = test_sink_uncongested,
    .release = test_sink_release,
    .may_pause = true,
};

static inline void test_sink_hold(test_sink *sink, bool held)
{
    wr_mutex_lock(&sink->lock);
    sink->held = held;
    wr_cond_broadcast(&sink->changed);
    wr_mutex_unlock(&sink->lock);
}

/* Wait until the consumer has seen `count` messages in all. */
static inline void test_sink_wait_count(test_sink *sink, size_t count)
{
    uint64_t deadline = test_deadline();
    wr_mutex_lock(&sink->lock);
    while (sink->count < count && wr_cond_wait_until(&sink->changed, &sink->lock, deadline)) {
    }
    assert_int_equal(sink->count, count);
    wr_mutex_unlock(&sink->lock);
}

/* Wait until a thread is inside consume. */
static inline void test_sink_wait_inside(test_sink *sink)
{
    uint64_t deadline = test_deadline();
    wr_mutex_lock(&sink->lock);
    while (!sink->inside && wr_cond_wait_until(&sink->changed, &sink->lock, deadline)) {
    }
    assert_true(sink->inside);
    wr_mutex_unlock(&sink->lock);
}

/* Wait until a counter of the sink is at least `least`. */
static inline void test_sink_wait(test_sink *sink, const size_t *counter, size_t least)
{
    uint64_t deadline = test_deadline();
    wr_mutex_lock(&sink->lock);
    while (*counter < least && wr_cond_wait_until(&sink->changed, &sink->lock, deadline)) {
    }
    assert_true(*counter >= least);
    wr_mutex_unlock(&sink->lock);
}

static inline size_t test_sink_get(test_sink *sink, const size_t *counter)
{
    wr_mutex_lock(&sink->lock);
    size_t value = *counter;
    wr_mutex_unlock(&sink->lock);
    return value;
}

/* ---- a broker with some nodes, each with its sink ---- */

#define TEST_NODES_MAX 8u

typedef struct test_net {
    wr_broker *broker;
    size_t count;
    wr_node *nodes[TEST_NODES_MAX];
    test_sink sinks[TEST_NODES_MAX];
} test_net;

/* A node more; none is started. */
static inline void test_net_add(test_net *net, bool blocking)
{
    size_t i = net->count++;
    assert_true(i < TEST_NODES_MAX);
    test_sink_init(&net->sinks[i]);
    assert_int_equal(wr_node_create("node", wr_broker_pool(net->broker), blocking, &net->nodes[i]),
                     WEIR_OK);
    net->sinks[i].node = net->nodes[i];
    assert_int_equal(wr_node_set_consumer(net->nodes[i], &test_sink_consumer, &net->sinks[i]),
                     WEIR_OK);
}

static inline test_net *test_net_begin(unsigned threads, size_t count)
{
    test_net *net = calloc(1, sizeof(*net));
    assert_non_null(net);
    assert_int_equal(wr_broker_create(threads, &net->broker), WEIR_OK);
    while (net->count < count) {
        test_net_add(net, false);
    }
    return net;
}

static inline void test_net_start(test_net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        wr_node_start(net->nodes[i]);
    }
}

static inline wr_link *test_net_link(test_net *net, size_t source, size_t sink, uint32_t limit,
                                     wr_when_full when_full)
{
    wr_queue_config config = {limit, when_full};
    assert_int_equal(wr_broker_link(net->broker, net->nodes[source], net->nodes[sink], config),
                     WEIR_OK);
    const wr_fanout *out = atomic_load(&net->nodes[source]->out);
    return out->links[out->count - 1];
}

static inline weir_err test_net_publish(test_net *net, size_t source, uint64_t number,
                                        wr_publish_mode mode)
{
    weir_message *msg = test_message(number);
    weir_err err = wr_node_publish(net->nodes[source], msg, mode);
    weir_message_unref(msg);
    return err;
}

/* Publish 0, 1, ... over the limit. */
static inline void test_net_flood(test_net *net, size_t source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(test_net_publish(net, source, i, WR_PUBLISH_OVER), WEIR_OK);
    }
}

static inline void test_net_check_link(void *user, const wr_link *link)
{
    (void)user;
    assert_int_equal(wr_mailbox_count(&link->box).queued, 0);
    assert_int_equal(wr_mailbox_queued(&link->box), 0);
}

/* Close everything; nothing may be left in a mailbox, and every node must be freed by that. */
static inline void test_net_finish(test_net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        uint64_t dropped;
        test_sink_hold(&net->sinks[i], false);
        assert_int_equal(wr_broker_close(net->broker, net->nodes[i], test_deadline(), &dropped),
                         WEIR_OK);
    }
    wr_broker_each_link(net->broker, test_net_check_link, NULL);
    for (size_t i = 0; i < net->count; i++) {
        wr_node_unref(net->nodes[i]);
    }
    wr_broker_destroy(net->broker, false);
    for (size_t i = 0; i < net->count; i++) {
        test_sink_wait_released(&net->sinks[i]);
        test_sink_deinit(&net->sinks[i]);
    }
    free(net);
}

/* Every message of 0 to count - 1 once and in order. */
static inline void test_net_expect(test_net *net, size_t node, size_t count)
{
    test_sink *sink = &net->sinks[node];
    test_sink_wait_count(sink, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sink->seen[i], i);
    }
}

#endif
