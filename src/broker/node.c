/* SPDX-License-Identifier: MIT
 *
 * Nodes: life cycle, publishing, and the waiting of those who must (contract in node.h; running is
 * in node_run.c).
 */
#include "broker/node.h"

#include <stdlib.h>

#include "base/text.h"
#include "broker/node_state.h"
#include "message/message.h"
#include "message/place.h"
#include "platform/clock.h"

static WR_THREAD_LOCAL_SMALL bool inside_callback;
static WR_THREAD_LOCAL_SMALL const wr_node
    *place_user;                            /* for whom this thread's place was chosen */
static WR_THREAD_LOCAL_SMALL char own_mark; /* its address tells this thread from the others */

/* reader_enter's counter of the node's owner; the others have 0 and 1. */
#define OWNER_SLOT 2u

bool wr_node_enter_callback(void)
{
    bool outer = inside_callback;
    inside_callback = true;
    return outer;
}

void wr_node_leave_callback(bool outer)
{
    inside_callback = outer;
}

static weir_err host_publish(weir_host *host, weir_message *msg, bool wait)
{
    return wr_node_publish((wr_node *)host, msg, wait ? WR_PUBLISH_WAIT : WR_PUBLISH_TRY);
}

static const wr_host_ops host_ops = {.publish = host_publish};

weir_err wr_node_create(const char *name, wr_executor *pool, bool blocking, wr_node **out)
{
    wr_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&node->lock);
    wr_cond_init(&node->changed);
    atomic_init(&node->refs, 1);
    atomic_init(&node->ready, true);
    node->may_own = wr_thread_can_fence_others();
    node->host.ops = &host_ops;
    node->name = wr_text_copy(name);
    node->host.name = node->name;
    node->executor = pool;
    node->blocking = blocking;
    node->own_executor = blocking;
    if (node->name == NULL ||
        (blocking && wr_executor_create(1, name, &node->executor) != WEIR_OK)) {
        node->own_executor = false;
        wr_node_unref(node);
        return WEIR_ERR_MEMORY;
    }
    *out = node;
    return WEIR_OK;
}

weir_err wr_node_set_consumer(wr_node *node, const wr_consumer *consumer, void *self)
{
    if (consumer->may_pause && node->rest == NULL) {
        node->rest = calloc(WR_NODE_BATCH, sizeof(*node->rest));
        if (node->rest == NULL) {
            return WEIR_ERR_MEMORY;
        }
    }
    node->consumer = consumer;
    node->self = self;
    return WEIR_OK;
}

wr_node *wr_node_ref(wr_node *node)
{
    atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    return node;
}

static void fanout_free(wr_fanout *fanout)
{
    for (size_t i = 0; fanout != NULL && i < fanout->count; i++) {
        wr_link_unref(fanout->links[i]);
    }
    free(fanout);
}

void wr_node_unref(wr_node *node)
{
    if (node == NULL || atomic_fetch_sub(&node->refs, 1) != 1) {
        return;
    }
    if (node->own_executor) {
        wr_executor_destroy(node->executor);
    }
    if (node->consumer != NULL && node->consumer->release != NULL) {
        node->consumer->release(node->self);
    }
    fanout_free(atomic_load(&node->out));
    free(node->spare_out); /* it has no references */
    free(node->rest);
    free(node->name);
    wr_cond_deinit(&node->changed);
    wr_mutex_deinit(&node->lock);
    free(node);
}

/*
 * Waiting. Whoever waits counts itself in `waiters` before it looks at what it waits for; whoever
 * changes that looks at `waiters` afterwards.
 */
void wr_node_signal(wr_node *node)
{
    if (atomic_load(&node->waiters) == 0) {
        return;
    }
    wr_mutex_lock(&node->lock);
    wr_cond_broadcast(&node->changed);
    wr_mutex_unlock(&node->lock);
}

static void wait_begin(wr_node *node)
{
    atomic_fetch_add(&node->waiters, 1);
    wr_mutex_lock(&node->lock);
}

static void wait_end(wr_node *node)
{
    wr_mutex_unlock(&node->lock);
    atomic_fetch_sub(&node->waiters, 1);
}

bool wr_node_congested(const wr_node *node)
{
    return atomic_load(&node->congested) > 0;
}

void wr_node_congest(wr_node *node)
{
    atomic_fetch_add(&node->congested, 1);
}

void wr_node_uncongest(wr_node *node)
{
    if (atomic_fetch_sub(&node->congested, 1) > 1) {
        return;
    }
    wr_node_signal(node);
    if (atomic_load(&node->held) && atomic_exchange(&node->held, false)) {
        wr_node_wake(node);
    }
    if (node->consumer != NULL && node->consumer->uncongested != NULL) {
        node->consumer->uncongested(node->self);
    }
}

