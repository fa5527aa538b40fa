/* SPDX-License-Identifier: MIT
 *
 * From "sandbox" in the configuration to the sandbox of a process (contract in instance_sandbox.h).
 *
 * Each such process has a folder for its sockets that it shares with no other module: what it may
 * do in there, it may do to no other.
 */
#include "gateway/instance_sandbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "platform/user.h"
#include "weir/remote.h"

/* Lists of paths, with their NULL: what the file says, and what is needed besides. */
#define OWN_FILES_MAX 4u
#define SOCKET_FOLDERS_MAX 3u

static weir_err no_memory(wr_error *error)
{
    return wr_error_set(error, WEIR_ERR_MEMORY, "%s", weir_err_text(WEIR_ERR_MEMORY));
}

/* The process will be another user's: accept it here, and have it accept us there. Nobody else:
 * its socket's path is its own, and it could make that a link to any socket that we can reach. */
static weir_err set_other_user(wr_instance *instance, wr_error *error)
{
    const wr_sandbox_config *config = &instance->config->sandbox;
    wr_users *allowed = &instance->proxy_options.allowed;
    allowed->only = true;
    weir_err err = wr_users_add(allowed, config->user);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "\"allow.users\" leaves no place for the sandbox's user");
    }
    if (wr_user_self() == WR_USER_ROOT) {
        return WEIR_OK;
    }
    wr_buffer users = WR_BUFFER_INIT;
    wr_buffer_printf(&users, "%s=%u", WEIR_ENV_ALLOW_USERS, wr_user_self());
    instance->users_env = wr_buffer_take(&users);
    return instance->users_env == NULL ? no_memory(error) : WEIR_OK;
}

weir_err wr_sandboxed_prepare(wr_instance *instance, wr_error *error)
{
    const wr_sandbox_config *config = &instance->config->sandbox;
    bool other = config->change_user && config->user != wr_user_self();
    weir_err err =
        other ? wr_run_folder_open_for(config->user, config->group, &instance->folder, error)
              : wr_run_folder_open(&instance->folder, error);
    if (err != WEIR_OK) {
        return err;
    }
    instance->proxy_options.folder = wr_run_folder_path(instance->folder);
    return other ? set_other_user(instance, error) : WEIR_OK;
}

/* The folder that holds the file; the caller frees it. NULL: out of memory. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    wr_buffer folder = WR_BUFFER_INIT;
    if (slash == NULL) {
        wr_buffer_append_text(&folder, ".");
    } else {
        wr_buffer_append(&folder, file, slash == file ? 1 : (size_t)(slash - file));
    }
    return wr_buffer_take(&folder);
}

/* Files that the process needs: Weir's libraries, and the module. */
typedef struct own_files {
    char *libraries[2];
    const char *paths[OWN_FILES_MAX];
} own_files;

static own_files find_own_files(const wr_instance *instance)
{
    own_files files = {
        .libraries = {wr_library_file_of((wr_function)find_own_files),
                      wr_library_file_of((wr_function)weir_err_text)},
    };
    size_t count = 0;
    const char *const all[] = {files.libraries[0], files.libraries[1], instance->module_file};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] != NULL) {
            files.paths[count++] = all[i];
        }
    }
    return files;
}

/* `more` and then `paths` (NULL: none); the caller frees the list. NULL: out of memory. */
static const char **join(const char *const *more, char *const *paths)
{
    size_t count = 0;
    size_t total = 0;
    while (more[count] != NULL) {
        count++;
    }
    while (paths != NULL && paths[total] != NULL) {
        total++;
    }
    const char **list = calloc(count + total + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && i < count + total; i++) {
        list[i] = i < count ? more[i] : paths[i - count];
    }
    return list;
}

/* The message channel's folder is the run folder, or that of a path from the configuration. */
static weir_err create_with(wr_instance *instance, const char *const *read,
                            const char *const *sockets, wr_error *error)
{
    const wr_sandbox_config *config = &instance->config->sandbox;
    wr_sandbox_options options = {
        .change_user = config->change_user,
        .user = config->user,
        .group = config->group,
        .filter = config->filter,
        .network = config->network,
        .confine = config->confine,
        .read = read,
        .write = (const char *const *)config->write,
        .sockets = sockets,
        .program = instance->launch.process.path,
    };
    memcpy(options.limits, config->limits, sizeof(options.limits));
    return wr_sandbox_create(&options, &instance->sandbox, error);
}

static weir_err create(wr_instance *instance, wr_error *error)
{
    const wr_proxy_options *proxy = &instance->proxy_options;
    own_files files = find_own_files(instance);
    char *control = folder_of(proxy->control_path);
    char *messages = proxy->message_path == NULL ? NULL : folder_of(proxy->message_path);
    const char *const sockets[SOCKET_FOLDERS_MAX] = {
        control, messages != NULL ? messages : wr_run_folder_path(instance->folder)};
    const char **read = join(files.paths, instance->config->sandbox.read);
    weir_err err = read == NULL || control == NULL ? no_memory(error)
                                                   : create_with(instance, read, sockets, error);
    free(read);
    free(messages);
    free(control);
    free(files.libraries[0]);
    free(files.libraries[1]);
    return err;
}

weir_err wr_sandboxed_create(wr_instance *instance, wr_error *error)
{
    weir_err err = create(instance, error);
    if (err != WEIR_OK) {
        return err;
    }
    instance->launch.process.sandbox = instance->sandbox;
    const char *missing = wr_sandbox_missing(instance->sandbox);
    if (missing[0] == '\0') {
        return WEIR_OK;
    }
    if (instance->config->sandbox.required) {
        return wr_error_set(error, WEIR_ERR_UNSUPPORTED,
                            "its sandbox is \"required\", and this system cannot enforce: %s",
                            missing);
    }
    wr_log(instance->config->name, WEIR_LOG_WARN,
           "this system does not enforce all of its sandbox. Missing: %s", missing);
    return WEIR_OK;
}

void wr_sandboxed_free(wr_instance *instance)
{
    wr_sandbox_destroy(instance->sandbox);
    wr_run_folder_close(instance->folder);
    free(instance->users_env);
}
