/* SPDX-License-Identifier: MIT
 *
 * The broker: the list of links, and changes of it (contract in broker.h).
 *
 * The mutex guards the list and every replacement of a node's links out. A link has one reference
 * from the list and one from its source's fanout, and is in both or in neither.
 *
 * Adding takes the memory that removing and closing will need, so that these cannot fail.
 */
#include "broker/broker.h"

#include <stdlib.h>
#include <string.h>

#include "broker/order.h"
#include "broker/totals.h"

struct wr_broker {
    wr_executor *pool;
    wr_executor *quick; /* under the lock, until it is made; NULL: nobody needed it yet */
    wr_mutex lock;
    wr_link **links;
    size_t count;
    size_t capacity;
    wr_link **spare;  /* as many places, for who waits for a node; NULL: somebody does */
    wr_totals totals; /* of removed links; has a lock of its own */
};

/* Some links, one reference each. */
typedef struct link_list {
    wr_link **links;
    size_t count;
    size_t capacity;
} link_list;

weir_err wr_broker_create(unsigned threads, wr_broker **out)
{
    wr_broker *broker = calloc(1, sizeof(*broker));
    if (broker == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&broker->lock);
    wr_totals_init(&broker->totals);
    weir_err err =
        wr_executor_create(threads == 0 ? wr_thread_cores() : threads, "weir-pool", &broker->pool);
    if (err != WEIR_OK) {
        wr_broker_destroy(broker, false);
        return err;
    }
    *out = broker;
    return WEIR_OK;
}

void wr_broker_destroy(wr_broker *broker, bool stuck)
{
    if (broker == NULL) {
        return;
    }
    if (stuck) {
        wr_executor_abandon(broker->pool); /* its thread may still use links and nodes: all stay */
        wr_executor_abandon(broker->quick);
        return;
    }
    wr_executor_destroy(broker->quick);
    wr_executor_destroy(broker->pool);
    for (size_t i = 0; i < broker->count; i++) {
        wr_node *source = broker->links[i]->source;
        wr_fanout *out = wr_node_swap_out(source, NULL);
        for (size_t k = 0; out != NULL && k < out->count; k++) {
            wr_link_unref(out->links[k]);
        }
        free(out);
        wr_link_unref(broker->links[i]);
    }
    free(broker->links);
    free(broker->spare);
    wr_totals_deinit(&broker->totals);
    wr_mutex_deinit(&broker->lock);
    free(broker);
}

wr_executor *wr_broker_pool(wr_broker *broker)
{
    return broker->pool;
}

weir_err wr_broker_quick(wr_broker *broker, wr_executor **out)
{
    weir_err err = WEIR_OK;
    wr_mutex_lock(&broker->lock);
    if (broker->quick == NULL) {
        err = wr_executor_create(1, "weir-quick", &broker->quick);
    }
    if (err == WEIR_OK) {
        *out = broker->quick;
    }
    wr_mutex_unlock(&broker->lock);
    return err;
}

static size_t find_link(const wr_broker *broker, const wr_node *source, const wr_node *sink)
{
    for (size_t i = 0; i < broker->count; i++) {
        if (broker->links[i]->source == source && broker->links[i]->sink == sink) {
            return i;
        }
    }
    return broker->count;
}

/* A copy of the links out with room for one more. */
static wr_fanout *fanout_copy(const wr_fanout *from)
{
    size_t count = from == NULL ? 0 : from->count;
    wr_fanout *copy = malloc(sizeof(*copy) + (count + 1) * sizeof(copy->links[0]));
    if (copy == NULL) {
        return NULL;
    }
    copy->count = count;
    for (size_t i = 0; i < count; i++) {
        copy->links[i] = from->links[i];
    }
    return copy;
}

static weir_err reserve_link(wr_broker *broker)
{
    if (broker->count < broker->capacity) {
        return WEIR_OK;
    }
    size_t capacity = broker->capacity == 0 ? 16 : 2 * broker->capacity;
    wr_link **spare = malloc(capacity * sizeof(wr_link *));
    wr_link **links = spare == NULL ? NULL : realloc(broker->links, capacity * sizeof(wr_link *));
    if (links == NULL) {
        free(spare);
        return WEIR_ERR_MEMORY;
    }
    free(broker->spare);
    broker->spare = spare;
    broker->links = links;
    broker->capacity = capacity;
    return WEIR_OK;
}

