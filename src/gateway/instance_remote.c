/* SPDX-License-Identifier: MIT
 *
 * From configuration to proxy (contract in instance_remote.h). A native module with "isolation":
 * "process" becomes a launched remote module here: `weir host` with made-up ids.
 */
#include "gateway/instance_remote.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "gateway/instance_crash.h"
#include "gateway/instance_sandbox.h"
#include "platform/file.h"
#include "platform/folder.h"
#include "weir/remote.h"

static weir_err no_memory(wr_error *error)
{
    return wr_error_set(error, WEIR_ERR_MEMORY, "%s", weir_err_text(WEIR_ERR_MEMORY));
}

/* `<folder of the library><suffix>` if there is such a file. The caller frees it. */
static char *program_beside(const char *library, const char *suffix)
{
    const char *slash = strrchr(library, '/');
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_append(&path, library, slash == NULL ? 0 : (size_t)(slash - library));
    wr_buffer_append_text(&path, suffix);
    char *found = wr_buffer_take(&path);
    if (found != NULL && !wr_file_exists(found)) {
        free(found);
        return NULL;
    }
    return found;
}

/* The `weir` program: as told, beside the library (in a build folder, installed), or in PATH. */
static char *find_host_program(void)
{
    static const char *const places[] = {"/../weir", "/../bin/weir", "/../../bin/weir"};
    const char *told = getenv(WR_ENV_HOST_PROGRAM);
    if (told != NULL && told[0] != '\0') {
        return wr_text_copy(told);
    }
    char *library = wr_library_file_of((wr_function)find_host_program);
    char *found = NULL;
    for (size_t i = 0; library != NULL && found == NULL && i < sizeof(places) / sizeof(places[0]);
         i++) {
        found = program_beside(library, places[i]);
    }
    free(library);
    return found != NULL ? found : wr_text_copy("weir");
}

/* The text as a JSON string, the caller's to free. NULL: out of memory, or it is not UTF-8. */
static char *quote(const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    return quoted;
}

/* The args of the module host. The module's own are JSON text already and stay as they are. */
static char *make_hosted_args(const char *file, const wr_module_config *config)
{
    wr_buffer text = WR_BUFFER_INIT;
    char *path = quote(file);
    char *name = quote(config->name);
    bool quoted = path != NULL && name != NULL;
    if (quoted) {
        wr_buffer_printf(&text,
                         "{\"outprocess.loader\":{\"name\":\"native\",\"entrypoint\":"
                         "{\"module.path\":%s}},\"module.name\":%s,\"module.args\":%s}",
                         path, name, config->args);
    }
    free(path);
    free(name);
    return quoted ? wr_buffer_take(&text) : NULL;
}

static weir_err set_isolated(wr_instance *instance, const wr_instance_host *host, wr_error *error)
{
    char *file = NULL;
    weir_err err = wr_native_find(instance->config->module_path, host->config_folder, &file, error);
    if (err != WEIR_OK) {
        return err;
    }
    const char *folder =
        instance->folder == NULL ? host->folder : wr_run_folder_path(instance->folder);
    wr_buffer control = WR_BUFFER_INIT;
    wr_buffer_printf(&control, "%s/c%zu", folder, host->number);
    instance->control_path = wr_buffer_take(&control);
    instance->hosted_args = make_hosted_args(file, instance->config);
    instance->host_program = find_host_program();
    instance->module_file = wr_path_absolute(file);
    free(file);
    if (instance->module_file == NULL || instance->control_path == NULL ||
        instance->hosted_args == NULL || instance->host_program == NULL) {
        return no_memory(error);
    }
    instance->host_args[0] = "host";
    instance->host_args[1] = instance->control_path;
    instance->proxy_options.control_path = instance->control_path;
    instance->proxy_options.args = instance->hosted_args;
    instance->launch.process.path = instance->host_program;
    instance->launch.process.args = instance->host_args;
    return WEIR_OK;
}

static void set_launched(wr_instance *instance, const wr_launch_config *from)
{
    instance->launch.process.path = from->path;
    instance->launch.process.args = (const char *const *)from->args;
    instance->launch.process.working_dir = from->working_dir;
}

/* The configured environment, and the control id for the process itself. */
static weir_err set_environment(wr_instance *instance, wr_error *error)
{
    char **from = instance->config->outprocess.launch.env;
    size_t count = 0;
    while (from != NULL && from[count] != NULL) {
        count++;
    }
    wr_buffer control = WR_BUFFER_INIT;
    wr_buffer_printf(&control, "%s=%s", WEIR_ENV_CONTROL_ID, instance->proxy_options.control_path);
    instance->control_env = wr_buffer_take(&control);
    instance->launch_env = calloc(count + 3, sizeof(char *));
    if (instance->control_env == NULL || instance->launch_env == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        instance->launch_env[i] = from[i];
    }
    instance->launch_env[count] = instance->control_env;
    instance->launch_env[count + 1] = instance->users_env; /* NULL: none */
    instance->launch.process.env = instance->launch_env;
    return WEIR_OK;
}

static weir_err set_options(wr_instance *instance, const wr_instance_host *host, wr_error *error)
{
    const wr_outprocess_config *config = &instance->config->outprocess;
    wr_proxy_options *options = &instance->proxy_options;
    /* Another user's process cannot go into this one's folder, but it can where it listens. */
    options->folder = config->allowed.count > 0 ? NULL : host->folder;
    options->timeout_ms = config->timeout_ms;
    options->message_limit = config->message_limit;
    /* A sandbox is for code that is not trusted. */
    options->shared_memory = config->shared_memory && !instance->config->sandbox.present;
    options->message_path = config->message_id;
    options->allowed = config->allowed;
    options->control_path = config->control_id;
    options->args = instance->config->args;
    options->restart = instance->config->restart;
    options->heartbeat = instance->config->heartbeat;
    options->broker = host->broker;
    instance->launch.grace_period_ms = config->launch.grace_period_ms;
    if (instance->config->sandbox.present) {
        weir_err err = wr_sandboxed_prepare(instance, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    if (instance->config->isolated) {
        weir_err err = set_isolated(instance, host, error);
        if (err != WEIR_OK) {
            return err;
        }
    } else if (config->launch.path != NULL) {
        set_launched(instance, &config->launch);
    } else {
        return WEIR_OK;
    }
    options->launch = &instance->launch;
    if (instance->config->sandbox.present) {
        weir_err err = wr_sandboxed_create(instance, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return set_environment(instance, error);
}

weir_err wr_remote_create(wr_instance *instance, const wr_instance_host *host, wr_error *error)
{
    weir_err err = set_options(instance, host, error);
    if (err == WEIR_OK && wr_instance_set_crash(instance, host) != WEIR_OK) {
        err = no_memory(error);
    }
    if (err != WEIR_OK) {
        return err;
    }
    wr_executor *quick = NULL;
    err = wr_broker_quick(host->broker, &quick);
    if (err == WEIR_OK) {
        err = wr_node_create(instance->config->name, quick, false, &instance->node);
    }
    if (err == WEIR_OK) {
        err =
            wr_proxy_create(instance->node, host->loop, &instance->proxy_options, &instance->proxy);
    }
    return err == WEIR_OK ? WEIR_OK : wr_error_set(error, err, "%s", weir_err_text(err));
}

void wr_remote_free(wr_instance *instance)
{
    free(instance->control_path);
    free(instance->hosted_args);
    free(instance->host_program);
    free(instance->module_file);
    free(instance->launch_env);
    free(instance->control_env);
    wr_instance_free_crash(instance);
    wr_sandboxed_free(instance);
}
