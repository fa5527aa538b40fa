/* SPDX-License-Identifier: MIT
 *
 * The native loader: a module's table of functions out of a shared library.
 */
#ifndef WR_LOADER_NATIVE_H
#define WR_LOADER_NATIVE_H

#include "base/error.h"
#include "platform/library.h"
#include "weir/module.h"

/* Folders for bare module names, separated by ":", searched before the installed one. */
#define WR_ENV_MODULE_PATH "WEIR_MODULE_PATH"

typedef struct wr_native_module {
    wr_library *library;
    const weir_module_api *api; /* lives as long as the library */
} wr_native_module;

/*
 * Which file does `module_path` mean? With a slash: relative to `folder`, then to the working
 * directory. A bare name "x": libx.so in WEIR_MODULE_PATH, then in the installed module folder.
 * `*found` is the caller's to free. Errors: NOT_FOUND (`error` lists what was tried), MEMORY.
 */
WEIR_MUST_CHECK weir_err wr_native_find(const char *module_path, const char *folder, char **found,
                                        wr_error *error);
/* Load and check. Errors: NOT_FOUND, LOAD, UNSUPPORTED, MEMORY. */
WEIR_MUST_CHECK weir_err wr_native_open(const char *file, wr_native_module *out, wr_error *error);
/* Harmless on a zeroed struct. */
void wr_native_close(wr_native_module *module);

#endif