/* Under the lock. */
static weir_err add_link(wr_broker *broker, wr_node *source, wr_node *sink, wr_queue_config config,
                         bool star)
{
    const wr_fanout *old = atomic_load(&source->out);
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        if (old->links[i]->sink == sink) {
            return WEIR_ERR_EXISTS;
        }
    }
    wr_fanout *out = fanout_copy(old);
    wr_fanout *spare = fanout_copy(old);
    wr_link *link = NULL;
    weir_err err = out == NULL || spare == NULL ? WEIR_ERR_MEMORY : reserve_link(broker);
    if (err == WEIR_OK) {
        err = wr_link_create(source, sink, config, &link);
    }
    if (err != WEIR_OK) {
        free(out);
        free(spare);
        return err;
    }
    link->star = star;
    out->links[out->count++] = wr_link_ref(link);
    broker->links[broker->count++] = link;
    free(wr_node_swap_out(source, out));
    free(source->spare_out);
    source->spare_out = spare;
    return WEIR_OK;
}

weir_err wr_broker_link(wr_broker *broker, wr_node *source, wr_node *sink, wr_queue_config config)
{
    wr_mutex_lock(&broker->lock);
    weir_err err = add_link(broker, source, sink, config, false);
    wr_mutex_unlock(&broker->lock);
    return err;
}

weir_err wr_broker_link_star(wr_broker *broker, wr_node *source, wr_node *sink,
                             wr_queue_config config)
{
    wr_mutex_lock(&broker->lock);
    weir_err err = add_link(broker, source, sink, config, true);
    wr_mutex_unlock(&broker->lock);
    return err;
}

/* Under the lock: take the link at `index` out of its source and of the list. */
static void remove_link(wr_broker *broker, size_t index)
{
    wr_link *link = broker->links[index];
    const wr_fanout *old = atomic_load(&link->source->out);
    wr_fanout *out = link->source->spare_out;
    out->count = 0;
    for (size_t i = 0; i < old->count; i++) {
        if (old->links[i] != link) {
            out->links[out->count++] = old->links[i];
        }
    }
    link->source->spare_out = wr_node_swap_out(link->source, out);
    wr_link_unref(link); /* the fanout's reference: no publisher is left that could use it */
    broker->count--;
    memmove(&broker->links[index], &broker->links[index + 1],
            (broker->count - index) * sizeof(wr_link *));
    wr_totals_leave(&broker->totals, link);
    wr_link_close(link);
    wr_node_sweep(link->sink);
    wr_link_unref(link);
}

weir_err wr_broker_unlink(wr_broker *broker, wr_node *source, wr_node *sink)
{
    wr_mutex_lock(&broker->lock);
    size_t index = find_link(broker, source, sink);
    bool found = index < broker->count;
    if (found) {
        remove_link(broker, index);
    }
    wr_mutex_unlock(&broker->lock);
    return found ? WEIR_OK : WEIR_ERR_NOT_FOUND;
}

void wr_broker_unlink_star(wr_broker *broker, const wr_node *sink)
{
    wr_mutex_lock(&broker->lock);
    for (size_t i = broker->count; i > 0; i--) {
        const wr_link *link = broker->links[i - 1];
        if (link->star && link->sink == sink) {
            remove_link(broker, i - 1);
        }
    }
    wr_mutex_unlock(&broker->lock);
}

/* The links into a node; the caller gives them to put_links. There is memory for one caller, and a
 * second one at the same time takes its own. Errors: MEMORY. */
static weir_err get_links_in(wr_broker *broker, const wr_node *node, link_list *in)
{
    wr_mutex_lock(&broker->lock);
    *in = (link_list){.links = broker->spare, .capacity = broker->capacity};
    broker->spare = NULL;
    if (in->links == NULL && broker->count > 0) {
        in->links = malloc(broker->capacity * sizeof(wr_link *));
    }
    bool failed = in->links == NULL && broker->count > 0;
    for (size_t i = 0; !failed && i < broker->count; i++) {
        if (broker->links[i]->sink == node) {
            in->links[in->count++] = wr_link_ref(broker->links[i]);
        }
    }
    wr_mutex_unlock(&broker->lock);
    return failed ? WEIR_ERR_MEMORY : WEIR_OK;
}

