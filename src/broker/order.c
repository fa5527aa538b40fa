/* SPDX-License-Identifier: MIT
 *
 * Stopping order (contract in order.h): again and again all nodes that no waiting node feeds. Where
 * there is none, a cycle is cut at the first node of those that only their own cycle feeds.
 */
#include "broker/order.h"

#include <stdlib.h>
#include <string.h>

enum {
    REACHED = 1, /* from the node in question */
    REACHES = 2  /* the node in question */
};

/* Nodes are known by their place in `nodes`, which is in wr_node.order. */
typedef struct graph {
    wr_link *const *links;
    size_t link_count;
    wr_node **nodes;
    size_t count;
    size_t *sources; /* of each node: links from nodes that wait */
    bool *waiting;
    unsigned char *marks;
    wr_node **ordered;
} graph;

static bool is_node(const graph *g, const wr_node *node)
{
    return node->order < g->count && g->nodes[node->order] == node;
}

/* Between two nodes that wait? */
static bool is_edge(const graph *g, const wr_link *link)
{
    return is_node(g, link->source) && is_node(g, link->sink) && g->waiting[link->source->order] &&
           g->waiting[link->sink->order];
}

static void count_sources(graph *g)
{
    for (size_t i = 0; i < g->count; i++) {
        g->nodes[i]->order = i;
        g->waiting[i] = true;
    }
    for (size_t i = 0; i < g->link_count; i++) {
        if (is_edge(g, g->links[i])) {
            g->sources[g->links[i]->sink->order]++;
        }
    }
}

static bool spread(graph *g, size_t from, size_t to, unsigned char mark)
{
    if ((g->marks[from] & mark) == 0 || (g->marks[to] & mark) != 0) {
        return false;
    }
    g->marks[to] |= mark;
    return true;
}

/* Is the node fed by nobody but those that it feeds itself? */
static bool only_cycle_feeds(graph *g, size_t place)
{
    memset(g->marks, 0, g->count);
    g->marks[place] = REACHED | REACHES;
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < g->link_count; i++) {
            if (is_edge(g, g->links[i])) {
                size_t source = g->links[i]->source->order;
                size_t sink = g->links[i]->sink->order;
                changed |= spread(g, source, sink, REACHED);
                changed |= spread(g, sink, source, REACHES);
            }
        }
    }
    return memchr(g->marks, REACHES, g->count) == NULL;
}

static size_t cut_cycle(graph *g)
{
    size_t i = 0;
    while (!g->waiting[i] || !only_cycle_feeds(g, i)) {
        i++;
    }
    return i;
}

/* Append the next wave to `ordered`, which has `done` nodes. Returns how many it has then. */
static size_t order_wave(graph *g, size_t done)
{
    size_t end = done;
    for (size_t i = 0; i < g->count; i++) {
        if (g->waiting[i] && g->sources[i] == 0) {
            g->ordered[end++] = g->nodes[i];
        }
    }
    if (end == done) {
        g->ordered[end++] = g->nodes[cut_cycle(g)];
    }
    return end;
}

/* Its sinks wait for one source less. */
static void remove_node(graph *g, size_t place)
{
    const wr_fanout *out = atomic_load(&g->nodes[place]->out);
    for (size_t i = 0; out != NULL && i < out->count; i++) {
        if (is_edge(g, out->links[i])) {
            g->sources[out->links[i]->sink->order]--;
        }
    }
    g->waiting[place] = false;
}

static void order(graph *g, size_t *waves)
{
    size_t done = 0;
    count_sources(g);
    for (size_t wave = 0; done < g->count; wave++) {
        size_t end = order_wave(g, done);
        for (; done < end; done++) {
            waves[done] = wave;
            remove_node(g, g->ordered[done]->order);
        }
    }
    memcpy(g->nodes, g->ordered, g->count * sizeof(wr_node *));
}

weir_err wr_order_nodes(wr_link *const *links, size_t link_count, wr_node **nodes, size_t count,
                        size_t *waves)
{
    graph g = {.links = links, .link_count = link_count, .nodes = nodes, .count = count};
    g.sources = calloc(count + 1, sizeof(*g.sources));
    g.waiting = calloc(count + 1, sizeof(*g.waiting));
    g.marks = calloc(count + 1, sizeof(*g.marks));
    g.ordered = calloc(count + 1, sizeof(wr_node *));
    weir_err err = WEIR_ERR_MEMORY;
    if (g.sources != NULL && g.waiting != NULL && g.marks != NULL && g.ordered != NULL) {
        order(&g, waves);
        err = WEIR_OK;
    }
    free(g.sources);
    free(g.waiting);
    free(g.marks);
    free(g.ordered);
    return err;
}
