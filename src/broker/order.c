/* SPDX-License-Identifier: MIT
 *
 * Stopping order (contract in order.h), in time and memory that grow with nodes and links alone.
 *
 * One walk along the links, depth first: from the nodes that nobody feeds, then from those that it
 * has not met, as given. The order in which it leaves nodes for good, reversed, has each node
 * before what it feeds, but for links that lead back to a node that the walk was still below: these
 * close the cycles. The walk also finds which nodes lead to each other, in one cycle or several: it
 * leaves such a knot (Tarjan's strongly connected component) when it leaves the first of it that it
 * met, and after all that the knot feeds.
 *
 * A knot comes after all that feeds it from outside, whatever node of it that feeds. Inside, and
 * without the links that close cycles, a node's wave is the one after the last of those that feed
 * it.
 */
#include "broker/order.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

/* Of one node. */
typedef struct spot {
    size_t next; /* the link out that the walk takes next */
    size_t met;  /* as which one the walk met it; NONE: not yet */
    size_t low;  /* the first met one of the same knot, as far as is known */
    size_t rank; /* place in the reversed order of leaving */
    size_t knot; /* the last one is fed by none of the others; NONE: the walk has not left it */
    size_t wave;
    bool fed; /* by another node */
} spot;

/* Nodes are known by their place as given, which is in wr_node.order. */
typedef struct graph {
    wr_node *const *nodes; /* as given */
    size_t count;
    spot *spots;
    size_t *by_rank; /* nodes */
    size_t *stack;   /* nodes from the walk's root to where it is: chains may be long */
    size_t depth;
    size_t *open; /* nodes whose knot the walk has not left, as met */
    size_t open_count;
    size_t met;   /* nodes */
    size_t rank;  /* of the node that was left last */
    size_t knots; /* that were left */
    size_t *from; /* of each knot: the first wave that it may have */
} graph;

static size_t count_links(const graph *g, size_t from)
{
    const wr_fanout *out = atomic_load(&g->nodes[from]->out);
    return out == NULL ? 0 : out->count;
}

/* Does the node's link out number `i` lead to another one of these nodes? */
static bool leads(const graph *g, size_t from, size_t i, size_t *to)
{
    const wr_fanout *out = atomic_load(&g->nodes[from]->out);
    const wr_node *sink = out->links[i]->sink;
    *to = sink->order;
    return *to < g->count && g->nodes[*to] == sink && *to != from;
}

static void find_fed(graph *g)
{
    size_t to;
    for (size_t from = 0; from < g->count; from++) {
        for (size_t i = 0; i < count_links(g, from); i++) {
            if (leads(g, from, i, &to)) {
                g->spots[to].fed = true;
            }
        }
    }
}

static void lower(spot *here, size_t low)
{
    here->low = low < here->low ? low : here->low;
}

/* Where the walk goes from here. False: nowhere, it leaves the node. */
static bool find_next(graph *g, size_t from, size_t *to)
{
    spot *here = &g->spots[from];
    while (here->next < count_links(g, from)) {
        if (!leads(g, from, here->next++, to)) {
            continue;
        }
        if (g->spots[*to].met == NONE) {
            return true;
        }
        if (g->spots[*to].knot == NONE) {
            lower(here, g->spots[*to].met);
        }
    }
    return false;
}

static void enter(graph *g, size_t node)
{
    g->spots[node].met = g->met;
    g->spots[node].low = g->met++;
    g->stack[g->depth++] = node;
    g->open[g->open_count++] = node;
}

static void leave(graph *g)
{
    size_t left = g->stack[--g->depth];
    spot *here = &g->spots[left];
    here->rank = --g->rank;
    g->by_rank[g->rank] = left;
    if (here->low < here->met) {
        lower(&g->spots[g->stack[g->depth - 1]], here->low);
        return;
    }
    size_t last = NONE;
    while (last != left) {
        last = g->open[--g->open_count];
        g->spots[last].knot = g->knots;
    }
    g->knots++;
}