static void put_links(wr_broker *broker, link_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        wr_link_unref(list->links[i]);
    }
    wr_mutex_lock(&broker->lock);
    if (broker->spare == NULL && list->capacity == broker->capacity) {
        broker->spare = list->links;
        list->links = NULL;
    }
    wr_mutex_unlock(&broker->lock);
    free(list->links);
}

bool wr_broker_drain(wr_broker *broker, wr_node *node, uint64_t deadline_ns)
{
    link_list in;
    if (get_links_in(broker, node, &in) != WEIR_OK) {
        return false;
    }
    bool drained = wr_node_wait_drained(node, in.links, in.count, deadline_ns);
    put_links(broker, &in);
    return drained;
}

/* Drop what a closed node has, once nobody is left who saw its links open. */
static uint64_t give_up(wr_broker *broker, wr_node *node, const link_list *in)
{
    wr_mutex_lock(&broker->lock);
    for (size_t i = 0; i < in->count; i++) {
        wr_node_wait_publishers(in->links[i]->source);
    }
    wr_mutex_unlock(&broker->lock);
    uint64_t dropped = wr_node_give_up(node);
    for (size_t i = 0; i < in->count; i++) {
        dropped += wr_mailbox_purge(&in->links[i]->box);
    }
    return dropped;
}

weir_err wr_broker_close(wr_broker *broker, wr_node *node, uint64_t deadline_ns, uint64_t *dropped)
{
    link_list in;
    weir_err err = get_links_in(broker, node, &in);
    if (err != WEIR_OK) {
        return err;
    }
    for (size_t i = 0; i < in.count; i++) {
        wr_link_close(in.links[i]);
    }
    err = wr_node_close(node, deadline_ns);
    *dropped = err == WEIR_OK ? give_up(broker, node, &in) : 0;
    put_links(broker, &in);
    return err;
}

void wr_broker_remove(wr_broker *broker, wr_node *node)
{
    wr_mutex_lock(&broker->lock);
    for (size_t i = broker->count; i > 0; i--) {
        const wr_link *link = broker->links[i - 1];
        if (link->source == node || link->sink == node) {
            remove_link(broker, i - 1);
        }
    }
    wr_mutex_unlock(&broker->lock);
}

void wr_broker_purge(wr_broker *broker)
{
    wr_mutex_lock(&broker->lock);
    for (size_t i = 0; i < broker->count; i++) {
        wr_mailbox_purge(&broker->links[i]->box);
    }
    wr_mutex_unlock(&broker->lock);
}

wr_broker_totals wr_broker_add_up(wr_broker *broker)
{
    wr_broker_totals totals = {.links = 0};
    wr_mutex_lock(&broker->lock);
    totals.links = broker->count;
    for (size_t i = 0; i < broker->count; i++) {
        wr_mailbox_add_counts(&broker->links[i]->box, &totals.counts);
    }
    wr_totals_add_up(&broker->totals, &totals.counts);
    wr_mutex_unlock(&broker->lock);
    return totals;
}

void wr_broker_count_late(wr_broker *broker, uint64_t link_number, wr_late_drop why)
{
    size_t i = 0;
    wr_mutex_lock(&broker->lock);
    while (i < broker->count && broker->links[i]->number != link_number) {
        i++;
    }
    if (i < broker->count) {
        wr_mailbox_count_late(&broker->links[i]->box, why);
    } else {
        wr_totals_count_late(&broker->totals, link_number, why);
    }
    wr_mutex_unlock(&broker->lock);
}

void wr_broker_each_link(wr_broker *broker, void (*visit)(void *user, const wr_link *link),
                         void *user)
{
    wr_mutex_lock(&broker->lock);
    for (size_t i = 0; i < broker->count; i++) {
        visit(user, broker->links[i]);
    }
    wr_mutex_unlock(&broker->lock);
}

weir_err wr_broker_order(wr_broker *broker, wr_node **nodes, size_t count, size_t *waves)
{
    wr_mutex_lock(&broker->lock);
    weir_err err = wr_order_nodes(nodes, count, waves);
    wr_mutex_unlock(&broker->lock);
    return err;
}
