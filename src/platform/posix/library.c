/* SPDX-License-Identifier: MIT
 *
 * Shared libraries by dlopen.
 */
#define _GNU_SOURCE
#include "platform/library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"

struct wr_library {
    void *handle;
};

static weir_err open_error(const char *path, wr_error *error)
{
    /* The reason names the file itself. */
    const char *reason = dlerror();
    if (!wr_file_exists(path)) {
        return wr_error_set(error, WEIR_ERR_NOT_FOUND, "there is no library '%s'", path);
    }
    return wr_error_set(error, WEIR_ERR_LOAD, "cannot load the library: %s",
                        reason != NULL ? reason : path);
}

weir_err wr_library_open(const char *path, wr_library **out, wr_error *error)
{
    if (strchr(path, '/') == NULL) {
        return wr_error_set(error, WEIR_ERR_INVALID, "the library '%s' is not given as a path",
                            path);
    }
    wr_library *library = malloc(sizeof(*library));
    if (library == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for the library '%s'", path);
    }
    library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library->handle == NULL) {
        free(library);
        return open_error(path, error);
    }
    *out = library;
    return WEIR_OK;
}

wr_function wr_library_function(wr_library *library, const char *name)
{
    void *symbol = dlsym(library->handle, name);
    wr_function function = NULL;
    /* ISO C has no conversion from an object's address to a function's; POSIX promises this. */
    memcpy(&function, &symbol, sizeof(function));
    return function;
}

void wr_library_close(wr_library *library)
{
    if (library == NULL) {
        return;
    }
#ifndef WEIR_SANITIZED /* reports at the program's end need the library's symbols */
    dlclose(library->handle);
#endif
    free(library);
}

char *wr_library_file_of(wr_function function)
{
    Dl_info info;
    void *address;
    memcpy(&address, &function, sizeof(address));
    if (dladdr(address, &info) == 0) {
        return NULL;
    }
    return realpath(info.dli_fname, NULL);
}
