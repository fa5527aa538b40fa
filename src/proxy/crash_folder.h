/* SPDX-License-Identifier: MIT
 *
 * The folders of crash reports: their names, and how many of them are kept.
 */
#ifndef WR_PROXY_CRASH_FOLDER_H
#define WR_PROXY_CRASH_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "weir/log.h"

typedef struct wr_crash_folder {
    const char *parent; /* the crash folder; made where it is missing */
    const char *module; /* its name */
    const char *time;   /* of the crash, as weir_time_now has it */
    uint32_t max;       /* reports of this module, with the new one */
    bool poison;        /* it holds a message that was set aside, and is nowhere else */
} wr_crash_folder;

/*
 * Make the folder of a new report. Before, the oldest reports of the module are removed that are
 * too many with this one; but never one with a message that was set aside: of these there are not
 * more. `*path`, absolute, is the caller's to free. One thread at a time. Errors: as
 * wr_folder_ensure; EXISTS (too many of the same time), FULL (too many set aside), MEMORY.
 */
WEIR_MUST_CHECK weir_err wr_crash_folder_make(const wr_crash_folder *which, char **path,
                                              wr_error *error);

#endif
