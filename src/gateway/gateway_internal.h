/* SPDX-License-Identifier: MIT
 *
 * What the files of the gateway share, and nobody else uses: its state, and the steps of its life
 * and of changes at run time.
 */
#ifndef WR_GATEWAY_GATEWAY_INTERNAL_H
#define WR_GATEWAY_GATEWAY_INTERNAL_H

#include <jansson.h>

#include "gateway/config.h"
#include "gateway/instance.h"
#include "platform/run_folder.h"

/* A link from "*": applies to modules that come later, too. */
typedef struct star_link {
    wr_instance *sink;
    wr_queue_config queue;
} star_link;

/* Where the gateway is in its life. Changes are for CREATED and RUNNING. */
typedef enum wr_gateway_phase {
    WR_GATEWAY_CREATED,
    WR_GATEWAY_RUNNING,
    WR_GATEWAY_FAILED, /* some of its modules were started: it can only be stopped */
    WR_GATEWAY_STOPPED
} wr_gateway_phase;

/* What removed modules have counted. */
typedef struct wr_removed {
    uint64_t redelivered;
    uint64_t overruns;
} wr_removed;

struct weir_gateway {
    wr_mutex lock; /* one change at a time; held for as long as a module takes to start or stop */
    wr_mutex list; /* taken after `lock`, for moments, to change what is marked "listed"; who has
                      only this one may read that */

    weir_gateway_options options;
    char *problem;     /* why this change fails; NULL with `has_problem`: out of memory */
    bool has_problem;  /* to be reported when the lock is given up */
    wr_config *config; /* of the file; NULL: none */
    wr_broker *broker;
    wr_loop *loop;           /* made for the first remote module */
    wr_run_folder *folder;   /* likewise: for sockets */
    wr_watchdog *watchdog;   /* NULL: receive has no deadline */
    wr_instance **instances; /* listed; in the order of adding */
    size_t count;            /* listed */
    size_t capacity;
    size_t added;  /* ever */
    json_t *index; /* name -> place in instances */
    star_link *stars;
    size_t star_count;
    wr_gateway_phase phase; /* listed */
    bool stuck;             /* a module never returned: its memory and threads are left alone */
    uint64_t started_ns;    /* listed; of wr_clock_ns; 0: not started */
    wr_removed removed;     /* listed */
};

/* Give up `lock`, and report the problem that there may be: a change ends at its first one. */
void wr_gateway_unlock(weir_gateway *gateway);

/* The rest is called under `lock`. */

/* Something went wrong with a module, to be reported as "FILE:LINE:COLUMN: modules[1]: module
 * "name" WHAT: why". */
void wr_gateway_report_module(weir_gateway *gateway, const wr_module_config *config,
                              const char *what, const wr_error *error);

/* NULL: there is no module of this name. */
wr_instance *wr_gateway_find(const weir_gateway *gateway, const char *name);
/* Create a module. `folder`: module.path is relative to it. Errors: EXISTS, LOAD, NOT_FOUND,
 * DENIED, UNSUPPORTED, MODULE, MEMORY, IO; the reason was reported. */
WEIR_MUST_CHECK weir_err wr_gateway_add_instance(weir_gateway *gateway,
                                                 const wr_module_config *config, const char *folder,
                                                 wr_instance **out);
/* Start a module. Errors: MODULE (the reason was reported). */
WEIR_MUST_CHECK weir_err wr_gateway_start_instance(weir_gateway *gateway, wr_instance *instance);
/* Errors: NOT_FOUND, EXISTS, MEMORY. */
WEIR_MUST_CHECK weir_err wr_gateway_add_link(weir_gateway *gateway, const wr_link_config *config);
/* Add a link from "*". Errors: EXISTS, MEMORY. */
WEIR_MUST_CHECK weir_err wr_gateway_add_star(weir_gateway *gateway, wr_instance *sink,
                                             wr_queue_config queue);
/* Link a new module to where the links from "*" lead. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_gateway_link_stars(weir_gateway *gateway, const wr_instance *source);
/* Remove a link from "*"; links of their own stay. Errors: NOT_FOUND. */
weir_err wr_gateway_remove_star(weir_gateway *gateway, const wr_instance *sink);
/* Now and the grace period, as a time of wr_clock_ns. */
uint64_t wr_gateway_stop_deadline(const weir_gateway *gateway);
/* Stop all modules, and wait for the ends of their processes. Errors: TIMEOUT (a native one does
 * not return from receive; the gateway is `stuck`). */
WEIR_MUST_CHECK weir_err wr_gateway_stop_all(weir_gateway *gateway);

#endif
