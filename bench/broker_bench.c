/* SPDX-License-Identifier: MIT
 *
 * How many messages per second the parts of the broker pass on. Each message is made (64 bytes of
 * content) by its publisher and freed by its consumer, as in real use. A bare Vyukov queue between
 * two threads, with the same messages, shows what allocation and the machine allow at most.
 *
 * usage: broker_bench [MESSAGES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "platform/clock.h"

enum { SIZE = 64, BATCH = 64, PRODUCERS_MAX = 2, NODES_MAX = 9, REPEATS = 5 };

static uint64_t messages = 2000000;

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "broker_bench: %s\n", what);
        exit(1);
    }
}

static weir_message *new_message(void)
{
    static const unsigned char content[SIZE] = {1};
    weir_message *msg = NULL;
    must(weir_message_new(NULL, 0, content, sizeof(content), &msg) == WEIR_OK, "no memory");
    return msg;
}

/* ---- a bare queue: a list with one entry for each message ---- */

enum { ENTRIES = 4096, AHEAD_MAX = 1024 };

typedef struct entry {
    _Atomic(struct entry *) next;
    weir_message *msg;
} entry;

typedef struct bare_queue {
    alignas(WR_CACHE_LINE) _Atomic(entry *) newest;
    alignas(WR_CACHE_LINE) entry *oldest; /* already taken; its successor is the next one */
    alignas(WR_CACHE_LINE) _Atomic uint64_t taken;
    entry entries[ENTRIES]; /* used in turn: no allocation but the messages' */
} bare_queue;

static void bare_put(bare_queue *queue, entry *item, weir_message *msg)
{
    atomic_store_explicit(&item->next, NULL, memory_order_relaxed);
    item->msg = msg;
    entry *before = atomic_exchange(&queue->newest, item);
    atomic_store_explicit(&before->next, item, memory_order_release);
}

static weir_message *bare_take(bare_queue *queue)
{
    entry *next = atomic_load_explicit(&queue->oldest->next, memory_order_acquire);
    if (next == NULL) {
        return NULL;
    }
    queue->oldest = next;
    return next->msg;
}

/* ---- producers on threads, the consumer on this one ---- */

typedef struct producer {
    wr_thread thread;
    uint64_t count;
    bare_queue *queue;
    wr_mailbox *box;
} producer;

/* The one producer. It runs at most AHEAD_MAX ahead, as congestion would have it. */
static void produce_bare(void *arg)
{
    producer *p = arg;
    uint64_t taken = 0;
    for (uint64_t sent = 0; sent < p->count; sent++) {
        while (sent - taken >= AHEAD_MAX) {
            taken = atomic_load_explicit(&p->queue->taken, memory_order_acquire);
        }
        bare_put(p->queue, &p->queue->entries[(sent + 1) % ENTRIES], new_message());
    }
}

static double per_second(uint64_t count, uint64_t begin_ns)
{
    return (double)count * 1e9 / (double)(wr_clock_ns() - begin_ns);
}

static double run_bare(size_t unused)
{
    (void)unused;
    static bare_queue queue;
    queue.oldest = &queue.entries[0];
    atomic_init(&queue.entries[0].next, NULL);
    atomic_init(&queue.newest, queue.oldest);
    atomic_init(&queue.taken, 0);
    producer p = {.count = messages, .queue = &queue};
    uint64_t begin = wr_clock_ns();
    must(wr_thread_start(&p.thread, "producer", produce_bare, &p) == WEIR_OK, "no thread");
    for (uint64_t taken = 0; taken < messages;) {
        weir_message *msg = bare_take(&queue);
        if (msg != NULL) {
            weir_message_unref(msg);
            taken++;
            atomic_store_explicit(&queue.taken, taken, memory_order_release);
        }
    }
    double rate = per_second(messages, begin);
    wr_thread_join(&p.thread);
    return rate;
}

static void produce(void *arg)
{
    producer *p = arg;
    for (uint64_t sent = 0; sent < p->count; sent++) {
        bool at_limit;
        must(wr_mailbox_put(p->box, new_message(), &at_limit) == WEIR_OK, "put failed");
        while (at_limit && wr_mailbox_queued(p->box) > p->box->config.limit / 2) {
        }
    }
}

static void consume_all(wr_mailbox *box)
{
    weir_message *batch[BATCH];
    for (uint64_t taken = 0; taken < messages;) {
        size_t count = wr_mailbox_take(box, batch, BATCH);
        for (size_t i = 0; i < count; i++) {
            weir_message_unref(batch[i]);
        }
        wr_mailbox_count_delivered(box, count);
        taken += count;
    }
}

