/* SPDX-License-Identifier: MIT
 *
 * The broker under random load: publishers on their own threads, nodes that forward in chains, fans
 * and cycles, links that come and go, nodes that close and new ones in their place, all rules
 * mixed. The consumers keep books of their own, which must agree with the links' counters exactly.
 *
 * WEIR_SEED repeats a load (the interleaving remains the machine's), WEIR_STRESS_SECONDS goes on
 * with new loads for so long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "broker/broker_test.h"

enum {
    PUBLISHERS = 3, /* threads; each is the only one of its node */
    NODES = 9,      /* the first PUBLISHERS are sources, the others receive and may forward */
    LINKS_MAX = 4096,
    LOADS = 12, /* by default */
    PER_PUBLISHER = 4000,
    CHANGES = 150, /* of links and nodes while a load runs */
    HOPS_MAX = 4   /* a message is forwarded so often: bounds what a cycle makes of it */
};

/* What a message carries. Each link sees the messages of its one source in rising `serial`. */
typedef struct payload {
    uint32_t source; /* id of the node that published it: ids are never used again */
    uint32_t hops;
    uint64_t serial; /* of that node */
} payload;

/* A node and its books. They outlive the broker's node. */
typedef struct actor {
    wr_node *node;
    uint32_t id;
    uint32_t forward_percent;
    uint64_t random; /* the running thread's */
    uint64_t serial; /* the one publisher's: its thread or the running thread */
    _Atomic uint64_t published;
    uint64_t received;
    uint64_t refused;
    atomic_bool released;
    uint64_t last_serial[LINKS_MAX]; /* by the source's id, as the link in use knows it */
} actor;

/* A link that exists or existed. The reference keeps its counters for the end. */
typedef struct line {
    wr_link *link;
    actor *source;
    actor *sink;
    bool removed;
    bool sink_closed;
} line;

typedef struct load {
    wr_broker *broker;
    uint64_t random; /* the main thread's */
    actor *slots[NODES];
    actor *actors[LINKS_MAX];
    size_t actor_count;
    line lines[LINKS_MAX];
    size_t line_count;
    atomic_bool failed; /* found by a thread that is not cmocka's */
    wr_thread watcher;  /* of the totals, until `finished` */
    atomic_bool finished;
} load;

static load *current; /* for consumers' complaints */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t below(uint64_t *state, uint64_t end)
{
    return next_random(state) % end;
}

static void complain(const char *what, const actor *who, const payload *got)
{
    atomic_store(&current->failed, true);
    (void)fprintf(stderr, "node %u: %s (from node %u, serial %llu)\n", who->id, what, got->source,
                  (unsigned long long)got->serial);
}

/* Publish a new message of this actor; by the one thread that publishes for it at this time. */
static void publish_next(actor *a, uint32_t hops, wr_publish_mode mode)
{
    payload body = {.source = a->id, .hops = hops, .serial = ++a->serial};
    weir_message *msg = NULL;
    if (weir_message_new(NULL, 0, &body, sizeof(body), &msg) != WEIR_OK) {
        complain("no memory", a, &body);
        return;
    }
    weir_err err = wr_node_publish(a->node, msg, mode);
    weir_message_unref(msg);
    if (err == WEIR_OK) {
        atomic_fetch_add(&a->published, 1);
    } else if (mode != WR_PUBLISH_TRY || err != WEIR_ERR_FULL) {
        complain(weir_err_text(err), a, &body);
    }
}

static void receive(actor *a, const weir_message *msg)
{
    payload body;
    size_t size;
    const void *content = weir_message_content(msg, &size);
    memcpy(&body, content, sizeof(body));
    if (body.serial <= a->last_serial[body.source]) {
        complain("a message was overtaken or came twice", a, &body);
    }
    a->last_serial[body.source] = body.serial;
    a->received++;
    if (body.hops < HOPS_MAX && below(&a->random, 100) < a->forward_percent) {
        publish_next(a, body.hops + 1, WR_PUBLISH_WAIT);
    }
}

static size_t consume(void *self, weir_message **msgs, size_t count)
{
    actor *a = self;
    size_t taken = count;
    if (below(&a->random, 8) == 0) {
        wr_node_pause(a->node);
        taken = below(&a->random, count + 1);
        wr_node_ready(a->node); /* as if another thread had been very fast */
    }
    for (size_t i = 0; i < taken; i++) {
        if (below(&a->random, 50) == 0) {
            wr_node_refuse(a->node, 1);
            a->refused++;
        } else {
            receive(a, msgs[i]);
        }
    }
    return taken;
}

static void release(void *self)
{
    atomic_store(&((actor *)self)->released, true);
}

