/* SPDX-License-Identifier: MIT
 *
 * What the files of the crash report share (crash_report.c: the report; crash_replay.c: its
 * replay.json; crash_job.c: writing it beside the loop).
 */
#ifndef WR_PROXY_CRASH_INTERNAL_H
#define WR_PROXY_CRASH_INTERNAL_H

#include <jansson.h>

#include "proxy/crash_report.h"

#define WR_CRASH_FILE_REPORT "report.json"
#define WR_CRASH_FILE_MESSAGES "messages"
#define WR_CRASH_FILE_REPLAY "replay.json"

/* A text as JSON; bytes that are not UTF-8 are shown as \xNN. NULL: `text` is NULL, no memory. */
json_t *wr_crash_text(const char *text);
/* Give `object` a member, and take the value. False: a NULL value, or no memory. */
bool wr_crash_set(json_t *object, const char *key, json_t *value);

/* The configuration that replays the report in `folder` (absolute). NULL: no memory. */
json_t *wr_crash_replay(const wr_crash_report *report, const char *folder);

#endif
