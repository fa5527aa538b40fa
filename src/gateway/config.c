/* SPDX-License-Identifier: MIT
 *
 * A configuration from its file: the text is read, all of it is checked, and only a text without a
 * mistake becomes a wr_config.
 */
#include "gateway/config.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/config_reader.h"
#include "platform/file.h"

#define GRACE_PERIOD_MAX_MS 3600000u
#define RECEIVE_DEADLINE_MAX_MS 3600000u
#define THREADS_MAX 1024u
#define CRASH_REPORTS_MAX 1000u
#define MIB (1024u * 1024u)

enum {
    GATEWAY_GRACE,
    GATEWAY_RECEIVE_DEADLINE,
    GATEWAY_THREADS,
    GATEWAY_CRASH_FOLDER,
    GATEWAY_CRASH_REPORTS
};
enum { FILE_LOADERS, FILE_MODULES, FILE_LINKS, FILE_GATEWAY };

/* A text to read, and what it is. */
typedef struct config_source {
    const char *text;
    size_t size;
    const char *file;   /* shown in front of problems */
    const char *folder; /* module.path is relative to it */
    const char *root;   /* what problems call the whole */
    void (*read)(wr_config_reader *reader, const wr_json_value *root);
} config_source;

static const wr_option gateway_options[] = {
    [GATEWAY_GRACE] = {.key = "grace.period.ms",
                       .summary = "milliseconds that queued messages have when the gateway stops",
                       .kind = WR_OPTION_NUMBER,
                       .max = GRACE_PERIOD_MAX_MS,
                       .offset = offsetof(wr_config, grace_period_ms),
                       .take = wr_take_u32},
    [GATEWAY_RECEIVE_DEADLINE] = {.key = "receive.deadline.ms",
                                  .summary = "milliseconds after which a native module that is "
                                             "still in receive is reported",
                                  .kind = WR_OPTION_NUMBER,
                                  .max = RECEIVE_DEADLINE_MAX_MS,
                                  .offset = offsetof(wr_config, receive_deadline_ms),
                                  .take = wr_take_u32},
    [GATEWAY_THREADS] = {.key = "threads",
                         .summary = "threads that run modules",
                         .kind = WR_OPTION_NUMBER,
                         .max = THREADS_MAX,
                         .offset = offsetof(wr_config, threads),
                         .take = wr_take_u32},
    [GATEWAY_CRASH_FOLDER] = {.key = "crash.folder",
                              .summary = "the folder for crash reports of remote modules",
                              .kind = WR_OPTION_TEXT,
                              .min = 1,
                              .max = WR_TEXT_MAX,
                              .offset = offsetof(wr_config, crash_folder),
                              .take = wr_take_text},
    [GATEWAY_CRASH_REPORTS] = {.key = "crash.reports",
                               .summary = "crash reports that are kept for each module",
                               .kind = WR_OPTION_NUMBER,
                               .max = CRASH_REPORTS_MAX,
                               .offset = offsetof(wr_config, crash_reports),
                               .take = wr_take_u32},
};

const wr_option_table wr_gateway_options = WR_OPTION_TABLE("Gateway", gateway_options);

static void take_loaders(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target)
{
    (void)option;
    (void)target;
    wr_config_read_loaders(reader, value);
}

static void take_modules(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target)
{
    (void)option;
    wr_config *config = target;
    config->modules = calloc((size_t)value->node->count + 1, sizeof(*config->modules));
    reader->module_index = json_object();
    if (config->modules == NULL || reader->module_index == NULL) {
        reader->out_of_memory = true;
        return;
    }
    wr_json_value module;
    for (bool more = wr_json_first(&reader->json, value, &module); more;
         more = wr_json_next(&reader->json, &module)) {
        wr_config_read_module(reader, &module, &config->modules[config->module_count++]);
    }
}

static void take_links(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value, void *target)
{
    (void)option;
    wr_config *config = target;
    config->links = calloc((size_t)value->node->count + 1, sizeof(*config->links));
    if (config->links == NULL) {
        reader->out_of_memory = true;
        return;
    }
    wr_json_value link;
    for (bool more = wr_json_first(&reader->json, value, &link); more;
         more = wr_json_next(&reader->json, &link)) {
        wr_config_read_link(reader, &link, &config->links[config->link_count++]);
    }
}

