/* SPDX-License-Identifier: MIT
 *
 * A folder for the sockets of one run of a program: private to this user, locked as long as the run
 * lasts, and removed at its end. What runs left behind that were killed is removed when the next
 * one begins.
 */
#ifndef WR_PLATFORM_RUN_FOLDER_H
#define WR_PLATFORM_RUN_FOLDER_H

#include <stdint.h>

#include "base/api.h"
#include "base/error.h"

typedef struct wr_run_folder wr_run_folder;

/* Where: see wr_folder_create_private. Errors: as there. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_run_folder_open(wr_run_folder **out, wr_error *error);
/* Likewise for the sockets of a process of another user, who alone can look into it: 0700, owned by
 * that user. Errors: as wr_folder_create_for. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_run_folder_open_for(uint32_t user, uint32_t group,
                                                          wr_run_folder **out, wr_error *error);
/* Absolute; lives as long as the run folder. */
WR_SHARED const char *wr_run_folder_path(const wr_run_folder *folder);
/* Removes the sockets in it, and the folder if it is empty then. NULL is allowed. */
WR_SHARED void wr_run_folder_close(wr_run_folder *folder);

#endif
