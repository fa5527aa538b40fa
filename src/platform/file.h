/* SPDX-License-Identifier: MIT
 *
 * Files and folders, as far as a gateway needs them.
 */
#ifndef WR_PLATFORM_FILE_H
#define WR_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"

/* Read a whole regular file of at most `limit` bytes; `*data` is NUL-terminated and the caller's to
 * free. Errors: NOT_FOUND, DENIED, TOO_LARGE, INVALID (a folder or device), IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_file_read(const char *path, size_t limit, char **data,
                                                size_t *size, wr_error *error);
/* Is there a file (of whatever kind) at `path`? */
WR_SHARED bool wr_file_exists(const char *path);
/* Remove a file or an empty folder; harmless when there is none. */
WR_SHARED void wr_file_remove(const char *path);
/* Lock the whole of an open file, until it is closed, however that comes about; a second open of
 * the same file, in this process or another, does not get the lock. `handle` is a descriptor of the
 * C library's, such as a uv_file. Errors: IN_USE, UNSUPPORTED (a file system without locks), IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_file_lock(int handle);
/* Make a fresh folder `prefix`-XXXXXX that only this user can enter (0700) below the place for
 * run-time files (RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, TMPDIR, /tmp: the first that is set and
 * usable). `*path` is absolute and the caller's to free. Errors: INVALID (a place that is no
 * absolute path, or too long), NOT_FOUND, DENIED, IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_create_private(const char *prefix, char **path,
                                                            wr_error *error);

/* The name of the folder for another user, in the one made by wr_folder_create_for. */
#define WR_FOLDER_OF_USER "u"

/* Likewise for a process of another user: a folder that all may pass through but not look into
 * (0711), at a place that this user can reach, and in it WR_FOLDER_OF_USER, the user's alone
 * (0700).
 * `*path` is that of the outer folder. Errors: NOT_FOUND (no such place), DENIED, IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_create_for(const char *prefix, uint32_t user,
                                                        uint32_t group, char **path,
                                                        wr_error *error);

#endif
