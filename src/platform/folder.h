/* SPDX-License-Identifier: MIT
 *
 * Folders that are kept from run to run and are nobody else's business: the crash folder and its
 * reports. Everything made here is for this user only: folders 0700, files 0600.
 */
#ifndef WR_PLATFORM_FOLDER_H
#define WR_PLATFORM_FOLDER_H

#include <stdio.h>

#include "base/api.h"
#include "base/error.h"

/* Make a folder. Errors: EXISTS (something is there), NOT_FOUND (no folder to make it in), DENIED,
 * IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_make(const char *path, wr_error *error);
/* Make a folder unless there is one. One that is another user's, who could change what is in it, is
 * refused. Errors: DENIED, INVALID (no folder), NOT_FOUND, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_ensure(const char *path, wr_error *error);
/* Call `visit` for each entry, in any order, but for "." and "..". Errors: NOT_FOUND, DENIED, IO.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_each(const char *path,
                                                  void (*visit)(void *arg, const char *name),
                                                  void *arg, wr_error *error);
/* Remove a folder (not a link to one) and the files in it; folders in it are left, and it is then
 * left, too. Errors: NOT_FOUND, DENIED, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_folder_remove(const char *path, wr_error *error);
/* Make a new file and open it for writing. Errors: EXISTS, NOT_FOUND, DENIED, IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_file_create(const char *path, FILE **out, wr_error *error);
/* `path` from the root on, the caller's to free; it need not exist. NULL: out of memory, or the
 * working directory is gone. */
WR_SHARED char *wr_path_absolute(const char *path);

#endif
