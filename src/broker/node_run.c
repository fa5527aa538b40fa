/* SPDX-License-Identifier: MIT
 *
 * Scheduling and running a node (contract in node.h).
 */
#include <assert.h>

#include "base/prefetch.h"
#include "broker/node.h"
#include "broker/node_state.h"
#include "platform/clock.h"

/* In a run that goes on, a batch smaller than this is followed by a pause, so many times at the
 * most; measured where cores exchange a cache line in about 100 ns, and a round takes 20 ns. */
#define LINGER_BELOW 32u
#define LINGERS_MAX 8u
#define LINGER_ROUNDS 128u

/* How long a run goes on. */
typedef struct run_rule {
    size_t max;       /* messages */
    unsigned lingers; /* how often it waits for more */
    unsigned again;   /* how often it goes on where there is more, before the executor does */
} run_rule;

static const run_rule run_by_executor = {WR_NODE_RUN_MAX, LINGERS_MAX, 0};
/* Who publishes is here and not elsewhere; and a whole queue is less work than waking the pool. */
static const run_rule run_by_publisher = {1024, 0, 4};

/* A node that keeps the reading thread so long goes to the pool, for so many runs. */
#define SLOW_NS (2 * WR_NS_PER_MS)
#define SHY_MIN 64u
#define SHY_MAX (1u << 20)
#define COLLECTED_MAX 16u

/* What this thread will run itself; a reference each. Whoever exchanges a place for NULL has the
 * node: this thread, or, if a module keeps it, the one that takes its duties over. */
struct wr_collected {
    bool on;
    size_t used; /* places; the thread itself alone: who takes its duties over tries every place */
    _Atomic(wr_node *) nodes[COLLECTED_MAX];
};

static _Thread_local wr_collected own_collected;

void wr_node_wake(wr_node *node)
{
    int state = atomic_load(&node->state);
    for (;;) {
        if (state == WR_NODE_IDLE || state == WR_NODE_GATHERING) {
            if (atomic_compare_exchange_weak(&node->state, &state, WR_NODE_QUEUED)) {
                wr_executor_enqueue(node->executor, wr_node_ref(node));
                return;
            }
        } else if (state == WR_NODE_RUNNING) {
            if (atomic_compare_exchange_weak(&node->state, &state, WR_NODE_RUNNING_AGAIN)) {
                return;
            }
        } else {
            return; /* it will run after this, or never again */
        }
    }
}

static void append_active(wr_node *node, wr_link *link)
{
    link->next = NULL;
    if (node->active_first == NULL) {
        node->active_first = link;
    } else {
        node->active_last->next = link;
    }
    node->active_last = link;
}

static wr_link *take_active(wr_node *node)
{
    wr_link *link = node->active_first;
    if (link != NULL) {
        node->active_first = link->next;
    }
    return link;
}

/* Move what became pending to the list, oldest first. */
static void collect_pending(wr_node *node)
{
    if (atomic_load(&node->pending) == NULL) {
        return;
    }
    wr_link *newest = atomic_exchange(&node->pending, NULL);
    wr_link *oldest = NULL;
    while (newest != NULL) {
        wr_link *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        wr_link *next = oldest->next;
        append_active(node, oldest);
        oldest = next;
    }
}

bool wr_node_may_run(const wr_node *node)
{
    return atomic_load(&node->started) && atomic_load(&node->ready) &&
           atomic_load(&node->congested) <= 0;
}

/* Hand over and account for it. Returns how many were taken. */
static size_t deliver(wr_node *node, wr_link *link, weir_message **msgs, size_t count)
{
    node->refused = 0;
    node->from = link->number;
    if (node->consumer->place == NULL) {
        wr_node_leave_place(node);
    }
    for (size_t i = 0; i < count; i++) {
        wr_prefetch(msgs[i]); /* another core wrote it a moment ago */
    }
    size_t taken = node->consumer->consume(node->self, msgs, count);
    assert(taken <= count && node->refused <= taken);
    for (size_t i = 0; i < taken && !node->consumer->takes; i++) {
        weir_message_unref(msgs[i]);
    }
    wr_mailbox_count_delivered(&link->box, taken - node->refused);
    if (node->refused > 0) {
        wr_mailbox_count_closed(&link->box, node->refused);
    }
    return taken;
}

static void drop(wr_link *link, weir_message **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        weir_message_unref(msgs[i]);
    }
    wr_mailbox_count_closed(&link->box, count);
}

/* What the consumer did not take: for the next run, if there will be one. */
static void keep_rest(wr_node *node, wr_link *link, weir_message **msgs, size_t count)
{
    if (wr_node_is_closing(node)) {
        drop(link, msgs, count);
        node->left += count;
        return;
    }
    assert(node->rest != NULL && count <= WR_NODE_BATCH);
    for (size_t i = 0; i < count; i++) {
        node->rest[i] = msgs[i];
    }
    node->rest_link = wr_link_ref(link);
    node->rest_first = 0;
    node->rest_count = count;
}

