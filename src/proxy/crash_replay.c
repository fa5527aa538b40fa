/* SPDX-License-Identifier: MIT
 *
 * replay.json of a crash report: the module replay gives the report's messages to the module that
 * crashed, and the module logger takes what that publishes.
 *
 * All paths that belong to the module are absolute, so that it runs as it did, wherever the report
 * lies; the files of the report itself are named relative to its folder.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ipc/control.h"
#include "platform/folder.h"
#include "proxy/crash_internal.h"
#include "weir/remote.h"

#define REPLAY_NAME "replay"
#define LOGGER_NAME "logger"
#define LOGGER_FILE "published.json"

#define REPLAY_SUFFIX ".replay"

/* Where the replayed module's control socket is to be. */
typedef struct replay_plan {
    const wr_crash_report *report;
    char *control_id; /* absolute and in the report's folder, where that is short enough; of another
                       * user's process beside the one that it had */
    char *working_dir; /* absolute: the one that the process had; NULL: the report's folder */
} replay_plan;

/* The name of a module of the replay: never that of the one that is replayed. */
static json_t *name_beside(const wr_crash_report *report, const char *name)
{
    return json_sprintf("%s%s", name, strcmp(report->module, name) == 0 ? " (2)" : "");
}

/* {"name": ..., "loader": {"name": ..., "entrypoint": ...}, "args": ...}; takes the last three. */
static json_t *make_module(json_t *name, const char *loader, json_t *entrypoint, json_t *args)
{
    json_t *use = json_object();
    json_t *module = json_object();
    bool ok = wr_crash_set(use, "name", json_string(loader));
    ok = wr_crash_set(use, "entrypoint", entrypoint) && ok;
    ok = wr_crash_set(module, "name", name) && ok;
    ok = wr_crash_set(module, "loader", use) && ok;
    ok = wr_crash_set(module, "args", args) && ok;
    if (!ok) {
        json_decref(module);
        return NULL;
    }
    return module;
}

