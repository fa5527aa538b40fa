/* SPDX-License-Identifier: MIT
 *
 * The crash report: a folder that says how a remote module's process ended and what it was given
 * before, ready to be replayed (docs/crash-reports.md).
 *
 *     CRASH_FOLDER/MODULE-20261124T060805.123Z-001/
 *         report.json   how it ended, its last lines, a list of the messages
 *         messages      the messages that it was given last, oldest first, as frames on the wire
 *         replay.json   a configuration that gives them to the same module: weir run replay.json
 *
 * A report is best effort: whatever goes wrong is logged and changes nothing else.
 */
#ifndef WR_PROXY_CRASH_REPORT_H
#define WR_PROXY_CRASH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/window.h"
#include "loop/loop.h"
#include "proxy/heartbeat.h"
#include "proxy/line_ring.h"
#include "proxy/supervisor.h"
#include "weir/log.h"

/* How many acknowledged messages the gateway remembers for a report (wr_window.keep_last); those
 * that are not acknowledged all come into it. */
#define WR_CRASH_MESSAGES_KEPT 16u

/* How many messages of a module are set aside, each in a report of its own, until somebody has
 * moved them away: these reports are not removed for newer ones. */
#define WR_CRASH_POISON_MAX 100u

/* What is the same for all reports of one module. */
typedef struct wr_crash_settings {
    const char *folder;   /* the crash folder; made where it is missing */
    uint32_t reports_max; /* so many of a module are kept; 0: none is written */
    const char *library;  /* "isolation": "process": the module's library, absolute; else NULL */
    const char *args;     /* the module's own, JSON text */
    wr_heartbeat_config heartbeat;
    const char *sandbox;       /* JSON text, as in a configuration; NULL: none */
    bool other_user;           /* it runs as another user, who has to make its control socket */
    const char *replay_module; /* module.path of the module replay, */
    const char *logger_module; /* and of logger */
} wr_crash_settings;

/* What is to be reported. Everything is borrowed. */
typedef struct wr_crash_report {
    const wr_crash_settings *settings;
    const char *module;        /* its name */
    char time[WEIR_TIME_SIZE]; /* of the end, by weir_time_now */
    const char *control_path;
    const wr_launch *launch;     /* NULL: somebody else starts the process */
    uint64_t message_limit;      /* of the configuration; 0: not said */
    int64_t pid;                 /* 0: not known */
    const wr_process_exit *exit; /* NULL: not known */
    const char *reason; /* what else there is to say, such as why it was killed; NULL: nothing */
    uint64_t hung_ms;   /* it was killed because it had not answered for so long; 0: it was not */
    uint64_t restarts;  /* of the process, before this end */
    const wr_line_ring *lines; /* NULL: none */
    const wr_window_given *messages;
    size_t message_count;
    bool acknowledges;      /* the marks in `messages` mean something */
    bool publishes;         /* somebody gets what it publishes */
    uint32_t poison_deaths; /* not 0: the message is set aside, as it died of it so often */
    /* NULL, or called from the loop when the report is written. `folder`, borrowed; NULL: it is
     * not, which was logged. */
    void (*on_done)(void *arg, const char *folder);
    void *arg;
} wr_crash_report;

/* Write a report, and remove the oldest ones over settings->reports_max. `*folder`, absolute, is
 * the caller's to free. Takes as long as the disk does. Any thread. Errors: DENIED, NOT_FOUND, IO,
 * MEMORY...; what was written of the report is then removed. */
WEIR_MUST_CHECK weir_err wr_crash_report_write(const wr_crash_report *report, char **folder,
                                               wr_error *error);

/*
 * The same from the loop, which does not wait: everything borrowed is copied (messages: one more
 * reference), a thread writes, and the log says where, or why not (where there is an `on_done`,
 * only why not). wr_loop_destroy waits for it. False: it is not written (too many are at a time; no
 * memory), the log says so, and `on_done` is not called. The loop's thread only.
 */
bool wr_crash_report_start(wr_loop *loop, const wr_crash_report *report);

#endif