static weir_err wait_for_room(wr_node *node, wr_publish_mode mode)
{
    if (mode == WR_PUBLISH_OVER || !wr_node_congested(node) || inside_callback) {
        return WEIR_OK;
    }
    if (mode == WR_PUBLISH_TRY) {
        return WEIR_ERR_FULL;
    }
    /* One look decides: another publisher may fill the room again at once. */
    bool congested;
    wait_begin(node);
    while ((congested = wr_node_congested(node)) && !atomic_load(&node->closing)) {
        wr_cond_wait(&node->changed, &node->lock);
    }
    wait_end(node);
    return congested ? WEIR_ERR_CLOSED : WEIR_OK;
}

/*
 * Count this thread as a reader of the links out. Returns which counter to give back.
 *
 * Nearly always one thread does all of a node's publishing. The first that comes becomes the node's
 * owner and has a counter of its own, in which a plain store does what takes an atomic
 * read-modify-write elsewhere. What such a store lacks is the fence between it and the look at
 * `out` (on entering) or at `waiters` (on leaving). The broker makes that up: it has every thread
 * pass a fence (wr_thread_fence_others) between its own change of these and its look at owner_turn.
 * So either it sees the owner's store, or the owner sees what it changed; only the compiler must
 * keep the order, hence the signal fences. A thread that gets the mark of one that ended owns its
 * nodes.
 */
static bool is_owner(wr_node *node)
{
    const char *owner = atomic_load_explicit(&node->owner, memory_order_relaxed);
    if (owner == NULL && node->may_own) {
        /* seq_cst, as the broker's look at it after its change of `out`: if that still finds NULL,
         * we find the new links. */
        return atomic_compare_exchange_strong(&node->owner, &owner, &own_mark);
    }
    return owner == &own_mark;
}

/* The owner goes in or out. Release: what it did before is done when the broker sees it out. */
static void take_turn(wr_node *node)
{
    uint64_t turn = atomic_load_explicit(&node->owner_turn, memory_order_relaxed);
    atomic_store_explicit(&node->owner_turn, turn + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

static unsigned reader_enter(wr_node *node)
{
    if (is_owner(node)) {
        take_turn(node);
        return OWNER_SLOT;
    }
    unsigned slot = atomic_load(&node->epoch) & 1u;
    atomic_fetch_add(&node->readers[slot], 1);
    return slot;
}

static void reader_leave(wr_node *node, unsigned slot)
{
    if (slot == OWNER_SLOT) {
        take_turn(node);
        wr_node_signal(node);
    } else if (atomic_fetch_sub(&node->readers[slot], 1) == 1) {
        wr_node_signal(node);
    }
}

bool wr_node_has_sinks(wr_node *node)
{
    unsigned slot = reader_enter(node);
    const wr_fanout *out = atomic_load(&node->out);
    bool has = out != NULL && out->count > 0;
    reader_leave(node, slot);
    return has;
}

/* Keeps the first error, serves every link; the caller keeps its reference. */
static weir_err put_to_all(const wr_fanout *out, weir_message *msg, bool owner)
{
    weir_err result = WEIR_OK;
    size_t references = 0; /* added and not yet given away */
    for (size_t i = 0; i < out->count; i++) {
        if (owner && wr_link_pass(out->links[i], msg)) {
            continue;
        }
        if (references == 0) {
            references = out->count - i;
            wr_message_ref_many(msg, references);
        }
        references--;
        weir_err err = wr_link_put(out->links[i], msg);
        result = result == WEIR_OK ? err : result;
    }
    for (; references > 0; references--) {
        weir_message_unref(msg);
    }
    return result;
}

/* Where this thread should build its next bulk message: where this one goes. */
static void choose_place(const wr_node *source, const wr_fanout *out)
{
    place_user = source;
    const wr_node *sink = out->count == 1 ? out->links[0]->sink : NULL;
    if (sink == NULL || sink->consumer == NULL || sink->consumer->place == NULL) {
        wr_message_place_set(NULL);
        return;
    }
    sink->consumer->place(sink->self);
}

void wr_node_leave_place(const wr_node *next)
{
    if (place_user != NULL && place_user != next) {
        place_user = NULL;
        wr_message_place_set(NULL);
    }
}

weir_err wr_node_publish(wr_node *node, weir_message *msg, wr_publish_mode mode)
{
    weir_err err = wait_for_room(node, mode);
    if (err != WEIR_OK) {
        return err;
    }
    unsigned slot = reader_enter(node);
    const wr_fanout *out = atomic_load(&node->out);
    if (out != NULL) {
        if (wr_message_is_bulk(msg)) {
            choose_place(node, out);
        }
        err = put_to_all(out, msg, slot == OWNER_SLOT);
    }
    reader_leave(node, slot);
    return err;
}

/* The same, and takes the reference, which the only link of nearly all nodes gets. */
static weir_err give_to_all(const wr_fanout *out, weir_message *msg, bool owner)
{
    if (out == NULL || out->count != 1) {
        weir_err err = out == NULL ? WEIR_OK : put_to_all(out, msg, owner);
        weir_message_unref(msg);
        return err;
    }
    if (owner && wr_link_pass(out->links[0], msg)) {
        weir_message_unref(msg);
        return WEIR_OK;
    }
    return wr_link_put(out->links[0], msg);
}

weir_err wr_node_publish_many(wr_node *node, weir_message **msgs, size_t count)
{
    weir_err result = WEIR_OK;
    unsigned slot = reader_enter(node);
    const wr_fanout *out = atomic_load(&node->out);
    for (size_t i = 0; i < count; i++) {
        weir_err err = give_to_all(out, msgs[i], slot == OWNER_SLOT);
        result = result == WEIR_OK ? err : result;
    }
    reader_leave(node, slot);
    return result;
}

/* Until the owner is out, or was out since: another turn reads the new links. */
static void wait_owner(wr_node *node)
{
    if (atomic_load(&node->owner) == NULL) {
        return;
    }
    wait_begin(node);
    wr_thread_fence_others();
    uint64_t turn = atomic_load(&node->owner_turn);
    while (turn % 2 != 0 && atomic_load(&node->owner_turn) == turn) {
        wr_cond_wait(&node->changed, &node->lock);
    }
    wait_end(node);
}

/* Two passes: a reader may have read `epoch` before the first pass changed it and counted itself in
 * the other counter only after that pass. */
void wr_node_wait_publishers(wr_node *node)
{
    wait_owner(node);
    for (int pass = 0; pass < 2; pass++) {
        unsigned slot = atomic_fetch_add(&node->epoch, 1) & 1u;
        wait_begin(node);
        while (atomic_load(&node->readers[slot]) > 0) {
            wr_cond_wait(&node->changed, &node->lock);
        }
        wait_end(node);
    }
}

wr_fanout *wr_node_swap_out(wr_node *node, wr_fanout *out)
{
    wr_fanout *old = atomic_exchange(&node->out, out);
    wr_node_wait_publishers(node);
    return old;
}

void wr_node_pause(wr_node *node)
{
    atomic_store(&node->ready, false);
}

void wr_node_ready(wr_node *node)
{
    atomic_store(&node->ready, true);
    if (node->consumer->gather == NULL || !wr_node_run_here(node)) {
        wr_node_wake(node);
    }
}

void wr_node_start(wr_node *node)
{
    atomic_store(&node->started, true);
    wr_node_wake(node);
}

void wr_node_set_absent(wr_node *node, bool absent)
{
    atomic_store(&node->absent, absent);
    wr_node_signal(node);
}

void wr_node_refuse(wr_node *node, size_t count)
{
    node->refused += count;
}

uint64_t wr_node_consuming(const wr_node *node)
{
    return node->from;
}

static bool is_drained(const wr_node *node, wr_link *const *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wr_mailbox_count(&in[i]->box).queued > 0) {
            return false;
        }
    }
    return atomic_load(&node->state) == WR_NODE_IDLE;
}

