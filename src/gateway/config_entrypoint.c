/* SPDX-License-Identifier: MIT
 *
 * The entry point of a module: where its code is. Each kind of loader has an option table; what a
 * module does not say is taken, key by key, from its loader's configuration.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "gateway/config_reader.h"
#include "ipc/control.h"
#include "loader/native.h"
#include "platform/process.h"
#include "platform/stream.h"
#include "weir/message.h"

#define TIMEOUT_MAX_MS 3600000u
#define TIMEOUT_DEFAULT_MS 1000u
#define GRACE_PERIOD_DEFAULT_MS 3000u

enum { NATIVE_PATH, NATIVE_SHARED, NATIVE_GRACE };
enum {
    OUT_ACTIVATION,
    OUT_CONTROL,
    OUT_MESSAGE,
    OUT_TIMEOUT,
    OUT_LIMIT,
    OUT_SHARED,
    OUT_USERS,
    OUT_LAUNCH
};
enum { LAUNCH_PATH, LAUNCH_ARGS, LAUNCH_ENV, LAUNCH_DIR, LAUNCH_GRACE };
enum { ACTIVATION_NONE, ACTIVATION_LAUNCH };

const wr_module_draft wr_module_draft_default = {
    .config = {.outprocess = {.timeout_ms = TIMEOUT_DEFAULT_MS,
                              .shared_memory = true,
                              .launch = {.grace_period_ms = GRACE_PERIOD_DEFAULT_MS}},
               .restart = WR_RESTART_CONFIG_DEFAULT,
               .heartbeat = WR_HEARTBEAT_CONFIG_DEFAULT},
};

static void take_address(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target);
static void take_launch(wr_config_reader *reader, const wr_option *option,
                        const wr_json_value *value, void *target);
static void take_env(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                     void *target);

static const char *const activation_words[] = {
    [ACTIVATION_NONE] = "none", [ACTIVATION_LAUNCH] = "launch", NULL};

static const wr_option native_options[] = {
    [NATIVE_PATH] = {.key = "module.path",
                     .summary = "the module's shared library, or the name of an installed module",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_TEXT_MAX,
                     .offset = offsetof(wr_module_draft, config.module_path),
                     .take = wr_take_text},
    [NATIVE_SHARED] = {.key = "shared.memory",
                       .summary = "may large messages go through shared memory",
                       .kind = WR_OPTION_BOOL,
                       .offset = offsetof(wr_module_draft, config.outprocess.shared_memory),
                       .take = wr_take_bool},
    [NATIVE_GRACE] = {.key = "grace.period.ms",
                      .summary = "milliseconds the module's process has to end by itself",
                      .kind = WR_OPTION_NUMBER,
                      .max = TIMEOUT_MAX_MS,
                      .offset = offsetof(wr_module_draft, config.outprocess.launch.grace_period_ms),
                      .take = wr_take_u32},
};

static const wr_option outprocess_options[] = {
    [OUT_ACTIVATION] = {.key = "activation.type",
                        .summary = "who starts the process",
                        .kind = WR_OPTION_TEXT,
                        .words = activation_words,
                        .offset = offsetof(wr_module_draft, activation),
                        .take = wr_take_word},
    [OUT_CONTROL] = {.key = "control.id",
                     .summary = "the path of the module's control socket",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_TEXT_MAX,
                     .offset = offsetof(wr_module_draft, config.outprocess.control_id),
                     .take = take_address},
    [OUT_MESSAGE] = {.key = "message.id",
                     .summary = "the path of the module's message socket",
                     .kind = WR_OPTION_TEXT,
                     .min = 1,
                     .max = WR_TEXT_MAX,
                     .offset = offsetof(wr_module_draft, config.outprocess.message_id),
                     .take = take_address},
    [OUT_TIMEOUT] = {.key = "timeout",
                     .summary = "milliseconds to wait for the module's reply",
                     .kind = WR_OPTION_NUMBER,
                     .min = 1,
                     .max = TIMEOUT_MAX_MS,
                     .offset = offsetof(wr_module_draft, config.outprocess.timeout_ms),
                     .take = wr_take_u32},
    [OUT_LIMIT] = {.key = "message.limit",
                   .summary = "the largest message in bytes",
                   .kind = WR_OPTION_NUMBER,
                   .min = WEIR_MESSAGE_SIZE_MIN,
                   .max = WEIR_MESSAGE_SIZE_MAX,
                   .offset = offsetof(wr_module_draft, config.outprocess.message_limit),
                   .take = wr_take_u64},
    [OUT_SHARED] = {.key = "shared.memory",
                    .summary = "may large messages go through shared memory",
                    .kind = WR_OPTION_BOOL,
                    .offset = offsetof(wr_module_draft, config.outprocess.shared_memory),
                    .take = wr_take_bool},
    [OUT_USERS] = {.key = "allow.users",
                   .summary = "users whose processes may be the module",
                   .kind = WR_OPTION_ARRAY,
                   .max = WR_USERS_MAX,
                   .offset = offsetof(wr_module_draft, config.outprocess.allowed),
                   .take = wr_take_users},
    [OUT_LAUNCH] = {.key = "launch",
                    .summary = "the program to start",
                    .kind = WR_OPTION_OBJECT,
                    .offset = offsetof(wr_module_draft, config.outprocess.launch),
                    .take = take_launch},
};

static const wr_option launch_options[] = {
    [LAUNCH_PATH] = {.key = "path",
                     .summary = "the program to start",
                     .kind = WR_OPTION_TEXT,
                     .required = true,
                     .min = 1,
                     .max = WR_TEXT_MAX,
                     .offset = offsetof(wr_launch_config, path),
                     .take = wr_take_text},
    [LAUNCH_ARGS] = {.key = "args",
                     .summary = "the program's arguments",
                     .kind = WR_OPTION_ARRAY,
                     .max = WR_LAUNCH_LIST_MAX,
                     .offset = offsetof(wr_launch_config, args),
                     .take = wr_take_list},
    [LAUNCH_ENV] = {.key = "env",
                    .summary = "variables added to the gateway's environment",
                    .kind = WR_OPTION_OBJECT,
                    .max = WR_LAUNCH_LIST_MAX,
                    .offset = offsetof(wr_launch_config, env),
                    .take = take_env},
    [LAUNCH_DIR] = {.key = "working.dir",
                    .summary = "the folder the program runs in",
                    .kind = WR_OPTION_TEXT,
                    .min = 1,
                    .max = WR_TEXT_MAX,
                    .offset = offsetof(wr_launch_config, working_dir),
                    .take = wr_take_text},
    [LAUNCH_GRACE] = {.key = "grace.period.ms",
                      .summary = "milliseconds the program has to end by itself",
                      .kind = WR_OPTION_NUMBER,
                      .max = TIMEOUT_MAX_MS,
                      .offset = offsetof(wr_launch_config, grace_period_ms),
                      .take = wr_take_u32},
};

const wr_option_table wr_native_options = WR_OPTION_TABLE("Entry point: native", native_options);
const wr_option_table wr_outprocess_options =
    WR_OPTION_TABLE("Entry point: outprocess", outprocess_options);
const wr_option_table wr_launch_options = WR_OPTION_TABLE("Launch", launch_options);

const wr_option_table *wr_entrypoint_options(wr_loader_type type)
{
    return type == WR_LOADER_NATIVE ? &wr_native_options : &wr_outprocess_options;
}

static void take_address(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target)
{
    char **field = (char **)((char *)target + option->offset);
    const char *path = json_string_value(value->json);
    if (strncmp(path, WR_IPC_SCHEME, strlen(WR_IPC_SCHEME)) == 0) {
        path += strlen(WR_IPC_SCHEME);
    }
    size_t size = strlen(path);
    if (size == 0) {
        wr_config_problem(reader, value, "has no path after \"%s\"", WR_IPC_SCHEME);
        return;
    }
    if (size > WR_ADDRESS_MAX) {
        wr_config_problem(reader, value, "is %zu bytes long, as the path of a socket (at most %u)",
                          size, WR_ADDRESS_MAX);
        return;
    }
    free(*field);
    *field = wr_config_copy(reader, path);
}

/* "NAME=VALUE"; NULL where the variable is wrong, which was reported. */
static char *variable(wr_config_reader *reader, const wr_json_value *member)
{
    static const wr_option text = {.kind = WR_OPTION_TEXT, .max = WR_TEXT_MAX};
    wr_json_key key = wr_json_key_get(&reader->json, member->node);
    if (key.text == NULL) {
        return NULL;
    }
    wr_buffer line = WR_BUFFER_INIT;
    if (key.size == 0 || memchr(key.text, '=', key.size) != NULL) {
        wr_config_key_problem(reader, member, "a variable's name must not %s",
                              key.size == 0 ? "be empty" : "contain \"=\"");
    } else if (wr_config_check(reader, &text, member)) {
        wr_buffer_append(&line, key.text, key.size);
        wr_buffer_append_text(&line, "=");
        wr_buffer_append_text(&line, json_string_value(member->json));
    }
    wr_json_key_release(&key);
    reader->out_of_memory = reader->out_of_memory || line.failed;
    return line.size == 0 ? NULL : wr_buffer_take(&line);
}