static double run_mailbox(size_t producers)
{
    wr_mailbox box;
    wr_mailbox_init(&box, (wr_queue_config)WR_QUEUE_CONFIG_DEFAULT);
    producer all[PRODUCERS_MAX] = {0};
    uint64_t begin = wr_clock_ns();
    for (size_t i = 0; i < producers; i++) {
        all[i].box = &box;
        all[i].count = messages / producers;
        must(wr_thread_start(&all[i].thread, "producer", produce, &all[i]) == WEIR_OK, "no thread");
    }
    consume_all(&box);
    double rate = per_second(messages, begin);
    for (size_t i = 0; i < producers; i++) {
        wr_thread_join(&all[i].thread);
    }
    wr_mailbox_deinit(&box);
    return rate;
}

/* ---- nodes ---- */

static size_t consume_nothing(void *self, weir_message **msgs, size_t count)
{
    (void)self;
    (void)msgs;
    return count;
}

static size_t consume_forward(void *self, weir_message **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        must(wr_node_publish(self, msgs[i], WR_PUBLISH_WAIT) == WEIR_OK, "publish failed");
    }
    return count;
}

static const wr_consumer ends = {.consume = consume_nothing};
static const wr_consumer forwards = {.consume = consume_forward};

typedef struct net {
    wr_broker *broker;
    wr_node *nodes[NODES_MAX];
    size_t count;
} net;

static void net_begin(net *n, size_t count, const wr_consumer *consumer)
{
    must(wr_broker_create(0, &n->broker) == WEIR_OK, "no broker");
    n->count = count;
    for (size_t i = 0; i < count; i++) {
        must(wr_node_create("bench", wr_broker_pool(n->broker), false, &n->nodes[i]) == WEIR_OK &&
                 wr_node_set_consumer(n->nodes[i], consumer, n->nodes[i]) == WEIR_OK,
             "no node");
        wr_node_start(n->nodes[i]);
    }
}

static void net_link(net *n, size_t source, size_t sink)
{
    wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    must(wr_broker_link(n->broker, n->nodes[source], n->nodes[sink], config) == WEIR_OK, "no link");
}

/* Publish from this thread and wait until the last node is through with it. */
static double net_run(net *n)
{
    uint64_t begin = wr_clock_ns();
    for (uint64_t i = 0; i < messages; i++) {
        weir_message *msg = new_message();
        must(wr_node_publish(n->nodes[0], msg, WR_PUBLISH_WAIT) == WEIR_OK, "publish failed");
        weir_message_unref(msg);
    }
    for (size_t i = 1; i < n->count; i++) {
        must(wr_broker_drain(n->broker, n->nodes[i], UINT64_MAX), "not drained");
    }
    return per_second(messages, begin);
}

static void net_finish(net *n)
{
    for (size_t i = 0; i < n->count; i++) {
        uint64_t dropped;
        must(wr_broker_close(n->broker, n->nodes[i], UINT64_MAX, &dropped) == WEIR_OK &&
                 dropped == 0,
             "not closed");
        wr_node_unref(n->nodes[i]);
    }
    wr_broker_destroy(n->broker, false);
}

static double run_fan(size_t sinks)
{
    net n;
    net_begin(&n, sinks + 1, &ends);
    for (size_t i = 1; i <= sinks; i++) {
        net_link(&n, 0, i);
    }
    double rate = net_run(&n);
    net_finish(&n);
    return rate;
}

static double run_chain(size_t hops)
{
    net n;
    net_begin(&n, hops + 1, &forwards);
    for (size_t i = 0; i < hops; i++) {
        net_link(&n, i, i + 1);
    }
    double rate = net_run(&n);
    net_finish(&n);
    return rate;
}

/* ---- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(const char *what, double (*run)(size_t arg), size_t arg)
{
    double rates[REPEATS];
    for (size_t i = 0; i < REPEATS; i++) {
        rates[i] = run(arg);
    }
    qsort(rates, REPEATS, sizeof(rates[0]), compare);
    printf("%-28s %8.2f M msg/s  (%.2f to %.2f)\n", what, rates[REPEATS / 2] / 1e6, rates[0] / 1e6,
           rates[REPEATS - 1] / 1e6);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        messages = strtoull(argv[1], NULL, 10) / 2 * 2; /* two producers share them */
    }
    must(messages > 0, "usage: broker_bench [MESSAGES]");
    measure("bare queue, 1 producer", run_bare, 1);
    measure("mailbox, 1 producer", run_mailbox, 1);
    measure("mailbox, 2 producers", run_mailbox, 2);
    measure("node 1 -> 1", run_fan, 1);
    measure("node 1 -> 8 (each sink)", run_fan, 8);
    measure("chain of 8", run_chain, 8);
    return 0;
}