static const wr_consumer consumer = {.consume = consume, .release = release, .may_pause = true};

static void add_actor(load *l, size_t slot)
{
    actor *a = calloc(1, sizeof(*a));
    assert_non_null(a);
    a->id = (uint32_t)l->actor_count;
    a->random = next_random(&l->random) | 1;
    a->forward_percent = slot % 2 == 0 ? 40 : 0;
    bool blocking = below(&l->random, 4) == 0;
    assert_int_equal(wr_node_create("stress", wr_broker_pool(l->broker), blocking, &a->node),
                     WEIR_OK);
    assert_int_equal(wr_node_set_consumer(a->node, &consumer, a), WEIR_OK);
    l->actors[l->actor_count++] = a;
    l->slots[slot] = a;
}

static line *find_line(load *l, const actor *source, const actor *sink)
{
    for (size_t i = 0; i < l->line_count; i++) {
        line *it = &l->lines[i];
        if (it->source == source && it->sink == sink && !it->removed) {
            return it;
        }
    }
    return NULL;
}

/* Blocking links go from lower to higher slots only: a cycle of them would be a deadlock. */
static wr_queue_config random_config(load *l, size_t source, size_t sink)
{
    static const uint32_t limits[] = {1, 2, 3, 16, 64, 1000};
    wr_queue_config config = {limits[below(&l->random, 6)],
                              (wr_when_full)(WR_WHEN_FULL_BLOCK + (int)below(&l->random, 3))};
    if (config.when_full == WR_WHEN_FULL_BLOCK && source >= sink) {
        config.when_full = WR_WHEN_FULL_DROP_OLDEST;
    }
    return config;
}

static void add_link(load *l, size_t source, size_t sink)
{
    wr_node *from = l->slots[source]->node;
    wr_node *to = l->slots[sink]->node;
    weir_err err = wr_broker_link(l->broker, from, to, random_config(l, source, sink));
    const wr_fanout *out = atomic_load(&from->out);
    if (find_line(l, l->slots[source], l->slots[sink]) != NULL) {
        assert_int_equal(err, WEIR_ERR_EXISTS);
        return;
    }
    assert_int_equal(err, WEIR_OK);
    assert_true(l->line_count < LINKS_MAX);
    l->lines[l->line_count++] = (line){.link = wr_link_ref(out->links[out->count - 1]),
                                       .source = l->slots[source],
                                       .sink = l->slots[sink]};
}

static void add_random_link(load *l)
{
    size_t source = below(&l->random, NODES);
    size_t sink = PUBLISHERS + below(&l->random, NODES - PUBLISHERS);
    add_link(l, source, sink);
}

static void remove_random_link(load *l)
{
    line *it = &l->lines[below(&l->random, l->line_count)];
    if (it->removed) {
        return;
    }
    assert_int_equal(wr_broker_unlink(l->broker, it->source->node, it->sink->node), WEIR_OK);
    it->removed = true;
}

/* Mark what the broker did to the lines of a node that was closed and removed. */
static void close_lines(load *l, const actor *gone)
{
    for (size_t i = 0; i < l->line_count; i++) {
        l->lines[i].sink_closed |= l->lines[i].sink == gone;
        l->lines[i].removed |= l->lines[i].sink == gone || l->lines[i].source == gone;
    }
}

static void replace_random_node(load *l)
{
    size_t slot = PUBLISHERS + below(&l->random, NODES - PUBLISHERS);
    actor *gone = l->slots[slot];
    uint64_t dropped;
    assert_int_equal(wr_broker_close(l->broker, gone->node, test_deadline(), &dropped), WEIR_OK);
    wr_broker_remove(l->broker, gone->node);
    close_lines(l, gone);
    add_actor(l, slot);
    wr_node_start(l->slots[slot]->node);
}

/* A removed pair that is linked again starts with serials that are higher still, so `last_serial`
 * holds across links. */
static void change_something(load *l)
{
    uint64_t dice = below(&l->random, 10);
    if (dice < 5) {
        add_random_link(l);
    } else if (dice < 9) {
        remove_random_link(l);
    } else {
        replace_random_node(l);
    }
}

static void run_publisher(void *arg)
{
    actor *a = arg;
    for (size_t i = 0; i < PER_PUBLISHER; i++) {
        uint64_t dice = below(&a->random, 10);
        publish_next(a, 0,
                     dice == 0   ? WR_PUBLISH_TRY
                     : dice == 1 ? WR_PUBLISH_OVER
                                 : WR_PUBLISH_WAIT);
    }
}