static void take_env(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                     void *target)
{
    char **list = wr_config_new_list(reader, value->node->count);
    if (list == NULL) {
        return;
    }
    size_t count = 0;
    wr_json_value member;
    for (bool more = wr_json_first(&reader->json, value, &member); more;
         more = wr_json_next(&reader->json, &member)) {
        list[count] = variable(reader, &member);
        count += list[count] != NULL;
    }
    *(char ***)((char *)target + option->offset) = list;
}

/* Only a warning: it may come, and the file may be meant for another machine. */
static void look_for_program(wr_config_reader *reader, const wr_json_value *at, const char *path)
{
    wr_error error = {0};
    if (path != NULL && wr_process_find_program(path, &error) != WEIR_OK) {
        wr_config_warn(reader, at, "the process cannot be started now: %s", wr_error_text(&error));
    }
}

static void take_launch(wr_config_reader *reader, const wr_option *option,
                        const wr_json_value *value, void *target)
{
    const wr_module_draft *draft = target; /* "activation.type" was taken before */
    wr_json_value found[WR_OPTIONS_MAX];
    wr_launch_config *launch = (wr_launch_config *)(void *)((char *)target + option->offset);
    if (wr_config_take_object(reader, value, &wr_launch_options, found, launch) &&
        draft->activation == ACTIVATION_LAUNCH) {
        look_for_program(reader, &found[LAUNCH_PATH], launch->path);
    }
    if (launch->args == NULL) {
        launch->args = wr_config_new_list(reader, 0);
    }
    if (launch->env == NULL) {
        launch->env = wr_config_new_list(reader, 0);
    }
}

