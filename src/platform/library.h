/* SPDX-License-Identifier: MIT
 *
 * Shared libraries.
 */
#ifndef WR_PLATFORM_LIBRARY_H
#define WR_PLATFORM_LIBRARY_H

#include "base/api.h"
#include "base/error.h"

typedef struct wr_library wr_library;
typedef void (*wr_function)(void);

/* Load the library at `path` (a path with a slash). All its symbols are resolved now, and stay its
 * own. Errors: INVALID (no slash), NOT_FOUND, LOAD, MEMORY; `error` carries the system's reason. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_library_open(const char *path, wr_library **out,
                                                   wr_error *error);
/* NULL when there is no such function. */
WR_SHARED wr_function wr_library_function(wr_library *library, const char *name);
WR_SHARED void wr_library_close(wr_library *library); /* NULL is allowed */
/* The file of the library or program that `function` lies in: as the system knows it, the caller's
 * to free. NULL: unknown, or out of memory. */
WR_SHARED char *wr_library_file_of(wr_function function);

#endif