/* Totals of any moment: nothing is missing, and nothing ever becomes less. */
static void watch_totals(void *arg)
{
    load *l = arg;
    wr_mailbox_counts before = {0};
    while (!atomic_load(&l->finished)) {
        wr_mailbox_counts now = wr_broker_add_up(l->broker).counts;
        bool exact =
            now.accepted == now.delivered + now.dropped_full + now.dropped_closed + now.queued;
        if (!exact || now.accepted < before.accepted || now.delivered < before.delivered ||
            now.dropped_full < before.dropped_full || now.queued > now.accepted ||
            now.dropped_closed < before.dropped_closed) {
            atomic_store(&l->failed, true);
            (void)fprintf(stderr, "the totals do not hold\n");
        }
        before = now;
    }
}

static load *begin_load(uint64_t seed)
{
    load *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    l->random = seed | 1;
    current = l;
    assert_int_equal(wr_broker_create(1 + (unsigned)(seed % 3), &l->broker), WEIR_OK);
    for (size_t slot = 0; slot < NODES; slot++) {
        add_actor(l, slot);
    }
    add_link(l, 0, PUBLISHERS);              /* two chains, */
    add_link(l, PUBLISHERS, PUBLISHERS + 1); /* a fan in, */
    add_link(l, 1, PUBLISHERS + 1);
    add_link(l, PUBLISHERS + 1, PUBLISHERS); /* and a cycle */
    for (size_t i = 0; i < NODES; i++) {
        add_random_link(l);
        wr_node_start(l->slots[i]->node);
    }
    return l;
}

static void run_load(load *l)
{
    wr_thread threads[PUBLISHERS] = {0};
    assert_int_equal(wr_thread_start(&l->watcher, "watcher", watch_totals, l), WEIR_OK);
    for (size_t i = 0; i < PUBLISHERS; i++) {
        assert_int_equal(wr_thread_start(&threads[i], "publisher", run_publisher, l->slots[i]),
                         WEIR_OK);
    }
    for (size_t i = 0; i < CHANGES; i++) {
        change_something(l);
    }
    for (size_t i = 0; i < PUBLISHERS; i++) {
        wr_thread_join(&threads[i]);
    }
}

static bool has_queued(const load *l)
{
    for (size_t i = 0; i < l->line_count; i++) {
        if (wr_mailbox_count(&l->lines[i].link->box).queued > 0) {
            return true;
        }
    }
    return false;
}

/* Nothing is published any more but by forwarding, and nobody is woken from outside: what is still
 * queued must drain of itself. A lost wake-up ends at the deadline. Forwarding can refill a node
 * that was drained, through cycles, so often as messages have hops. */
static void drain(load *l)
{
    for (size_t round = 0; round <= HOPS_MAX * NODES && has_queued(l); round++) {
        for (size_t i = 0; i < l->actor_count; i++) {
            bool open = false;
            for (size_t slot = 0; slot < NODES; slot++) {
                open |= l->slots[slot] == l->actors[i];
            }
            if (open) {
                assert_true(wr_broker_drain(l->broker, l->actors[i]->node, test_deadline()));
            }
        }
    }
    /* The sweep of a link that was removed last is not part of a drain. */
    uint64_t deadline = test_deadline();
    while (has_queued(l)) {
        assert_true(wr_clock_ns() < deadline);
    }
    for (size_t slot = 0; slot < NODES; slot++) {
        assert_true(wr_node_wait_drained(l->slots[slot]->node, NULL, 0, deadline));
        assert_int_equal(atomic_load(&l->slots[slot]->node->congested), 0);
    }
}

static void check_line(const line *it, uint64_t *delivered, uint64_t *closed)
{
    wr_mailbox_counts counts = wr_mailbox_count(&it->link->box);
    assert_int_equal(counts.queued, 0);
    assert_int_equal(wr_mailbox_queued(&it->link->box), 0);
    assert_int_equal(counts.accepted,
                     counts.delivered + counts.dropped_full + counts.dropped_closed);
    if (it->link->box.config.when_full == WR_WHEN_FULL_BLOCK) {
        assert_int_equal(counts.dropped_full, 0);
    }
    assert_true(counts.accepted <= atomic_load(&it->source->published));
    *delivered += counts.delivered;
    *closed += it->removed ? 0 : counts.dropped_closed;
}

/* Each consumer's own books against the counters of all the links that ever led to it. */
static void check_books(const load *l)
{
    assert_false(atomic_load(&l->failed));
    for (size_t i = 0; i < l->actor_count; i++) {
        const actor *a = l->actors[i];
        uint64_t delivered = 0;
        uint64_t closed = 0;
        for (size_t k = 0; k < l->line_count; k++) {
            if (l->lines[k].sink == a) {
                check_line(&l->lines[k], &delivered, &closed);
            }
        }
        assert_int_equal(delivered, a->received);
        /* On links that were never closed nothing is dropped but what the consumer refused. */
        assert_true(closed <= a->refused);
    }
}