/* ---- what must fit together ---- */

static void find_library(wr_config_reader *reader, const wr_json_value *at,
                         const wr_module_config *module)
{
    char *found = NULL;
    wr_error error = {0};
    weir_err err = wr_native_find(module->module_path, reader->config->folder, &found, &error);
    free(found);
    if (err == WEIR_ERR_MEMORY) {
        reader->out_of_memory = true;
    } else if (err != WEIR_OK) {
        wr_config_problem(reader, at, "%s", wr_error_text(&error));
    }
}

/* No two sockets of a file may have one path. */
static void claim_address(wr_config_reader *reader, const wr_json_value *at,
                          const wr_json_value *module, const char *path)
{
    size_t other = 0;
    if (path == NULL) {
        return;
    }
    if (wr_config_lookup(reader->addresses, path, &other)) {
        wr_config_problem(reader, at, "the socket %s is that of modules[%zu] already",
                          wr_show_text(path).text, other);
        return;
    }
    wr_config_enter(reader, reader->addresses, path, module->index);
}

static void launch_deinit(wr_launch_config *launch)
{
    wr_config_free_list(launch->args);
    wr_config_free_list(launch->env);
    free(launch->path);
    free(launch->working_dir);
    *launch = (wr_launch_config){.grace_period_ms = GRACE_PERIOD_DEFAULT_MS};
}

/* Does the file say, or leave open, that nobody launches the process? (A wrong word says neither.)
 */
