/* SPDX-License-Identifier: MIT
 *
 * "loaders" of a configuration: names for the two kinds of loader, with defaults for the entry
 * points of the modules that use them.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/config_reader.h"

#define NO_BINDING_TEXT                                                                            \
    "Weir has no such binding; run the module as a remote module, in a program of its own, with "  \
    "the loader \"outprocess\""

enum { LOADER_TYPE, LOADER_NAME, LOADER_CONFIGURATION };

static const char *const type_words[] = {
    [WR_LOADER_NATIVE] = "native", [WR_LOADER_OUTPROCESS] = "outprocess", NULL};

/* Loaders of the earlier system that Weir leaves to remote modules. */
static const char *const bindings[] = {"java", "node", "dotnet", "dotnetcore"};

static bool is_binding(const char *name)
{
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        if (strcmp(bindings[i], name) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct loader_draft {
    unsigned type;
    bool typed;
} loader_draft;

static void take_type(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                      void *target)
{
    loader_draft *draft = target;
    if (is_binding(json_string_value(value->json))) {
        wr_config_problem(reader, value, "%s", NO_BINDING_TEXT);
        return;
    }
    static const wr_option type = {.kind = WR_OPTION_TEXT, .words = type_words};
    if (wr_config_check(reader, &type, value)) {
        wr_take_word(reader, &(wr_option){.words = type_words, .offset = option->offset}, value,
                     draft);
        draft->typed = true;
    }
}

static const wr_option loader_options[] = {
    [LOADER_TYPE] = {.key = "type",
                     .summary = "\"native\" or \"outprocess\"",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .max = WR_NAME_MAX,
                     .offset = offsetof(loader_draft, type),
                     .take = take_type},
    [LOADER_NAME] = {.key = "name",
                     .summary = "what modules call the loader",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_NAME_MAX},
    [LOADER_CONFIGURATION] = {.key = "configuration",
                              .summary = "defaults for the modules' entry points",
                              .kind = WR_OPTION_OBJECT},
};

const wr_option_table wr_loader_options = WR_OPTION_TABLE("Loader", loader_options);

static void enter(wr_config_reader *reader, wr_loader_entry entry)
{
    reader->loaders[reader->loader_count] = entry;
    wr_config_enter(reader, reader->loader_index, entry.name, reader->loader_count);
    reader->loader_count++;
}

void wr_config_add_builtin_loaders(wr_config_reader *reader)
{
    enter(reader, (wr_loader_entry){.name = "native", .type = WR_LOADER_NATIVE});
    enter(reader, (wr_loader_entry){.name = "outprocess", .type = WR_LOADER_OUTPROCESS});
}

/* Report what is wrong with the defaults once, here; modules inherit them without a word. */
static void check_defaults(wr_config_reader *reader, wr_loader_type type,
                           const wr_json_value *configuration)
{
    const wr_option_table *table = wr_entrypoint_options(type);
    wr_json_value found[WR_OPTIONS_MAX] = {{0}};
    wr_module_draft scratch = wr_module_draft_default;
    if (wr_config_match(reader, configuration, table, found)) {
        wr_config_take(reader, table, found, &scratch);
    }
    wr_module_config_deinit(&scratch.config);
}

/* May the loader be called that? Reports it if not. */
static bool check_name(wr_config_reader *reader, const wr_json_value *name,
                       const loader_draft *draft)
{
    size_t at = 0;
    if (!wr_config_lookup(reader->loader_index, json_string_value(name->json), &at)) {
        return true;
    }
    const wr_loader_entry *same = &reader->loaders[at];
    if (same->from_file) {
        wr_config_problem(reader, name, "another loader has the name %s",
                          wr_show_text(same->name).text);
        return false;
    }
    if (draft->typed && draft->type != (unsigned)same->type) {
        wr_config_problem(reader, name, "the built-in loader \"%s\" cannot get another type",
                          same->name);
        return false;
    }
    return true;
}

static void read_loader(wr_config_reader *reader, const wr_json_value *value)
{
    wr_json_value found[WR_OPTIONS_MAX];
    loader_draft draft = {0, false};
    if (!wr_config_take_object(reader, value, &wr_loader_options, found, &draft)) {
        return;
    }
    wr_json_value *configuration = &found[LOADER_CONFIGURATION];
    bool checks = configuration->json != NULL &&
                  wr_config_check(reader, &loader_options[LOADER_CONFIGURATION], configuration);
    if (checks && draft.typed) {
        check_defaults(reader, (wr_loader_type)draft.type, configuration);
    }
    const wr_json_value *name = &found[LOADER_NAME];
    if (name->json == NULL || !wr_config_check(reader, &loader_options[LOADER_NAME], name) ||
        !check_name(reader, name, &draft)) {
        return;
    }
    wr_loader_entry entry = {.name = json_string_value(name->json),
                             .type = (wr_loader_type)draft.type,
                             .broken = !draft.typed,
                             .from_file = true};
    if (checks) {
        entry.defaults = *configuration;
        entry.defaults.parent = NULL;
        entry.defaults.inherited = true;
    }
    enter(reader, entry);
}

void wr_config_read_loaders(wr_config_reader *reader, const wr_json_value *array)
{
    size_t count = reader->loader_count + array->node->count;
    wr_loader_entry *more = realloc(reader->loaders, count * sizeof(*more));
    if (more == NULL) {
        reader->out_of_memory = true;
        return;
    }
    reader->loaders = more;
    wr_json_value value;
    for (bool next = wr_json_first(&reader->json, array, &value); next;
         next = wr_json_next(&reader->json, &value)) {
        read_loader(reader, &value);
    }
}

const wr_loader_entry *wr_config_find_loader(wr_config_reader *reader, const wr_json_value *value,
                                             const char *name)
{
    size_t at = 0;
    if (wr_config_lookup(reader->loader_index, name, &at)) {
        return &reader->loaders[at];
    }
    if (is_binding(name)) {
        wr_config_problem(reader, value, "%s", NO_BINDING_TEXT);
        return NULL;
    }
    wr_suggestion near = wr_suggestion_for(name, strlen(name));
    for (size_t i = 0; wr_config_explains(reader) && i < reader->loader_count; i++) {
        wr_suggestion_try(&near, reader->loaders[i].name);
    }
    wr_config_problem(reader, value, "there is no loader %s (%s)", wr_show_text(name).text,
                      near.best == NULL ? "built in are \"native\" and \"outprocess\""
                                        : wr_suggestion_text(&near).text);
    return NULL;
}