/* {KEY: TEXT} */
static json_t *one_text(const char *key, const char *text)
{
    json_t *object = json_object();
    if (!wr_crash_set(object, key, wr_crash_text(text))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* `text` with the module's control id, alone or behind a "=", replaced by the replay's. */
static json_t *translate_argument(const replay_plan *plan, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *value = equals == NULL ? text : equals + 1;
    size_t scheme =
        strncmp(value, WR_IPC_SCHEME, strlen(WR_IPC_SCHEME)) == 0 ? strlen(WR_IPC_SCHEME) : 0;
    if (strcmp(value + scheme, plan->report->control_path) != 0) {
        return wr_crash_text(text);
    }
    wr_buffer changed = WR_BUFFER_INIT;
    wr_buffer_append(&changed, text, (size_t)(value - text) + scheme);
    wr_buffer_append_text(&changed, plan->control_id);
    json_t *result = changed.failed ? NULL : wr_crash_text(changed.data);
    wr_buffer_deinit(&changed);
    return result;
}

static json_t *translate_arguments(const replay_plan *plan)
{
    const char *const *args = plan->report->launch->process.args;
    json_t *list = json_array();
    for (; list != NULL && args != NULL && *args != NULL; args++) {
        if (json_array_append_new(list, translate_argument(plan, *args)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* {"NAME": "VALUE"}, without what the gateway adds by itself. */
static json_t *make_environment(const char *const *env)
{
    static const char own[] = WEIR_ENV_CONTROL_ID "=";
    json_t *object = json_object();
    bool ok = object != NULL;
    for (; ok && env != NULL && *env != NULL; env++) {
        size_t length = strcspn(*env, "=");
        if (strncmp(*env, own, strlen(own)) != 0 && (*env)[length] == '=') {
            ok = json_object_setn_new(object, *env, length, wr_crash_text(*env + length + 1)) == 0;
        }
    }
    if (!ok) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* A program without a slash is looked for in PATH. */
static json_t *program_path(const char *path)
{
    char *absolute = strchr(path, '/') == NULL ? NULL : wr_path_absolute(path);
    json_t *value = wr_crash_text(absolute != NULL ? absolute : path);
    free(absolute);
    return value;
}

static json_t *make_launch(const replay_plan *plan)
{
    const wr_launch *launch = plan->report->launch;
    json_t *object = json_object();
    bool ok = wr_crash_set(object, "path", program_path(launch->process.path)) &&
              wr_crash_set(object, "args", translate_arguments(plan)) &&
              wr_crash_set(object, "env", make_environment(launch->process.env)) &&
              wr_crash_set(object, "grace.period.ms", json_integer(launch->grace_period_ms));
    if (plan->working_dir != NULL) {
        ok = ok && wr_crash_set(object, "working.dir", wr_crash_text(plan->working_dir));
    }
    if (!ok) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *make_outprocess(const replay_plan *plan)
{
    const wr_crash_report *report = plan->report;
    json_t *entrypoint = json_object();
    bool ok = wr_crash_set(entrypoint, "control.id", wr_crash_text(plan->control_id));
    if (report->message_limit != 0) {
        ok = ok && wr_crash_set(entrypoint, "message.limit",
                                json_integer((json_int_t)report->message_limit));
    }
    if (report->launch != NULL) {
        ok = ok && wr_crash_set(entrypoint, "activation.type", json_string("launch")) &&
             wr_crash_set(entrypoint, "launch", make_launch(plan));
    }
    if (!ok) {
        json_decref(entrypoint);
        return NULL;
    }
    return entrypoint;
}

/* Once is enough: started again, it would only crash again. False also where `module` is NULL. */
static bool set_no_restart(json_t *module)
{
    return wr_crash_set(module, "restart", one_text("policy", "never"));
}

/* It is watched as it was. False also where `module` is NULL. */
static bool set_heartbeat(json_t *module, const wr_crash_settings *settings)
{
    const wr_heartbeat_config *from = &settings->heartbeat;
    json_t *heartbeat = json_object();
    bool ok = wr_crash_set(heartbeat, "interval.ms", json_integer(from->interval_ms)) &&
              wr_crash_set(heartbeat, "start.timeout.ms", json_integer(from->start_timeout_ms));
    if (from->timeout_said) {
        ok = ok && wr_crash_set(heartbeat, "timeout.ms", json_integer(from->timeout_ms));
    }
    return wr_crash_set(module, "heartbeat", heartbeat) && ok;
}

static bool set_sandbox(json_t *module, const wr_crash_settings *settings)
{
    return settings->sandbox == NULL ||
           wr_crash_set(module, "sandbox", json_loads(settings->sandbox, 0, NULL));
}

static json_t *replayed_program(const replay_plan *plan, json_t *name, json_t *args)
{
    json_t *module = make_module(name, "outprocess", make_outprocess(plan), args);
    if (plan->report->launch != NULL && !set_no_restart(module)) {
        json_decref(module);
        return NULL;
    }
    return module;
}

static json_t *isolated_module(const wr_crash_settings *settings, json_t *name, json_t *args)
{
    json_t *module = make_module(name, "native", one_text("module.path", settings->library), args);
    if (!wr_crash_set(module, "isolation", json_string("process")) || !set_no_restart(module)) {
        json_decref(module);
        return NULL;
    }
    return module;
}

static json_t *replayed_module(const replay_plan *plan)
{
    const wr_crash_settings *settings = plan->report->settings;
    json_t *name = wr_crash_text(plan->report->module);
    json_t *args = json_loads(settings->args, JSON_DECODE_ANY, NULL);
    json_t *module = settings->library == NULL ? replayed_program(plan, name, args)
                                               : isolated_module(settings, name, args);
    if (!set_heartbeat(module, settings) || !set_sandbox(module, settings)) {
        json_decref(module);
        return NULL;
    }
    return module;
}

static bool append_link(json_t *links, json_t *source, json_t *sink)
{
    json_t *link = json_object();
    bool ok = wr_crash_set(link, "source", source);
    ok = wr_crash_set(link, "sink", sink) && ok;
    return json_array_append_new(links, link) == 0 && ok;
}

static bool append_logger(const wr_crash_report *report, json_t *modules, json_t *links)
{
    json_t *logger = make_module(name_beside(report, LOGGER_NAME), "native",
                                 one_text("module.path", report->settings->logger_module),
                                 one_text("filename", LOGGER_FILE));
    return json_array_append_new(modules, logger) == 0 &&
           append_link(links, wr_crash_text(report->module), name_beside(report, LOGGER_NAME));
}

static bool append_modules(const replay_plan *plan, json_t *modules, json_t *links)
{
    const wr_crash_report *report = plan->report;
    json_t *replay = make_module(name_beside(report, REPLAY_NAME), "native",
                                 one_text("module.path", report->settings->replay_module),
                                 one_text("file", WR_CRASH_FILE_MESSAGES));
    return json_array_append_new(modules, replay) == 0 &&
           json_array_append_new(modules, replayed_module(plan)) == 0 &&
           append_link(links, name_beside(report, REPLAY_NAME), wr_crash_text(report->module)) &&
           (!report->publishes || append_logger(report, modules, links));
}

static json_t *make_file(const replay_plan *plan)
{
    json_t *root = json_object();
    json_t *modules = json_array();
    json_t *links = json_array();
    json_t *gateway = json_object();
    bool ok = append_modules(plan, modules, links);
    /* A module that crashes again would only write the same report again. */
    ok = wr_crash_set(gateway, "crash.reports", json_integer(0)) && ok;
    ok = wr_crash_set(root, "modules", modules) && ok;
    ok = wr_crash_set(root, "links", links) && ok;
    ok = wr_crash_set(root, "gateway", gateway) && ok;
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* In the report's folder; another user can make no socket there, but where its own is. */
static void append_control(wr_buffer *control, const wr_crash_report *report, const char *folder)
{
    if (!report->settings->other_user) {
        wr_buffer_printf(control, "%s/control", folder);
        return;
    }
    char *had = wr_path_absolute(report->control_path);
    wr_buffer_append_text(control, had != NULL ? had : report->control_path);
    wr_buffer_append_text(control, REPLAY_SUFFIX);
    free(had);
}

/* Where the folder's path is too long for a socket's, the process runs in the folder itself. */
static bool make_plan(replay_plan *plan, const char *folder)
{
    wr_buffer control = WR_BUFFER_INIT;
    append_control(&control, plan->report, folder);
    bool fits = control.size <= WR_ADDRESS_MAX;
    if (!fits) {
        wr_buffer_clear(&control);
        wr_buffer_append_text(&control, "control");
    }
    plan->control_id = wr_buffer_take(&control);
    if (fits && plan->report->launch != NULL) {
        const char *had = plan->report->launch->process.working_dir;
        plan->working_dir = wr_path_absolute(had != NULL ? had : ".");
    }
    return plan->control_id != NULL;
}

json_t *wr_crash_replay(const wr_crash_report *report, const char *folder)
{
    replay_plan plan = {.report = report};
    json_t *root = make_plan(&plan, folder) ? make_file(&plan) : NULL;
    free(plan.control_id);
    free(plan.working_dir);
    return root;
}
