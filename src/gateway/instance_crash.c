/* SPDX-License-Identifier: MIT
 *
 * Crash settings from the configuration (contract in instance_crash.h).
 */
#include "gateway/instance_crash.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "platform/file.h"
#include "platform/folder.h"

/* Where a service keeps what outlives it: systemd's StateDirectory=, a list with colons. */
#define ENV_STATE "STATE_DIRECTORY"

/* As configured, else where a service keeps its state, else below the working directory. */
static char *choose_folder(const char *configured)
{
    const char *state = getenv(ENV_STATE);
    if (configured != NULL) {
        return wr_text_copy(configured);
    }
    if (state == NULL || state[0] == '\0') {
        return wr_text_copy("weir-crash");
    }
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_append(&path, state, strcspn(state, ":"));
    wr_buffer_append_text(&path, "/crash");
    return wr_buffer_take(&path);
}

/* A module of a build folder, which is not installed: ../modules/NAME/libNAME.so from here. */
static char *find_built(const char *name)
{
    char *library = wr_library_file_of((wr_function)find_built);
    const char *slash = library == NULL ? NULL : strrchr(library, '/');
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_append(&path, library, slash == NULL ? 0 : (size_t)(slash - library));
    wr_buffer_printf(&path, "/../modules/%s/lib%s.so", name, name);
    free(library);
    char *found = wr_buffer_take(&path);
    if (found != NULL && !wr_file_exists(found)) {
        free(found);
        return NULL;
    }
    return found;
}

/* The file of a module that comes with Weir; its bare name where it is nowhere now, so that it is
 * looked for again when it is needed. */
static char *find_module(const char *name)
{
    char *found = NULL;
    if (wr_native_find(name, ".", &found, NULL) != WEIR_OK) {
        found = find_built(name);
    }
    char *absolute = found == NULL ? wr_text_copy(name) : wr_path_absolute(found);
    free(found);
    return absolute;
}

/* Paths from the root on: a replay runs somewhere else. NULL: out of memory. */
static json_t *path_list(char *const *paths)
{
    json_t *list = json_array();
    for (; list != NULL && paths != NULL && *paths != NULL; paths++) {
        char *absolute = wr_path_absolute(*paths);
        json_t *path = json_string(absolute); /* NULL, too, where the folder's name is not UTF-8 */
        free(absolute);
        if (json_array_append_new(list, path != NULL ? path : json_string(*paths)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool set_limits(json_t *object, const wr_sandbox_config *config)
{
    static const char *const keys[WR_LIMIT_COUNT] = {
        [WR_LIMIT_MEMORY] = "memory.limit", [WR_LIMIT_CPU] = "cpu.limit.s",
        [WR_LIMIT_FILES] = "open.files",    [WR_LIMIT_PROCESSES] = "processes",
        [WR_LIMIT_CORE] = "core.limit",     [WR_LIMIT_FILE_SIZE] = "file.limit",
    };
    bool ok = true;
    for (unsigned i = 0; ok && i < WR_LIMIT_COUNT; i++) {
        ok = config->limits[i] == WR_LIMIT_INHERITED ||
             json_object_set_new(object, keys[i], json_integer((json_int_t)config->limits[i])) == 0;
    }
    return ok;
}

static bool set_paths(json_t *object, const wr_sandbox_config *config)
{
    if (!config->confine) {
        return true;
    }
    json_t *paths = json_object();
    bool ok = json_object_set_new(paths, "read", path_list(config->read)) == 0 &&
              json_object_set_new(paths, "write", path_list(config->write)) == 0;
    return json_object_set_new(object, "paths", paths) == 0 && ok;
}

static bool set_user(json_t *object, const wr_sandbox_config *config)
{
    return !config->change_user ||
           (json_object_set_new(object, "user", json_integer(config->user)) == 0 &&
            json_object_set_new(object, "group", json_integer(config->group)) == 0);
}

/* "sandbox" as a file would have it. NULL: out of memory. */
static char *make_sandbox_text(const wr_sandbox_config *config)
{
    json_t *object = json_object();
    bool ok = set_limits(object, config) && set_user(object, config) && set_paths(object, config) &&
              json_object_set_new(object, "seccomp",
                                  json_string(config->filter ? "default" : "off")) == 0 &&
              json_object_set_new(object, "network", json_boolean(config->network)) == 0 &&
              json_object_set_new(object, "required", json_boolean(config->required)) == 0;
    char *text = ok ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

weir_err wr_instance_set_crash(wr_instance *instance, const wr_instance_host *host)
{
    const wr_module_config *config = instance->config;
    if (host->crash_reports == 0) {
        return WEIR_OK;
    }
    instance->crash_folder = choose_folder(host->crash_folder);
    instance->replay_module = find_module("replay");
    instance->logger_module = find_module("logger");
    if (config->sandbox.present) {
        instance->sandbox_text = make_sandbox_text(&config->sandbox);
    }
    if (instance->crash_folder == NULL || instance->replay_module == NULL ||
        instance->logger_module == NULL ||
        (config->sandbox.present && instance->sandbox_text == NULL)) {
        return WEIR_ERR_MEMORY;
    }
    instance->crash = (wr_crash_settings){
        .folder = instance->crash_folder,
        .reports_max = host->crash_reports,
        .library = instance->module_file,
        .args = config->args,
        .heartbeat = config->heartbeat,
        .sandbox = instance->sandbox_text,
        .other_user = config->sandbox.present && config->sandbox.change_user,
        .replay_module = instance->replay_module,
        .logger_module = instance->logger_module,
    };
    instance->proxy_options.crash = &instance->crash;
    return WEIR_OK;
}

void wr_instance_free_crash(wr_instance *instance)
{
    free(instance->crash_folder);
    free(instance->replay_module);
    free(instance->logger_module);
    free(instance->sandbox_text);
}