static void take_gateway(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target)
{
    (void)option;
    wr_json_value found[WR_OPTIONS_MAX];
    (void)wr_config_take_object(reader, value, &wr_gateway_options, found, target);
}

/* In the order in which they are read: modules name loaders, links name modules. */
static const wr_option file_options[] = {
    [FILE_LOADERS] = {.key = "loaders",
                      .summary = "loaders with defaults",
                      .kind = WR_OPTION_ARRAY,
                      .max = WR_CONFIG_LOADERS_MAX,
                      .take = take_loaders},
    [FILE_MODULES] = {.key = "modules",
                      .summary = "the modules of the gateway",
                      .kind = WR_OPTION_ARRAY,
                      .required = true,
                      .max = WR_CONFIG_MODULES_MAX,
                      .take = take_modules},
    [FILE_LINKS] = {.key = "links",
                    .summary = "who gets whose messages",
                    .kind = WR_OPTION_ARRAY,
                    .max = WR_CONFIG_LINKS_MAX,
                    .take = take_links},
    [FILE_GATEWAY] = {.key = "gateway",
                      .summary = "settings of the gateway itself",
                      .kind = WR_OPTION_OBJECT,
                      .take = take_gateway},
};

const wr_option_table wr_file_options = WR_OPTION_TABLE("File", file_options);

static void read_file_root(wr_config_reader *reader, const wr_json_value *root)
{
    wr_json_value found[WR_OPTIONS_MAX];
    if (wr_config_take_object(reader, root, &wr_file_options, found, reader->config) &&
        reader->problem_count == 0 && !reader->out_of_memory) {
        wr_config_warn_cycles(reader);
    }
}

static void read_module_root(wr_config_reader *reader, const wr_json_value *root)
{
    wr_config *config = reader->config;
    config->modules = calloc(1, sizeof(*config->modules));
    if (config->modules == NULL) {
        reader->out_of_memory = true;
        return;
    }
    config->module_count = 1;
    wr_config_read_module(reader, root, config->modules);
}

static void read_link_root(wr_config_reader *reader, const wr_json_value *root)
{
    wr_config *config = reader->config;
    config->links = calloc(1, sizeof(*config->links));
    if (config->links == NULL) {
        reader->out_of_memory = true;
        return;
    }
    config->link_count = 1;
    wr_config_read_link(reader, root, config->links);
}

/* Everything before the last slash; the caller frees it. */
static char *folder_of(wr_config_reader *reader, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = wr_config_copy(reader, slash == NULL ? "." : path);
    if (folder != NULL && slash != NULL) {
        folder[slash == path ? 1 : slash - path] = '\0';
    }
    return folder;
}

static bool prepare(wr_config_reader *reader, const config_source *source)
{
    reader->file = source->file;
    reader->root_name = source->root;
    reader->config = calloc(1, sizeof(*reader->config));
    reader->loaders = calloc(2, sizeof(*reader->loaders));
    reader->loader_index = json_object();
    reader->addresses = json_object();
    reader->link_pairs = json_object();
    if (reader->config == NULL || reader->loaders == NULL || reader->loader_index == NULL ||
        reader->addresses == NULL || reader->link_pairs == NULL) {
        return false;
    }
    wr_config_add_builtin_loaders(reader);
    reader->config->grace_period_ms = WR_GRACE_PERIOD_DEFAULT_MS;
    reader->config->crash_reports = WR_CRASH_REPORTS_DEFAULT;
    reader->config->receive_deadline_ms = WR_RECEIVE_DEADLINE_DEFAULT_MS;
    reader->config->path = wr_config_copy(reader, source->file);
    reader->config->folder = source->folder == NULL ? folder_of(reader, source->file)
                                                    : wr_config_copy(reader, source->folder);
    return !reader->out_of_memory;
}

static void reader_deinit(wr_config_reader *reader)
{
    wr_config_destroy(reader->config);
    free(reader->loaders);
    json_decref(reader->loader_index);
    json_decref(reader->module_index);
    json_decref(reader->addresses);
    json_decref(reader->link_pairs);
    wr_json_deinit(&reader->json);
}

