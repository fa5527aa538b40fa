/* SPDX-License-Identifier: MIT
 *
 * An instance: one module of a running gateway, with its node in the broker and what is behind it:
 * native code in this process, or the proxy of a remote module.
 *
 * Threads: one at a time (under the gateway's lock).
 */
#ifndef WR_GATEWAY_INSTANCE_H
#define WR_GATEWAY_INSTANCE_H

#include "broker/broker.h"
#include "gateway/config.h"
#include "gateway/watchdog.h"
#include "loader/native.h"
#include "loop/loop.h"
#include "platform/run_folder.h"
#include "platform/sandbox.h"
#include "proxy/proxy.h"

typedef struct wr_instance {
    const wr_module_config *config; /* borrowed: lives as long as the instance */
    wr_config *own_config;          /* of a module added at run time; else NULL */
    wr_node *node;

    wr_native_module native;
    void *self;   /* the native module's */
    bool created; /* native: destroy is due */
    wr_watched watched;

    wr_proxy *proxy; /* NULL: native. The node's. */
    wr_proxy_options proxy_options;
    wr_launch launch;
    char *control_path; /* made up for "isolation": "process" */
    char *hosted_args;  /* likewise */
    char *host_program; /* likewise */
    char *module_file;  /* likewise: of the native module; absolute */
    const char *host_args[3];
    const char **launch_env;
    char *control_env;
    wr_crash_settings crash; /* points to what follows */
    char *crash_folder;
    char *replay_module;
    char *logger_module;
    char *sandbox_text;    /* "sandbox", for a replay; NULL: none */
    wr_run_folder *folder; /* for the sockets of a process in a sandbox; NULL: the gateway's */
    wr_sandbox *sandbox;   /* NULL: none */
    char *users_env;       /* the gateway's user, whom a process of another user must allow */
} wr_instance;

/* What an instance needs of its gateway. */
typedef struct wr_instance_host {
    wr_broker *broker;
    wr_loop *loop;      /* outprocess and isolated modules only */
    const char *folder; /* likewise: private to this gateway, for sockets */
    const char *config_folder;
    const char *crash_folder; /* as configured; NULL: the default */
    uint32_t crash_reports;   /* kept for each module; 0: none */
    wr_watchdog *watchdog;    /* of native modules; NULL: none */
    size_t number;            /* unique in the gateway */
} wr_instance_host;

/* Does it need the loop and the folder? */
bool wr_instance_is_remote(const wr_module_config *config);

/* Load and create the module. Errors: MODULE (its create failed), LOAD, NOT_FOUND, DENIED,
 * UNSUPPORTED, MEMORY, and whatever else the system says. */
WEIR_MUST_CHECK weir_err wr_instance_create(const wr_module_config *config,
                                            const wr_instance_host *host, wr_instance **out,
                                            wr_error *error);
WEIR_MUST_CHECK weir_err wr_instance_start(wr_instance *instance, wr_error *error);
/*
 * Stopping, in three steps; who stops several takes each step with all of them, so that they stop
 * side by side.
 */
/* Let the module work off what is queued for it, until the deadline (wr_clock_ns). */
void wr_instance_drain(wr_instance *instance, wr_broker *broker, uint64_t deadline_ns);
/*
 * Let it run no more, and destroy it: a native one before this returns, however long that takes; of
 * a remote one this begins, and it has until `let_go_ns`. What is still queued is dropped and
 * counted. Errors: TIMEOUT (native: it has not returned from receive at `return_ns`, nor a second
 * after this began; nothing of it may be freed).
 */
WEIR_MUST_CHECK weir_err wr_instance_end(wr_instance *instance, wr_broker *broker,
                                         uint64_t return_ns, uint64_t let_go_ns);
/* Wait until nothing comes from it any more; a process of its own may still be ending. */
void wr_instance_wait_let_go(wr_instance *instance);

/* The same for a single one. Errors: TIMEOUT, as above. */
WEIR_MUST_CHECK weir_err wr_instance_stop(wr_instance *instance, wr_broker *broker,
                                          uint64_t deadline_ns);
/* Wait for the end of a stopped module's process. */
void wr_instance_join(wr_instance *instance);
/* Free a joined instance; after this its node lives on as long as links do. NULL is allowed. */
void wr_instance_destroy(wr_instance *instance);

#endif
