/* SPDX-License-Identifier: MIT
 *
 * Cycles of links that block: when all their queues are full, each module of the cycle waits for
 * the next, and none ever runs again. Such a file is allowed; the log names the cycle.
 *
 * A link from "*" is never spread out to one link for each module, so that the search is linear:
 * two blocking sinks of "*" feed each other, and the only one S is in a cycle as soon as it feeds
 * any module, because that module feeds S.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "gateway/config_reader.h"

#define CYCLES_SHOWN_MAX 10u /* lines in the log */
#define CYCLE_TEXT_MAX 512u  /* bytes of a cycle's names, about */

typedef enum visit_state {
    VISIT_NEW,
    VISIT_OPEN, /* on the path that is being followed */
    VISIT_DONE
} visit_state;

/* The blocking links as a graph: those of module m are edges[first[m]] to edges[first[m + 1] - 1],
 * each an index in links. */
typedef struct link_graph {
    wr_config_reader *reader;
    const wr_config *config;
    size_t *first;
    size_t *edges;
    size_t *sinks; /* by link */
    size_t *next;  /* by module: its next edge to follow */
    size_t *path;  /* open modules, in order */
    visit_state *state;
    size_t shown;
} link_graph;

static bool is_from_every(const wr_link_config *link)
{
    return strcmp(link->source, "*") == 0;
}

static bool blocks(const wr_link_config *link)
{
    return link->queue.when_full == WR_WHEN_FULL_BLOCK;
}

static void warn(link_graph *graph, const wr_link_config *link, const size_t *modules, size_t count)
{
    wr_buffer names = WR_BUFFER_INIT;
    if (graph->shown++ >= CYCLES_SHOWN_MAX) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (names.size > CYCLE_TEXT_MAX) {
            wr_buffer_append_text(&names, "... -> ");
            break;
        }
        wr_buffer_printf(&names, "%s -> ", graph->config->modules[modules[i]].name);
    }
    wr_buffer_append_text(&names, graph->config->modules[modules[0]].name);
    if (names.failed) {
        graph->reader->out_of_memory = true;
    } else {
        wr_log("weir", WEIR_LOG_WARN,
               "%s:%u:%u: links[%zu]: closes a cycle of links that can all wait for each other "
               "(let one of them drop: \"queue\": {\"when.full\": \"drop.oldest\"}): %s",
               graph->reader->file, link->place.line, link->place.column, link->place.index,
               names.data);
    }
    wr_buffer_deinit(&names);
}

static void graph_deinit(link_graph *graph)
{
    free(graph->first);
    free(graph->edges);
    free(graph->sinks);
    free(graph->next);
    free(graph->path);
    free(graph->state);
}

static bool graph_init(link_graph *graph, wr_config_reader *reader)
{
    const wr_config *config = reader->config;
    size_t modules = config->module_count + 1, links = config->link_count + 1;
    *graph = (link_graph){.reader = reader, .config = config};
    graph->first = calloc(modules + 1, sizeof(*graph->first));
    graph->edges = calloc(links, sizeof(*graph->edges));
    graph->sinks = calloc(links, sizeof(*graph->sinks));
    graph->next = calloc(modules, sizeof(*graph->next));
    graph->path = calloc(modules, sizeof(*graph->path));
    graph->state = calloc(modules, sizeof(*graph->state));
    return graph->first != NULL && graph->edges != NULL && graph->sinks != NULL &&
           graph->next != NULL && graph->path != NULL && graph->state != NULL;
}

/* Sort the blocking links by their source, by counting. */
static void graph_fill(link_graph *graph)
{
    const wr_config *config = graph->config;
    const json_t *index = graph->reader->module_index;
    size_t source = 0;
    for (size_t i = 0; i < config->link_count; i++) {
        const wr_link_config *link = &config->links[i];
        (void)wr_config_lookup(index, link->sink, &graph->sinks[i]);
        if (blocks(link) && wr_config_lookup(index, link->source, &source)) {
            graph->first[source + 1]++;
        }
    }
    for (size_t m = 0; m < config->module_count; m++) {
        graph->first[m + 1] += graph->first[m];
        graph->next[m] = graph->first[m];
    }
    for (size_t i = 0; i < config->link_count; i++) {
        const wr_link_config *link = &config->links[i];
        if (blocks(link) && wr_config_lookup(index, link->source, &source)) {
            graph->edges[graph->next[source]++] = i;
        }
    }
    memcpy(graph->next, graph->first, config->module_count * sizeof(*graph->next));
}

/* The open path from `sink` on, which the link at its end closes. */
static void warn_of_path(link_graph *graph, const wr_link_config *link, size_t depth, size_t sink)
{
    size_t start = depth - 1;
    while (graph->path[start] != sink) {
        start--;
    }
    warn(graph, link, &graph->path[start], depth - start);
}

/* Follow every path from `module`, depth first; a link back into the open path closes a cycle. */
static void follow(link_graph *graph, size_t module)
{
    size_t depth = 0;
    graph->path[depth++] = module;
    graph->state[module] = VISIT_OPEN;
    while (depth > 0 && graph->shown <= CYCLES_SHOWN_MAX) {
        size_t at = graph->path[depth - 1];
        if (graph->next[at] == graph->first[at + 1]) {
            graph->state[at] = VISIT_DONE;
            depth--;
            continue;
        }
        size_t link = graph->edges[graph->next[at]++];
        size_t sink = graph->sinks[link];
        if (graph->state[sink] == VISIT_OPEN) {
            warn_of_path(graph, &graph->config->links[link], depth, sink);
        } else if (graph->state[sink] == VISIT_NEW) {
            graph->state[sink] = VISIT_OPEN;
            graph->path[depth++] = sink;
        }
    }
}

/* Cycles that a link from "*" takes part in. */
static void check_every(link_graph *graph)
{
    const wr_config *config = graph->config;
    const wr_link_config *every = NULL;
    size_t pair[2] = {0, 0};
    for (size_t i = 0; i < config->link_count; i++) {
        const wr_link_config *link = &config->links[i];
        if (!blocks(link) || !is_from_every(link)) {
            continue;
        }
        pair[every != NULL] = graph->sinks[i];
        if (every != NULL) {
            warn(graph, link, pair, 2);
            return;
        }
        every = link;
    }
    if (every != NULL && graph->first[pair[0]] < graph->first[pair[0] + 1]) {
        pair[1] = graph->sinks[graph->edges[graph->first[pair[0]]]];
        warn(graph, every, pair, 2);
    }
}

void wr_config_warn_cycles(wr_config_reader *reader)
{
    link_graph graph;
    if (!graph_init(&graph, reader)) {
        reader->out_of_memory = true;
    } else {
        graph_fill(&graph);
        check_every(&graph);
        for (size_t m = 0; m < reader->config->module_count; m++) {
            if (graph.state[m] == VISIT_NEW && graph.shown <= CYCLES_SHOWN_MAX) {
                follow(&graph, m);
            }
        }
    }
    graph_deinit(&graph);
}
