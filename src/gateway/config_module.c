/* SPDX-License-Identifier: MIT
 *
 * One entry of "modules": its name, its loader, its args.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/config_reader.h"

#define DEFAULT_LOADER "native"
#define NO_ARGS "null"

enum {
    MODULE_NAME,
    MODULE_LOADER,
    MODULE_ARGS,
    MODULE_ISOLATION,
    MODULE_RESTART,
    MODULE_HEARTBEAT,
    MODULE_SANDBOX
};
enum { USE_NAME, USE_ENTRYPOINT };
enum { ISOLATION_THREAD, ISOLATION_PROCESS };

static const char *const isolation_words[] = {
    [ISOLATION_THREAD] = "thread", [ISOLATION_PROCESS] = "process", NULL};

static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Give the module its place under its name, for links; a wrong name too, so that a link to it is
 * not reported as well. */
static void enter_name(wr_config_reader *reader, const wr_json_value *value, const char *name)
{
    size_t other = 0;
    if (reader->module_index == NULL) {
        return;
    }
    if (wr_config_lookup(reader->module_index, name, &other)) {
        wr_config_problem(reader, value, "the name %s is that of modules[%zu] already",
                          wr_show_text(name).text, other);
        return;
    }
    wr_config_enter(reader, reader->module_index, name, value->parent->index);
}

static void take_name(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                      void *target)
{
    const char *name = json_string_value(value->json);
    if (strcmp(name, "*") == 0) {
        wr_config_problem(reader, value, "\"*\" means every module, in links (expected a name)");
        return;
    }
    if (has_control(name)) {
        wr_config_problem(reader, value, "%s contains a control character",
                          wr_show_text(name).text);
    }
    enter_name(reader, value, name);
    wr_take_text(reader, option, value, target);
}

static void take_args(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                      void *target)
{
    char **field = (char **)((char *)target + option->offset);
    *field = wr_json_compact(&reader->json, value->node);
    reader->out_of_memory = reader->out_of_memory || *field == NULL;
}

static const wr_option module_options[] = {
    [MODULE_NAME] = {.key = "name",
                     .summary = "what links call the module",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_NAME_MAX,
                     .old_key = "module name",
                     .offset = offsetof(wr_module_draft, config.name),
                     .take = take_name},
    [MODULE_LOADER] = {.key = "loader",
                       .summary = "how the module is loaded",
                       .kind = WR_OPTION_OBJECT,
                       .old_key = "module path"},
    [MODULE_ARGS] = {.key = "args",
                     .summary = "what the module is created with",
                     .kind = WR_OPTION_ANY,
                     .offset = offsetof(wr_module_draft, config.args),
                     .take = take_args},
    [MODULE_ISOLATION] = {.key = "isolation",
                          .summary = "where a native module runs",
                          .kind = WR_OPTION_TEXT,
                          .words = isolation_words,
                          .offset = offsetof(wr_module_draft, isolation),
                          .take = wr_take_word},
    [MODULE_RESTART] = {.key = "restart",
                        .summary = "what happens when the module's process ends",
                        .kind = WR_OPTION_OBJECT,
                        .offset = offsetof(wr_module_draft, config.restart),
                        .take = wr_config_take_restart},
    [MODULE_HEARTBEAT] = {.key = "heartbeat",
                          .summary = "how it is noticed that the module hangs",
                          .kind = WR_OPTION_OBJECT,
                          .offset = offsetof(wr_module_draft, config.heartbeat),
                          .take = wr_config_take_heartbeat},
    [MODULE_SANDBOX] = {.key = "sandbox",
                        .summary = "what the module's process may not do",
                        .kind = WR_OPTION_OBJECT,
                        .offset = offsetof(wr_module_draft, config.sandbox),
                        .take = wr_config_take_sandbox},
};

static const wr_option loader_use_options[] = {
    [USE_NAME] = {.key = "name",
                  .summary = "which loader",
                  .kind = WR_OPTION_TEXT,
                  .max = WR_NAME_MAX,
                  .offset = offsetof(wr_module_draft, config.loader),
                  .take = wr_take_text},
    [USE_ENTRYPOINT] = {.key = "entrypoint",
                        .summary = "where the module's code is",
                        .kind = WR_OPTION_OBJECT},
};

const wr_option_table wr_module_options = WR_OPTION_TABLE("Module", module_options);
const wr_option_table wr_loader_use_options =
    WR_OPTION_TABLE("Loader of a module", loader_use_options);