static void walk(graph *g, size_t root)
{
    size_t to;
    enter(g, root);
    while (g->depth > 0) {
        if (find_next(g, g->stack[g->depth - 1], &to)) {
            enter(g, to);
        } else {
            leave(g);
        }
    }
}

static void walk_all(graph *g)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < g->count; i++) {
            bool root = pass == 1 || !g->spots[i].fed;
            if (root && g->spots[i].met == NONE) {
                walk(g, i);
            }
        }
    }
}

/* All before it have their waves, and it gets its own. */
static void set_wave(graph *g, size_t node)
{
    spot *here = &g->spots[node];
    size_t to;
    here->wave = here->wave < g->from[here->knot] ? g->from[here->knot] : here->wave;
    for (size_t i = 0; i < count_links(g, node); i++) {
        if (!leads(g, node, i, &to)) {
            continue;
        }
        spot *sink = &g->spots[to];
        size_t *least = sink->knot == here->knot ? &sink->wave : &g->from[sink->knot];
        bool ahead = sink->knot != here->knot || sink->rank > here->rank;
        if (ahead && *least <= here->wave) {
            *least = here->wave + 1;
        }
    }
}

/* The last knot first; within a knot, by rank. */
static void find_waves(graph *g)
{
    size_t *starts = g->stack;
    size_t *by_knot = g->open;
    memset(starts, 0, (g->count + 1) * sizeof(*starts));
    for (size_t i = 0; i < g->count; i++) {
        starts[g->knots - g->spots[i].knot]++;
    }
    for (size_t i = 1; i < g->knots; i++) {
        starts[i] += starts[i - 1];
    }
    for (size_t rank = 0; rank < g->count; rank++) {
        size_t node = g->by_rank[rank];
        by_knot[starts[g->knots - g->spots[node].knot - 1]++] = node;
    }
    for (size_t i = 0; i < g->count; i++) {
        set_wave(g, by_knot[i]);
    }
}

/* By their waves; within a wave, as given. */
static void sort(graph *g, wr_node **sorted, size_t *waves)
{
    size_t *starts = g->stack; /* of each wave but the first, and then of each */
    memset(starts, 0, (g->count + 1) * sizeof(*starts));
    for (size_t i = 0; i < g->count; i++) {
        starts[g->spots[i].wave + 1]++;
    }
    for (size_t wave = 1; wave <= g->count; wave++) {
        starts[wave] += starts[wave - 1];
    }
    for (size_t i = 0; i < g->count; i++) {
        size_t place = starts[g->spots[i].wave]++;
        sorted[place] = g->nodes[i];
        waves[place] = g->spots[i].wave;
    }
}

static void order(graph *g, wr_node **sorted, size_t *waves)
{
    for (size_t i = 0; i < g->count; i++) {
        g->nodes[i]->order = i;
        g->spots[i].met = NONE;
        g->spots[i].knot = NONE;
    }
    g->rank = g->count;
    find_fed(g);
    walk_all(g);
    find_waves(g);
    sort(g, sorted, waves);
}

weir_err wr_order_nodes(wr_node **nodes, size_t count, size_t *waves)
{
    size_t room = count + 1;
    wr_node **given = calloc(room, sizeof(wr_node *));
    spot *spots = calloc(room, sizeof(*spots));
    size_t *numbers = calloc(4 * room, sizeof(*numbers));
    weir_err err = WEIR_ERR_MEMORY;
    if (given != NULL && spots != NULL && numbers != NULL) {
        graph g = {.nodes = given, .count = count, .spots = spots};
        g.by_rank = numbers;
        g.stack = numbers + room;
        g.open = numbers + 2 * room;
        g.from = numbers + 3 * room;
        memcpy(given, nodes, count * sizeof(wr_node *));
        order(&g, nodes, waves);
        err = WEIR_OK;
    }
    free(given);
    free(spots);
    free(numbers);
    return err;
}