/* Errors: MEMORY. Mistakes of the text become problems. */
static weir_err read_source(wr_config_reader *reader, const config_source *source)
{
    if (source->size > WR_CONFIG_SIZE_MAX) {
        wr_config_text_problem(reader, 1, 1, "is larger than %u MiB", WR_CONFIG_SIZE_MAX / MIB);
        return WEIR_OK;
    }
    wr_json_mistake mistake;
    weir_err err = wr_json_load(&reader->json, source->text, source->size, &mistake);
    if (err == WEIR_ERR_CONFIG) {
        unsigned line = 0, column = 0;
        wr_json_position(&reader->json, mistake.offset, &line, &column);
        wr_config_text_problem(reader, line, column, "%s", mistake.text);
        return WEIR_OK;
    }
    if (err != WEIR_OK) {
        return err;
    }
    wr_json_value root = wr_json_root(&reader->json);
    wr_config_find_duplicates(reader, &root);
    source->read(reader, &root);
    return WEIR_OK;
}

static weir_err read_config(const config_source *source, weir_problem_fn on_problem, void *user,
                            wr_config **out)
{
    wr_config_reader reader = {0};
    weir_err err = prepare(&reader, source) ? read_source(&reader, source) : WEIR_ERR_MEMORY;
    if (reader.out_of_memory || reader.json.failed) {
        err = WEIR_ERR_MEMORY;
    }
    if (err == WEIR_OK && reader.problem_count > 0) {
        err = WEIR_ERR_CONFIG;
    }
    wr_config_report(&reader, on_problem, user);
    if (err == WEIR_ERR_MEMORY) {
        wr_config_report_memory(source->file, on_problem, user);
    }
    if (err == WEIR_OK) {
        *out = reader.config;
        reader.config = NULL;
    }
    reader_deinit(&reader);
    return err;
}

static void report_unreadable(const char *path, weir_err err, const wr_error *error,
                              weir_problem_fn on_problem, void *user)
{
    wr_config_reader reader = {.file = path, .root_name = "file"};
    switch (err) {
    case WEIR_ERR_NOT_FOUND:
        wr_config_text_problem(&reader, 1, 1, "there is no such file");
        break;
    case WEIR_ERR_INVALID:
        wr_config_text_problem(&reader, 1, 1,
                               "is a folder, device, pipe or socket (expected a file)");
        break;
    case WEIR_ERR_TOO_LARGE:
        wr_config_text_problem(&reader, 1, 1, "is larger than %u MiB", WR_CONFIG_SIZE_MAX / MIB);
        break;
    default:
        wr_config_text_problem(&reader, 1, 1, "cannot be read: %s", wr_error_text(error));
        break;
    }
    wr_config_report(&reader, on_problem, user);
}

weir_err wr_config_read(const char *path, weir_problem_fn on_problem, void *user, wr_config **out)
{
    char *text = NULL;
    size_t size = 0;
    wr_error error = {0};
    weir_err err = wr_file_read(path, WR_CONFIG_SIZE_MAX, &text, &size, &error);
    if (err == WEIR_ERR_MEMORY) {
        wr_config_report_memory(path, on_problem, user);
        return err;
    }
    if (err != WEIR_OK) {
        report_unreadable(path, err, &error, on_problem, user);
        return WEIR_ERR_CONFIG;
    }
    err = wr_config_parse(text, size, path, on_problem, user, out);
    free(text);
    return err;
}

weir_err wr_config_parse(const char *text, size_t size, const char *path,
                         weir_problem_fn on_problem, void *user, wr_config **out)
{
    const config_source source = {text, size, path, NULL, "file", read_file_root};
    return read_config(&source, on_problem, user, out);
}

weir_err wr_config_parse_module(const char *text, const char *folder, weir_problem_fn on_problem,
                                void *user, wr_config **out)
{
    const config_source source = {text, strlen(text), "module", folder, "module", read_module_root};
    return read_config(&source, on_problem, user, out);
}

weir_err wr_config_parse_link(const char *text, weir_problem_fn on_problem, void *user,
                              wr_config **out)
{
    const config_source source = {text, strlen(text), "link", ".", "link", read_link_root};
    return read_config(&source, on_problem, user, out);
}

void wr_config_destroy(wr_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->module_count; i++) {
        wr_module_config_deinit(&config->modules[i]);
    }
    for (size_t i = 0; i < config->link_count; i++) {
        wr_link_config_deinit(&config->links[i]);
    }
    free(config->modules);
    free(config->links);
    free(config->path);
    free(config->folder);
    free(config->crash_folder);
    free(config);
}
