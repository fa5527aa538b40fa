/* SPDX-License-Identifier: MIT
 *
 * The folders of crash reports: their names, and how many of them are kept.
 */
#ifndef WR_PROXY_CRASH_FOLDER_H
#define WR_PROXY_CRASH_FOLDER_H

#include <stdint.h>

#include "base/error.h"

/*
 * Make the folder of a new report of `module` in the crash folder `parent`, which is made where it
 * is missing. Before, the oldest reports of this module are removed, so that with this one there
 * are at most `max`. `*path`, absolute, is the caller's to free.
 * Errors: as wr_folder_ensure; EXISTS (too many within one second), MEMORY.
 */
WEIR_MUST_CHECK weir_err wr_crash_folder_make(const char *parent, const char *module, uint32_t max,
                                              char **path, wr_error *error);

#endif
