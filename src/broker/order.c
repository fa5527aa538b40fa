/* SPDX-License-Identifier: MIT
 *
 * Stopping order (contract in order.h), in time and memory that grow with nodes and links alone.
 *
 * One walk along the links, depth first: from the nodes that nobody feeds, then from those that it
 * has not met, as given. The order in which it leaves nodes for good, reversed, has each node
 * before what it feeds, but for links that lead back to a node that the walk was still below: these
 * close the cycles, and are those that lead to an earlier node. Without them a node's wave is the
 * one after the last of those that feed it.
 */
#include "broker/order.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOT_MET SIZE_MAX

/* Of one node. */
typedef struct spot {
    size_t next; /* the link out that the walk takes next */
    size_t rank; /* place in the reversed order of leaving; NOT_MET: it was not met */
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

/* Where the walk goes from here. False: nowhere, it leaves the node. */
static bool find_next(graph *g, size_t from, size_t *to)
{
    spot *here = &g->spots[from];
    while (here->next < count_links(g, from)) {
        if (leads(g, from, here->next++, to) && g->spots[*to].rank == NOT_MET) {
            return true;
        }
    }
    return false;
}

/* Walk from a root. The nodes that are left get the ranks below `rank`; returns the lowest. */
static size_t walk(graph *g, size_t root, size_t rank)
{
    size_t depth = 0;
    size_t to = root;
    bool deeper = true;
    while (deeper || depth > 0) {
        if (deeper) {
            g->spots[to].rank = 0; /* met; it gets its own later */
            g->stack[depth++] = to;
        } else {
            size_t left = g->stack[--depth];
            g->spots[left].rank = --rank;
            g->by_rank[rank] = left;
        }
        deeper = depth > 0 && find_next(g, g->stack[depth - 1], &to);
    }
    return rank;
}

static void rank_nodes(graph *g)
{
    size_t rank = g->count;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < g->count; i++) {
            bool root = pass == 1 || !g->spots[i].fed;
            if (root && g->spots[i].rank == NOT_MET) {
                rank = walk(g, i, rank);
            }
        }
    }
}

static void find_waves(graph *g)
{
    size_t to;
    for (size_t rank = 0; rank < g->count; rank++) {
        size_t from = g->by_rank[rank];
        size_t wave = g->spots[from].wave + 1;
        for (size_t i = 0; i < count_links(g, from); i++) {
            bool ahead = leads(g, from, i, &to) && g->spots[to].rank > rank;
            if (ahead && g->spots[to].wave < wave) {
                g->spots[to].wave = wave;
            }
        }
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
        g->spots[i].rank = NOT_MET;
    }
    find_fed(g);
    rank_nodes(g);
    find_waves(g);
    sort(g, sorted, waves);
}

weir_err wr_order_nodes(wr_node **nodes, size_t count, size_t *waves)
{
    wr_node **given = calloc(count + 1, sizeof(wr_node *));
    graph g = {.nodes = given, .count = count};
    g.spots = calloc(count + 1, sizeof(*g.spots));
    g.by_rank = calloc(count + 1, sizeof(*g.by_rank));
    g.stack = calloc(count + 1, sizeof(*g.stack));
    weir_err err = WEIR_ERR_MEMORY;
    if (given != NULL && g.spots != NULL && g.by_rank != NULL && g.stack != NULL) {
        memcpy(given, nodes, count * sizeof(wr_node *));
        order(&g, nodes, waves);
        err = WEIR_OK;
    }
    free(given);
    free(g.spots);
    free(g.by_rank);
    free(g.stack);
    return err;
}