/* Offer the rest again. */
static size_t run_rest(wr_node *node)
{
    size_t taken = deliver(node, node->rest_link, node->rest + node->rest_first, node->rest_count);
    node->rest_first += taken;
    node->rest_count -= taken;
    if (node->rest_count == 0) {
        wr_link_unref(node->rest_link);
        node->rest_link = NULL;
    }
    return taken;
}

/* Drop what a closed link holds, and the list's reference. It stays pending: nobody adds it again.
 */
static void drop_closed(wr_link *link)
{
    wr_mailbox_purge(&link->box);
    wr_link_unref(link);
}

/* One batch from one link. The list's reference to the link goes back to the list, or is given up
 * when the mailbox is empty. */
static size_t run_link(wr_node *node, wr_link *link, size_t max)
{
    weir_message *batch[WR_NODE_BATCH];
    /* Here and not only in sweep: the pair may be linked anew already, and must not see old
     * messages after new ones. */
    if (atomic_load(&link->closed)) {
        drop_closed(link);
        return 0;
    }
    size_t count = wr_mailbox_take(&link->box, batch, max < WR_NODE_BATCH ? max : WR_NODE_BATCH);
    if (count == 0) {
        if (wr_link_settle(link)) {
            wr_link_unref(link);
        } else {
            append_active(node, link);
        }
        return 0;
    }
    wr_link_relieve(link);
    size_t taken = deliver(node, link, batch, count);
    if (taken < count) {
        keep_rest(node, link, batch + taken, count - taken);
    }
    append_active(node, link);
    return taken;
}

/* Drop what closed links hold. */
static void sweep(wr_node *node)
{
    if (!atomic_load(&node->sweep) || !atomic_exchange(&node->sweep, false)) {
        return;
    }
    collect_pending(node);
    wr_link *link = node->active_first;
    node->active_first = NULL;
    while (link != NULL) {
        wr_link *next = link->next;
        if (atomic_load(&link->closed)) {
            drop_closed(link);
        } else {
            append_active(node, link);
        }
        link = next;
    }
}

void wr_node_sweep(wr_node *node)
{
    atomic_store(&node->sweep, true);
    wr_node_wake(node);
}

/*
 * A publisher on another core feeds this node at about the rate at which it runs. Taking each
 * message as it comes would pass the same cache lines to and fro for each one; a few microseconds
 * later there is a batch.
 */
static void linger(void)
{
    for (unsigned i = 0; i < LINGER_ROUNDS; i++) {
        wr_thread_relax();
    }
}

static bool has_work(const wr_node *node)
{
    return node->active_first != NULL || node->rest_count > 0 ||
           atomic_load(&node->pending) != NULL;
}

/* May it run what is left? If not it says so, and looks once more after that, as wr_node_uncongest
 * looks at `held` after its change: one sees the other. A node that has nothing to do, as most
 * sources, never says so and is not woken. */
static bool may_go_on(wr_node *node)
{
    if (wr_node_may_run(node)) {
        return true;
    }
    atomic_store(&node->held, true);
    return wr_node_may_run(node);
}

/* Run a bounded number of messages; returns how many. `*more`: there is more, and it may run. */
static size_t run_some(wr_node *node, const run_rule *rule, bool *more)
{
    size_t done = 0;
    unsigned lingers = rule->lingers;
    sweep(node);
    while (done < rule->max && wr_node_may_run(node)) {
        if (node->rest_count > 0) {
            done += run_rest(node);
            continue;
        }
        collect_pending(node);
        wr_link *link = take_active(node);
        if (link == NULL) {
            break;
        }
        size_t got = run_link(node, link, rule->max - done);
        done += got;
        if (got < LINGER_BELOW && done > 1 && lingers > 0) {
            lingers--;
            linger();
        }
    }
    if (done > 0 && node->consumer->drained != NULL) {
        node->consumer->drained(node->self, done);
    }
    *more = has_work(node) && may_go_on(node);
    return done;
}

/* Run once; the state was RUNNING. False: there is more to do, or there may be. */
static bool run_once(wr_node *node, const run_rule *rule, size_t *done)
{
    bool more;
    int running = WR_NODE_RUNNING;
    *done += run_some(node, rule, &more);
    return !more && atomic_compare_exchange_strong(&node->state, &running, WR_NODE_IDLE);
}

/* Run a node whose state is RUNNING; gives up the scheduling's reference, or passes it on. */
static size_t run_and_settle(wr_node *node, const run_rule *rule)
{
    size_t done = 0;
    bool settled = run_once(node, rule, &done);
    for (unsigned again = 0; !settled && again < rule->again; again++) {
        atomic_store(&node->state, WR_NODE_RUNNING);
        settled = run_once(node, rule, &done);
    }
    if (!settled) {
        atomic_store(&node->state, WR_NODE_QUEUED);
        wr_executor_enqueue(node->executor, node);
        return done;
    }
    wr_node_signal(node);
    wr_node_unref(node);
    return done;
}