bool wr_node_wait_drained(wr_node *node, wr_link *const *in, size_t count, uint64_t deadline_ns)
{
    bool drained;
    wait_begin(node);
    while (!(drained = is_drained(node, in, count)) && !atomic_load(&node->absent)) {
        if (!wr_cond_wait_until(&node->changed, &node->lock, deadline_ns)) {
            break;
        }
    }
    wait_end(node);
    return drained;
}

void wr_node_stop_waiting(wr_node *node)
{
    atomic_store(&node->closing, true);
    wr_node_signal(node);
}

/* Nobody runs it any more, if nobody does now. */
static bool try_close(wr_node *node)
{
    int state = atomic_load(&node->state);
    while (state == WR_NODE_IDLE || state == WR_NODE_GATHERING) {
        if (atomic_compare_exchange_weak(&node->state, &state, WR_NODE_CLOSED)) {
            return true;
        }
    }
    return state == WR_NODE_CLOSED;
}

/* Take the right to run away from everybody. False: it was still running at the deadline. */
static bool take_run_right(wr_node *node, uint64_t deadline_ns)
{
    bool closed;
    bool in_time = true;
    wait_begin(node);
    /* The last look comes after the deadline: whoever ran it may have come to the end just then. */
    while (!(closed = try_close(node)) && in_time) {
        in_time = wr_cond_wait_until(&node->changed, &node->lock, deadline_ns);
    }
    wait_end(node);
    return closed;
}

weir_err wr_node_close(wr_node *node, uint64_t deadline_ns)
{
    wr_node_stop_waiting(node);
    atomic_store(&node->started, false);
    if (!take_run_right(node, deadline_ns)) {
        if (node->own_executor) {
            wr_executor_abandon(node->executor);
            node->own_executor = false; /* its thread uses it until its end, whenever that is */
        }
        return WEIR_ERR_TIMEOUT;
    }
    if (node->own_executor) {
        wr_executor_destroy(node->executor);
        node->own_executor = false;
        node->executor = NULL;
    }
    return WEIR_OK;
}