static void check_totals(const load *l)
{
    wr_mailbox_counts all = {0};
    for (size_t i = 0; i < l->line_count; i++) {
        wr_mailbox_add_counts(&l->lines[i].link->box, &all);
    }
    wr_mailbox_counts totals = wr_broker_add_up(l->broker).counts;
    assert_memory_equal(&totals, &all, sizeof(all));
}

/* Give up the lines one by one: as links are freed, their counters stay. */
static void release_lines(load *l)
{
    wr_mailbox_counts before = wr_broker_add_up(l->broker).counts;
    for (size_t i = 0; i < l->line_count; i++) {
        wr_link_unref(l->lines[i].link);
    }
    wr_mailbox_counts after = wr_broker_add_up(l->broker).counts;
    assert_memory_equal(&after, &before, sizeof(after));
    atomic_store(&l->finished, true);
    wr_thread_join(&l->watcher);
    assert_false(atomic_load(&l->failed));
}

static void finish_load(load *l)
{
    for (size_t slot = 0; slot < NODES; slot++) {
        uint64_t dropped;
        assert_int_equal(
            wr_broker_close(l->broker, l->slots[slot]->node, test_deadline(), &dropped), WEIR_OK);
        assert_int_equal(dropped, 0);
    }
    check_totals(l);
    release_lines(l);
    for (size_t i = 0; i < l->actor_count; i++) {
        wr_node_unref(l->actors[i]->node);
    }
    wr_broker_destroy(l->broker, false);
    for (size_t i = 0; i < l->actor_count; i++) {
        assert_true(atomic_load(&l->actors[i]->released)); /* no reference was lost */
        free(l->actors[i]);
    }
    free(l);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void books_agree_after_random_loads(void **state)
{
    (void)state;
    uint64_t seed = number_from_environment("WEIR_SEED", wr_clock_ns() % 1000000000);
    uint64_t end =
        wr_clock_ns() + number_from_environment("WEIR_STRESS_SECONDS", 0) * 1000 * WR_NS_PER_MS;
    for (uint64_t i = 0; i < LOADS || wr_clock_ns() < end; i++) {
        print_message("load %llu: WEIR_SEED=%llu\n", (unsigned long long)i,
                      (unsigned long long)(seed + i));
        load *l = begin_load(seed + i);
        run_load(l);
        drain(l);
        check_books(l);
        finish_load(l);
    }
}

/* Without changes of links every count is known beforehand. */
static void block_links_lose_nothing(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 64, 1024};
    for (size_t round = 0; round < 4; round++) {
        load *l = calloc(1, sizeof(*l));
        assert_non_null(l);
        l->random = round + 1;
        current = l;
        assert_int_equal(wr_broker_create(2, &l->broker), WEIR_OK);
        for (size_t slot = 0; slot < NODES; slot++) {
            add_actor(l, slot);
            l->slots[slot]->forward_percent = 100;
        }
        /* All sources -> one node -> two nodes -> one node: fan in, chain, fan out. */
        static const size_t pairs[][2] = {{0, 3}, {1, 3}, {2, 3}, {3, 4}, {3, 5}, {4, 6}, {5, 6}};
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
            wr_queue_config config = {limits[round], WR_WHEN_FULL_BLOCK};
            wr_node *from = l->slots[pairs[i][0]]->node;
            assert_int_equal(wr_broker_link(l->broker, from, l->slots[pairs[i][1]]->node, config),
                             WEIR_OK);
            const wr_fanout *out = atomic_load(&from->out);
            l->lines[l->line_count++] = (line){.link = wr_link_ref(out->links[out->count - 1]),
                                               .source = l->slots[pairs[i][0]],
                                               .sink = l->slots[pairs[i][1]]};
        }
        for (size_t slot = 0; slot < NODES; slot++) {
            wr_node_start(l->slots[slot]->node);
        }
        wr_thread threads[PUBLISHERS] = {0};
        for (size_t i = 0; i < PUBLISHERS; i++) {
            assert_int_equal(wr_thread_start(&threads[i], "publisher", run_publisher, l->slots[i]),
                             WEIR_OK);
        }
        for (size_t i = 0; i < PUBLISHERS; i++) {
            wr_thread_join(&threads[i]);
        }
        drain(l);
        check_books(l);
        for (size_t i = 0; i < l->line_count; i++) {
            assert_int_equal(wr_mailbox_count(&l->lines[i].link->box).accepted,
                             atomic_load(&l->lines[i].source->published));
        }
        finish_load(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_links_lose_nothing),
        cmocka_unit_test(books_agree_after_random_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
