/* SPDX-License-Identifier: MIT
 *
 * The native loader (contract in native.h).
 */
#include "loader/native.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "module/host.h"
#include "platform/file.h"

/* Does `<folder>/<prefix><name><suffix>` exist? Then it is `*found`; else it is noted in `tried`.
 */
static bool try_path(const char *folder, size_t folder_size, const char *prefix, const char *name,
                     const char *suffix, char **found, wr_buffer *tried)
{
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_append(&path, folder, folder_size);
    wr_buffer_append_text(&path, folder_size > 0 ? "/" : "");
    wr_buffer_append_text(&path, prefix);
    wr_buffer_append_text(&path, name);
    wr_buffer_append_text(&path, suffix);
    bool exists = !path.failed && wr_file_exists(path.data);
    if (exists) {
        *found = wr_buffer_take(&path);
    } else {
        wr_buffer_append_text(tried, tried->size > 0 ? ", " : "");
        wr_buffer_append_text(tried, path.failed ? "(out of memory)" : path.data);
    }
    wr_buffer_deinit(&path);
    return exists;
}

static bool find_path(const char *path, const char *folder, char **found, wr_buffer *tried)
{
    if (path[0] == '/') {
        return try_path("", 0, "", path, "", found, tried);
    }
    if (strncmp(path, "./", 2) == 0) {
        path += 2; /* the folder comes in front, and people read the result */
    }
    return try_path(folder, strlen(folder), "", path, "", found, tried) ||
           (strcmp(folder, ".") != 0 && try_path(".", 1, "", path, "", found, tried));
}

/* The module folder beside this library, wherever the installation was moved. */
static bool find_beside(const char *name, char **found, wr_buffer *tried)
{
    char *library = wr_library_file_of((wr_function)find_beside);
    const char *slash = library == NULL ? NULL : strrchr(library, '/');
    wr_buffer folder = WR_BUFFER_INIT;
    wr_buffer_append(&folder, library, slash == NULL ? 0 : (size_t)(slash - library));
    wr_buffer_append_text(&folder, "/weir/modules");
    bool ok = slash != NULL && !folder.failed &&
              try_path(folder.data, folder.size, "lib", name, ".so", found, tried);
    wr_buffer_deinit(&folder);
    free(library);
    return ok;
}

static bool find_name(const char *name, char **found, wr_buffer *tried)
{
    const char *folders = getenv(WR_ENV_MODULE_PATH);
    while (folders != NULL && *folders != '\0') {
        size_t size = strcspn(folders, ":");
        if (size > 0 && try_path(folders, size, "lib", name, ".so", found, tried)) {
            return true;
        }
        folders += size + (folders[size] == ':');
    }
    return find_beside(name, found, tried);
}

weir_err wr_native_find(const char *module_path, const char *folder, char **found, wr_error *error)
{
    wr_buffer tried = WR_BUFFER_INIT;
    *found = NULL;
    bool ok = strchr(module_path, '/') != NULL ? find_path(module_path, folder, found, &tried)
                                               : find_name(module_path, found, &tried);
    weir_err err = WEIR_OK;
    if (!ok) {
        err = wr_error_set(error, WEIR_ERR_NOT_FOUND, "no such module library (tried %s)",
                           tried.failed || tried.data == NULL ? "?" : tried.data);
    } else if (*found == NULL) {
        err = wr_error_set(error, WEIR_ERR_MEMORY, "out of memory");
    }
    wr_buffer_deinit(&tried);
    return err;
}

static weir_err get_api(const char *file, wr_library *library, const weir_module_api **api,
                        wr_error *error)
{
    weir_module_fn get = (weir_module_fn)wr_library_function(library, WEIR_MODULE_SYMBOL);
    if (get == NULL) {
        return wr_error_set(error, WEIR_ERR_LOAD,
                            "%s is no Weir module: it exports no function %s() "
                            "(see docs/writing-modules.md)",
                            file, WEIR_MODULE_SYMBOL);
    }
    wr_error reason = {.code = WEIR_OK};
    *api = get();
    weir_err err = wr_module_api_check(*api, &reason);
    return err == WEIR_OK ? WEIR_OK : wr_error_set(error, err, "%s: %s", file, reason.text);
}

weir_err wr_native_open(const char *file, wr_native_module *out, wr_error *error)
{
    wr_native_module module = {NULL, NULL};
    weir_err err = wr_library_open(file, &module.library, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = get_api(file, module.library, &module.api, error);
    if (err != WEIR_OK) {
        wr_native_close(&module);
        return err;
    }
    *out = module;
    return WEIR_OK;
}

void wr_native_close(wr_native_module *module)
{
    wr_library_close(module->library);
    *module = (wr_native_module){NULL, NULL};
}
