/* SPDX-License-Identifier: MIT
 *
 * One entry of "links": a source, a sink, and the queue between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config_reader.h"

#define EVERY_MODULE "*"

enum { LINK_SOURCE, LINK_SINK, LINK_QUEUE };
enum { QUEUE_LIMIT, QUEUE_WHEN_FULL };

/* A link while it is read. */
typedef struct link_draft {
    wr_link_config config;
    unsigned when_full; /* a wr_when_full */
} link_draft;

static const wr_option queue_options[] = {
    [QUEUE_LIMIT] = {.key = "limit",
                     .summary = "messages the queue holds",
                     .kind = WR_OPTION_NUMBER,
                     .min = 1,
                     .max = WR_QUEUE_LIMIT_MAX,
                     .offset = offsetof(link_draft, config.queue.limit),
                     .take = wr_take_u32},
    [QUEUE_WHEN_FULL] = {.key = "when.full",
                         .summary = "what happens to a message that finds the queue full",
                         .kind = WR_OPTION_TEXT,
                         .words = wr_when_full_words,
                         .offset = offsetof(link_draft, when_full),
                         .take = wr_take_word},
};

const wr_option_table wr_queue_options = WR_OPTION_TABLE("Queue", queue_options);

static void take_queue(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value, void *target)
{
    (void)option;
    wr_json_value found[WR_OPTIONS_MAX];
    (void)wr_config_take_object(reader, value, &wr_queue_options, found, target);
}

static const wr_option link_options[] = {
    [LINK_SOURCE] = {.key = "source",
                     .summary = "a module's name, or \"*\" for every other module",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_NAME_MAX,
                     .offset = offsetof(link_draft, config.source),
                     .take = wr_take_text},
    [LINK_SINK] = {.key = "sink",
                   .summary = "a module's name",
                   .kind = WR_OPTION_TEXT,
                   .required = true,
                   .min = 1,
                   .max = WR_NAME_MAX,
                   .offset = offsetof(link_draft, config.sink),
                   .take = wr_take_text},
    [LINK_QUEUE] = {.key = "queue",
                    .summary = "how many messages wait, and what happens when it is full",
                    .kind = WR_OPTION_OBJECT,
                    .take = take_queue},
};

const wr_option_table wr_link_options = WR_OPTION_TABLE("Link", link_options);

static bool check_module(wr_config_reader *reader, const wr_json_value *value, const char *name,
                         size_t *index)
{
    if (wr_config_lookup(reader->module_index, name, index)) {
        return true;
    }
    wr_suggestion near = wr_suggestion_for(name, strlen(name));
    for (size_t i = 0; wr_config_explains(reader) && i < reader->config->module_count; i++) {
        if (reader->config->modules[i].name != NULL) {
            wr_suggestion_try(&near, reader->config->modules[i].name);
        }
    }
    const char *start = near.best == NULL ? "" : " (";
    wr_config_problem(reader, value, "there is no module %s%s%s%s", wr_show_text(name).text, start,
                      wr_suggestion_text(&near).text, near.best == NULL ? "" : ")");
    return false;
}

/* Both names are known modules, or "*": is the pair new? */
static void check_pair(wr_config_reader *reader, const wr_json_value *value, bool from_every,
                       size_t source, size_t sink)
{
    char pair[64];
    size_t other = 0;
    if (from_every) {
        snprintf(pair, sizeof(pair), "*>%zu", sink);
    } else {
        snprintf(pair, sizeof(pair), "%zu>%zu", source, sink);
    }
    if (wr_config_lookup(reader->link_pairs, pair, &other)) {
        wr_config_problem(reader, value, "links[%zu] has the same source and sink", other);
        return;
    }
    wr_config_enter(reader, reader->link_pairs, pair, value->index);
}

static void check_ends(wr_config_reader *reader, const wr_json_value *value,
                       const wr_json_value *found, const wr_link_config *link)
{
    size_t source = 0, sink = 0;
    if (reader->module_index == NULL) {
        return;
    }
    bool from_every = link->source != NULL && strcmp(link->source, EVERY_MODULE) == 0;
    bool source_ok =
        from_every ||
        (link->source != NULL && check_module(reader, &found[LINK_SOURCE], link->source, &source));
    bool sink_ok = link->sink != NULL && check_module(reader, &found[LINK_SINK], link->sink, &sink);
    if (source_ok && sink_ok) {
        check_pair(reader, value, from_every, source, sink);
    }
}

void wr_config_read_link(wr_config_reader *reader, const wr_json_value *value, wr_link_config *out)
{
    wr_json_value found[WR_OPTIONS_MAX];
    link_draft draft = {
        .config = {.queue = WR_QUEUE_CONFIG_DEFAULT, .place = wr_config_place_of(reader, value)}};
    bool ok = wr_config_take_object(reader, value, &wr_link_options, found, &draft);
    draft.config.queue.when_full = (wr_when_full)draft.when_full;
    *out = draft.config;
    if (!ok) {
        return;
    }
    if (out->sink != NULL && strcmp(out->sink, EVERY_MODULE) == 0) {
        wr_config_problem(reader, &found[LINK_SINK],
                          "\"*\" cannot be a sink (expected a module's name)");
        return;
    }
    if (out->sink != NULL && out->source != NULL && strcmp(out->sink, out->source) == 0) {
        wr_config_problem(reader, &found[LINK_SINK], "is the source too (expected another module)");
        return;
    }
    check_ends(reader, value, found, out);
}

void wr_link_config_deinit(wr_link_config *link)
{
    free(link->source);
    free(link->sink);
}
