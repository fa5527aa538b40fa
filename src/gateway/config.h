/* SPDX-License-Identifier: MIT
 *
 * The configuration file, read and checked: what docs/config.md describes, as plain structs.
 *
 * Everything is checked before anything is started; every mistake is reported in one pass.
 */
#ifndef WR_GATEWAY_CONFIG_H
#define WR_GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/link.h"
#include "ipc/peer.h"
#include "platform/sandbox.h"
#include "proxy/heartbeat.h"
#include "proxy/restart.h"
#include "weir/gateway.h"

/* Limits on what a file may say. */
#define WR_CONFIG_SIZE_MAX (64u * 1024u * 1024u) /* bytes of the file */
#define WR_GRACE_PERIOD_DEFAULT_MS 1000u         /* gateway: for stopping */
#define WR_RECEIVE_DEADLINE_DEFAULT_MS 5000u     /* gateway: of a native module's receive */
#define WR_CRASH_REPORTS_DEFAULT 10u             /* kept for each module */
#define WR_NAME_MAX 255u                         /* bytes of a module's or loader's name */

typedef enum wr_loader_type { WR_LOADER_NATIVE, WR_LOADER_OUTPROCESS } wr_loader_type;

/* Where in the file, for errors found later (a module that cannot be loaded). */
typedef struct wr_config_place {
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in bytes */
    size_t index;    /* in its array */
} wr_config_place;

typedef struct wr_launch_config {
    char *path;        /* NULL: the process is not launched (activation.type none) */
    char **args;       /* NULL-terminated; never NULL where path is set */
    char **env;        /* NULL-terminated "NAME=VALUE"; likewise */
    char *working_dir; /* NULL: the gateway's */
    uint32_t grace_period_ms;
} wr_launch_config;

typedef struct wr_sandbox_config {
    bool present; /* false: none of this */
    bool change_user, filter, network, confine, required;
    uint32_t user, group;
    uint64_t limits[WR_LIMIT_COUNT];
    char **read, **write; /* NULL-terminated; NULL: none */
} wr_sandbox_config;

typedef struct wr_outprocess_config {
    char *control_id;       /* a path, without "ipc://"; NULL: the gateway makes one (isolation) */
    char *message_id;       /* likewise; NULL: a fresh one each time */
    uint32_t timeout_ms;    /* for the reply to create */
    uint64_t message_limit; /* bytes; 0: not said */
    bool shared_memory;     /* for large messages, where it can be; of isolated modules, too */
    wr_users allowed;       /* whose processes may be the module */
    wr_launch_config launch;
} wr_outprocess_config;

typedef struct wr_module_config {
    char *name;
    char *loader;        /* the loader's name in the file */
    wr_loader_type type; /* what that loader is */
    char *args;        /* JSON text as it stands in the file without white space; "null" if none */
    char *module_path; /* native: as in the file */
    bool isolated;     /* native with "isolation": "process" */
    wr_restart_config restart;     /* of a launched process */
    wr_heartbeat_config heartbeat; /* of a module in another process */
    wr_sandbox_config sandbox;     /* of a launched process */
    wr_outprocess_config outprocess;
    wr_config_place place;
} wr_module_config;

typedef struct wr_link_config {
    char *source; /* a module's name, or "*" */
    char *sink;
    wr_queue_config queue;
    wr_config_place place;
} wr_link_config;

typedef struct wr_config {
    char *path;   /* of the file, as given */
    char *folder; /* that holds the file: module.path is relative to it; "." if none */
    wr_module_config *modules;
    size_t module_count;
    wr_link_config *links;
    size_t link_count;
    uint32_t grace_period_ms;     /* gateway: for stopping */
    uint32_t receive_deadline_ms; /* gateway: of native modules that do not block; 0: none */
    uint32_t threads;             /* gateway: of the executor's pool; 0: one per core */
    char *crash_folder;           /* gateway: for crash reports; NULL: not said */
    uint32_t crash_reports;       /* gateway: kept for each module; 0: none are written */
} wr_config;

/* Read a file. Errors: CONFIG (every mistake was reported), MEMORY. */
WEIR_MUST_CHECK weir_err wr_config_read(const char *path, weir_problem_fn on_problem, void *user,
                                        wr_config **out);
/* Read a text as if it stood in the file `path`, which need not exist. Errors: as wr_config_read.
 */
WEIR_MUST_CHECK weir_err wr_config_parse(const char *text, size_t size, const char *path,
                                         weir_problem_fn on_problem, void *user, wr_config **out);
/*
 * Read one entry of "modules" or of "links" by itself, for changes at run time. The result holds
 * just that module or link; a link's names are not looked up. Errors: as wr_config_read.
 */
WEIR_MUST_CHECK weir_err wr_config_parse_module(const char *text, const char *folder,
                                                weir_problem_fn on_problem, void *user,
                                                wr_config **out);
WEIR_MUST_CHECK weir_err wr_config_parse_link(const char *text, weir_problem_fn on_problem,
                                              void *user, wr_config **out);
void wr_config_destroy(wr_config *config); /* NULL is allowed */

#endif
