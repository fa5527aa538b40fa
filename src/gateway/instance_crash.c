/* SPDX-License-Identifier: MIT
 *
 * Crash settings from the configuration (contract in instance_crash.h).
 */
#include "gateway/instance_crash.h"

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

weir_err wr_instance_set_crash(wr_instance *instance, const wr_instance_host *host)
{
    const wr_module_config *config = instance->config;
    if (host->crash_reports == 0) {
        return WEIR_OK;
    }
    instance->crash_folder = choose_folder(host->crash_folder);
    instance->replay_module = find_module("replay");
    instance->logger_module = find_module("logger");
    if (instance->crash_folder == NULL || instance->replay_module == NULL ||
        instance->logger_module == NULL) {
        return WEIR_ERR_MEMORY;
    }
    instance->crash = (wr_crash_settings){
        .folder = instance->crash_folder,
        .reports_max = host->crash_reports,
        .library = instance->module_file,
        .args = config->args,
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
}