size_t wr_node_run(wr_node *node)
{
    atomic_store(&node->state, WR_NODE_RUNNING);
    return run_and_settle(node, &run_by_executor);
}

static bool run_from(wr_node *node, int state)
{
    if (atomic_load(&node->state) != state ||
        !atomic_compare_exchange_strong(&node->state, &state, WR_NODE_RUNNING)) {
        return false;
    }
    (void)run_and_settle(wr_node_ref(node), &run_by_publisher);
    return true;
}

void wr_node_run_gathered(wr_node *node)
{
    (void)run_from(node, WR_NODE_GATHERING);
}

bool wr_node_run_here(wr_node *node)
{
    return run_from(node, WR_NODE_IDLE) || run_from(node, WR_NODE_GATHERING);
}

void wr_node_collect(bool on)
{
    own_collected.on = on;
}

wr_collected *wr_node_get_collected(void)
{
    return own_collected.used > 0 ? &own_collected : NULL;
}

/* Something is pending. True: this thread will run it. The node is QUEUED, as if with an executor.
 */
static bool collect(wr_node *node)
{
    if (!own_collected.on || own_collected.used == COLLECTED_MAX || node->blocking) {
        return false;
    }
    uint32_t shy = atomic_load_explicit(&node->shy_for, memory_order_relaxed);
    if (shy > 0) {
        atomic_store_explicit(&node->shy_for, shy - 1, memory_order_relaxed);
        return false;
    }
    int idle = WR_NODE_IDLE;
    if (!atomic_compare_exchange_strong(&node->state, &idle, WR_NODE_QUEUED)) {
        return false;
    }
    atomic_store(&own_collected.nodes[own_collected.used++], wr_node_ref(node));
    return true;
}

/* It kept the reading thread so long that another one may have had to step in. Once may be the
 * system's doing; each time more it stays away longer. */
static void make_shy(wr_node *node)
{
    uint32_t runs = atomic_load_explicit(&node->shy_next, memory_order_relaxed);
    runs = runs == 0 ? SHY_MIN : runs < SHY_MAX ? runs * 4 : SHY_MAX;
    atomic_store_explicit(&node->shy_next, runs, memory_order_relaxed);
    atomic_store_explicit(&node->shy_for, runs, memory_order_relaxed);
}

/* Run one; returns the time at its end. */
static uint64_t run_collected(wr_node *node, uint64_t before_ns)
{
    wr_node_ref(node);
    (void)wr_node_run(node);
    uint64_t now_ns = wr_clock_ns();
    if (now_ns - before_ns >= SLOW_NS) {
        make_shy(node);
    }
    wr_node_unref(node);
    return now_ns;
}

void wr_node_run_collected(wr_collected *collected)
{
    assert(collected == &own_collected && !collected->on);
    bool outer = wr_node_enter_callback();
    uint64_t before_ns = wr_clock_ns();
    for (size_t i = 0; i < collected->used; i++) {
        wr_node *node = atomic_exchange(&collected->nodes[i], NULL);
        if (node != NULL) {
            before_ns = run_collected(node, before_ns);
        }
    }
    collected->used = 0;
    wr_node_leave_callback(outer);
}

void wr_node_put_collected(wr_collected *collected)
{
    for (size_t i = 0; i < COLLECTED_MAX; i++) {
        wr_node *node = atomic_exchange(&collected->nodes[i], NULL);
        if (node != NULL) {
            wr_executor_enqueue(node->executor, node);
        }
    }
    if (collected == &own_collected) {
        collected->used = 0;
    }
}

/* Something is pending. False: the node is neither idle nor gathering. */
static bool gather(wr_node *node)
{
    int idle = WR_NODE_IDLE;
    if (!atomic_compare_exchange_strong(&node->state, &idle, WR_NODE_GATHERING)) {
        return idle == WR_NODE_GATHERING;
    }
    if (!node->consumer->gather(node->self)) {
        wr_node_run_gathered(node);
    }
    return true;
}

void wr_node_add_pending(wr_node *node, wr_link *link)
{
    wr_link_ref(link);
    link->next = atomic_load(&node->pending);
    while (!atomic_compare_exchange_weak(&node->pending, &link->next, link)) {
    }
    bool runs = node->consumer->gather != NULL ? gather(node) : collect(node);
    if (!runs) {
        wr_node_wake(node);
    }
}

static size_t drop_rest(wr_node *node)
{
    size_t count = node->rest_count;
    if (count == 0) {
        return 0;
    }
    drop(node->rest_link, node->rest + node->rest_first, count);
    wr_link_unref(node->rest_link);
    node->rest_link = NULL;
    node->rest_count = 0;
    return count;
}

size_t wr_node_give_up(wr_node *node)
{
    size_t dropped = drop_rest(node) + node->left;
    collect_pending(node);
    wr_link *link;
    while ((link = take_active(node)) != NULL) {
        wr_link_unref(link);
    }
    return dropped;
}