static bool says_none(const wr_json_value *activation)
{
    const char *word = json_string_value(activation->json);
    return activation->json == NULL ||
           (word != NULL && strcmp(word, activation_words[ACTIVATION_NONE]) == 0);
}

static void check_launch(wr_config_reader *reader, const wr_json_value *at,
                         const wr_json_value *found, wr_module_draft *draft)
{
    const wr_json_value *launch = &found[OUT_LAUNCH];
    if (draft->activation == ACTIVATION_LAUNCH) {
        if (launch->json == NULL) {
            wr_config_problem(reader, at,
                              "the key \"launch\" is missing (\"activation.type\" is \"launch\")");
        }
        return;
    }
    if (launch->json != NULL && says_none(&found[OUT_ACTIVATION])) {
        wr_config_key_problem(reader, launch,
                              "is not used (expected \"activation.type\": \"launch\")");
    }
    launch_deinit(&draft->config.outprocess.launch);
}

/* Where to report a mistake in what may come from the loader's configuration. */
static const wr_json_value *place(const wr_json_value *value, const wr_json_value *otherwise)
{
    return value->json == NULL || value->inherited ? otherwise : value;
}

static void check_native(wr_config_reader *reader, const wr_json_value *at,
                         const wr_json_value *found, const wr_module_draft *draft)
{
    static const unsigned of_processes[] = {NATIVE_SHARED, NATIVE_GRACE};
    if (draft->config.module_path != NULL) {
        find_library(reader, place(&found[NATIVE_PATH], at), &draft->config);
    }
    for (size_t i = 0; i < sizeof(of_processes) / sizeof(of_processes[0]); i++) {
        const wr_json_value *key = &found[of_processes[i]];
        if (key->json != NULL && !key->inherited && draft->isolation == 0) {
            wr_config_key_problem(reader, key,
                                  "is for modules in another process (expected \"isolation\": "
                                  "\"process\")");
        }
    }
}

static void check_entrypoint(wr_config_reader *reader, wr_loader_type type,
                             const wr_json_value *module, const wr_json_value *at,
                             const wr_json_value *found, wr_module_draft *draft)
{
    if (type == WR_LOADER_NATIVE) {
        check_native(reader, at, found, draft);
        return;
    }
    claim_address(reader, place(&found[OUT_CONTROL], at), module,
                  draft->config.outprocess.control_id);
    claim_address(reader, place(&found[OUT_MESSAGE], at), module,
                  draft->config.outprocess.message_id);
    check_launch(reader, at, found, draft);
}

/* The first required key that was not found; NULL: none. */
static const char *missing_key(const wr_option_table *table, const wr_json_value *found)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].required && found[i].json == NULL) {
            return table->options[i].key;
        }
    }
    return NULL;
}

void wr_config_read_entrypoint(wr_config_reader *reader, const wr_loader_entry *loader,
                               const wr_json_value *module, const wr_json_value *use,
                               const wr_json_value *entrypoint, wr_module_draft *draft)
{
    const wr_option_table *table = wr_entrypoint_options(loader->type);
    wr_json_value found[WR_OPTIONS_MAX] = {{0}};
    if (loader->defaults.json != NULL) {
        (void)wr_config_match(reader, &loader->defaults, table, found);
    }
    if (entrypoint->json != NULL && !wr_config_match(reader, entrypoint, table, found)) {
        return;
    }
    const wr_json_value *at = use->json == NULL ? module : use;
    const char *missing = missing_key(table, found);
    if (entrypoint->json != NULL) {
        at = entrypoint;
        wr_config_require(reader, entrypoint, table, found);
    } else if (missing != NULL) {
        wr_config_problem(
            reader, at, "the key %s is missing (expected an object with \"%s\")",
            use->json == NULL ? "\"loader\" with an \"entrypoint\"" : "\"entrypoint\"", missing);
    }
    wr_config_take(reader, table, found, draft);
    check_entrypoint(reader, loader->type, module, at, found, draft);
}

void wr_outprocess_config_deinit(wr_outprocess_config *outprocess)
{
    free(outprocess->control_id);
    free(outprocess->message_id);
    launch_deinit(&outprocess->launch);
}