/* Read "loader" and what hangs on it. The loader; NULL: none, which was reported. */
static const wr_loader_entry *read_loader_use(wr_config_reader *reader, const wr_json_value *module,
                                              const wr_json_value *use, wr_module_draft *draft)
{
    wr_json_value found[WR_OPTIONS_MAX] = {{0}};
    if (use->json != NULL &&
        !wr_config_take_object(reader, use, &wr_loader_use_options, found, draft)) {
        return NULL;
    }
    bool named = found[USE_NAME].json != NULL;
    if (!named) {
        draft->config.loader = wr_config_copy(reader, DEFAULT_LOADER);
    }
    if (draft->config.loader == NULL) {
        return NULL;
    }
    const wr_loader_entry *loader =
        wr_config_find_loader(reader, named ? &found[USE_NAME] : module, draft->config.loader);
    if (loader == NULL || loader->broken) {
        return NULL;
    }
    draft->config.type = loader->type;
    wr_config_read_entrypoint(reader, loader, module, use, &found[USE_ENTRYPOINT], draft);
    return loader;
}

static void check_isolation(wr_config_reader *reader, const wr_json_value *isolation,
                            wr_module_draft *draft)
{
    if (isolation->json != NULL && draft->config.type != WR_LOADER_NATIVE) {
        wr_config_key_problem(reader, isolation,
                              "is for modules with a native loader (this one has a process of its "
                              "own already)");
        return;
    }
    draft->config.isolated = draft->isolation == ISOLATION_PROCESS;
}

/* What is for processes only must have one to look after. */
static void check_supervision(wr_config_reader *reader, const wr_json_value *found,
                              const wr_module_config *module)
{
    bool launched = module->isolated || module->outprocess.launch.path != NULL;
    bool remote = module->isolated || module->type == WR_LOADER_OUTPROCESS;
    static const unsigned of_launched[] = {MODULE_RESTART, MODULE_SANDBOX};
    for (size_t i = 0; !launched && i < sizeof(of_launched) / sizeof(of_launched[0]); i++) {
        const wr_json_value *key = &found[of_launched[i]];
        if (key->json != NULL) {
            wr_config_key_problem(reader, key,
                                  "is for modules whose process the gateway starts (expected "
                                  "\"isolation\": \"process\" or \"activation.type\": \"launch\")");
        }
    }
    if (found[MODULE_HEARTBEAT].json != NULL && !remote) {
        wr_config_key_problem(reader, &found[MODULE_HEARTBEAT],
                              "is for modules in another process (expected \"isolation\": "
                              "\"process\" or a loader of type \"outprocess\")");
    }
}

/* Args of a remote module travel in one control message. */
static void check_args(wr_config_reader *reader, const wr_json_value *args,
                       const wr_module_config *module)
{
    bool remote = module->type == WR_LOADER_OUTPROCESS || module->isolated;
    unsigned limit = module->isolated ? WR_ARGS_HOSTED_MAX : WR_ARGS_SENT_MAX;
    size_t size = module->args == NULL ? 0 : strlen(module->args);
    if (remote && size > limit) {
        wr_config_problem(reader, args,
                          "is %zu bytes long without white space (at most %u for a module in "
                          "another process)",
                          size, limit);
    }
}

void wr_config_read_module(wr_config_reader *reader, const wr_json_value *value,
                           wr_module_config *out)
{
    wr_json_value found[WR_OPTIONS_MAX];
    wr_module_draft draft = wr_module_draft_default;
    draft.config.place = wr_config_place_of(reader, value);
    if (wr_config_take_object(reader, value, &wr_module_options, found, &draft)) {
        if (read_loader_use(reader, value, &found[MODULE_LOADER], &draft) != NULL) {
            check_isolation(reader, &found[MODULE_ISOLATION], &draft);
            check_supervision(reader, found, &draft.config);
        }
        check_args(reader, &found[MODULE_ARGS], &draft.config);
    }
    if (draft.config.args == NULL) {
        draft.config.args = wr_config_copy(reader, NO_ARGS);
    }
    *out = draft.config;
}

void wr_module_config_deinit(wr_module_config *module)
{
    free(module->name);
    free(module->loader);
    free(module->args);
    free(module->module_path);
    wr_sandbox_config_deinit(&module->sandbox);
    wr_outprocess_config_deinit(&module->outprocess);
}
