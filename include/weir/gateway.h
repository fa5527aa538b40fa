/* SPDX-License-Identifier: MIT
 *
 * The gateway, for programs that embed it (libweir-gateway).
 *
 * A gateway may be used by any thread; calls that change it wait for each other, those that only
 * look at it wait for nothing. Do not call it from a module's callbacks.
 */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/module.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_gateway weir_gateway;

/** One mistake in a configuration, as one line of text ready to print:
 *  FILE:LINE:COLUMN: modules[1].loader: what is wrong (what was expected). */
typedef void (*weir_problem_fn)(void *user, const char *text);

typedef struct weir_gateway_options {
    size_t size; /**< sizeof(weir_gateway_options): the struct can grow */
    weir_problem_fn
        on_problem; /**< called for each mistake, by the calling thread; NULL: the log */
    void *user;     /**< given to on_problem */
} weir_gateway_options;

/** Start from this: `weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;` */
#define WEIR_GATEWAY_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(weir_gateway_options), NULL, NULL                                                   \
    }

/** Find every mistake in a file, and start nothing. Errors: CONFIG (each mistake was reported). */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_check(const char *path,
                                                     const weir_gateway_options *options);

/**
 * An empty gateway: no modules, no links. options may be NULL.
 * Errors: MEMORY, IO.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_create(const weir_gateway_options *options,
                                                      weir_gateway **out);

/**
 * Read a file, create its modules in its order and make its links. Nothing is started.
 * Errors: CONFIG, LOAD, MODULE, MEMORY, IO; every reason was reported, everything was undone.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_create_from_file(const char *path,
                                                                const weir_gateway_options *options,
                                                                weir_gateway **out);

/** Start all modules. Errors: MODULE (a module's start failed; the reason was reported), STATE. */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_start(weir_gateway *gateway);

/**
 * Stop in order: sources first, then what they feed; those that do not feed each other side by
 * side. Each is destroyed after its mailboxes are empty. For that, and for remote modules to end,
 * there is the grace period ("gateway": {"grace.period.ms"}, default 1000), of which each step
 * has a part for itself. Processes that the gateway launched end side by side; this waits for them.
 * Harmless when stopped already. Errors: TIMEOUT (a native module does not return from receive; it
 * was left as it is, and named in the log).
 */
WEIR_API weir_err weir_gateway_stop(weir_gateway *gateway);

/** Stop and free. NULL is allowed. */
WEIR_API void weir_gateway_destroy(weir_gateway *gateway);

/**
 * Add a module: `json` is one entry of "modules", as in the file. In a gateway that runs, it is
 * started at once. Links from "*" apply to it. Errors: CONFIG, EXISTS, LOAD, MODULE, MEMORY; the
 * reason is reported.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_add_module(weir_gateway *gateway, const char *json);

/** Remove a module and its links; its queued messages are counted as dropped.
 *  Errors: NOT_FOUND, TIMEOUT. */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_remove_module(weir_gateway *gateway,
                                                             const char *name);

/**
 * Start the process of a launched module again, whatever it is at: one that runs is ended first, in
 * order; one that has failed gets its restarts back. Returns at once; messages that it has not
 * acknowledged go to the new process. `name` NULL: every launched module that is failed or ended.
 * Errors: NOT_FOUND, UNSUPPORTED (this gateway does not launch it), STATE (stopped).
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_restart_module(weir_gateway *gateway,
                                                              const char *name);

/** Add a link: `json` is one entry of "links". Errors: CONFIG, NOT_FOUND, EXISTS, MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_add_link(weir_gateway *gateway, const char *json);

/** Remove a link; what it still queues is counted as dropped. Errors: NOT_FOUND. */
WEIR_API WEIR_MUST_CHECK weir_err weir_gateway_remove_link(weir_gateway *gateway,
                                                           const char *source, const char *sink);

/** One module. Only the library makes these: the struct can grow at its end. */
typedef struct weir_module_info {
    const char *name;
    const char *loader;
    const char *state;       /**< a word: "created", "running", "waiting", "connecting", ... */
    int64_t pid;             /**< of a launched process; 0: none */
    uint64_t redelivered;    /**< messages sent to or got from a remote module once more */
    uint64_t unacknowledged; /**< sent to a remote module, which has not said that it has them */
    uint64_t restarts;       /**< how often a launched process was started again */
    uint64_t hangs;          /**< how often a remote module gave no sign of life in time */
    uint64_t overruns; /**< calls of a native module's receive that were reported as too long */
} weir_module_info;

/** Call `visit` for each module, in the order of adding. The info is borrowed for the call;
 *  `visit` may not use the gateway. */
WEIR_API void weir_gateway_modules(weir_gateway *gateway,
                                   void (*visit)(void *user, const weir_module_info *info),
                                   void *user);

/** One link and its counters, in messages. At any time, exactly:
 *  accepted = delivered + dropped_full + dropped_closed + dropped_poison + queued.
 *  Only the library makes these: the struct can grow at its end. */
typedef struct weir_link_info {
    const char *source; /**< a module's name; a link from "*" is one link for each source */
    const char *sink;
    uint64_t accepted;       /**< published into this link */
    uint64_t delivered;      /**< handed to the sink, which has returned or taken them */
    uint64_t dropped_full;   /**< by the rule when.full */
    uint64_t dropped_closed; /**< the sink stopped, or could never take it */
    uint64_t queued;         /**< waiting now, including those being handed over */
    uint32_t limit;          /**< messages that may wait */
    const char *when_full;   /**< "block", "drop.oldest" or "drop.newest" */
    uint64_t dropped_poison; /**< set aside: a remote sink had died of it again and again */
} weir_link_info;

/** Call `visit` for each link, in the order of adding. The info is borrowed for the call;
 *  `visit` may not use the gateway. */
WEIR_API void weir_gateway_links(weir_gateway *gateway,
                                 void (*visit)(void *user, const weir_link_info *info), void *user);

/**
 * The gateway as a whole. Messages are counted over all links, once for each link that they enter,
 * those of links and modules that were removed included; so no counter but `queued` and
 * `unacknowledged` ever becomes less (but for `delivered`, by one, when a message that a remote
 * sink had been given is set aside or cannot be given to it again, and is counted as dropped_poison
 * or dropped_closed instead), and at any time, exactly: accepted = delivered + dropped_full +
 * dropped_closed + dropped_poison + queued.
 */
typedef struct weir_stats {
    size_t size;        /**< sizeof(weir_stats): the struct can grow */
    uint64_t uptime_ms; /**< since weir_gateway_start; 0: not started */
    uint64_t modules;   /**< that there are now */
    uint64_t links;     /**< likewise; a link from "*" is one link for each source */
    uint64_t accepted;  /**< as in weir_link_info, like the next four */
    uint64_t delivered;
    uint64_t dropped_full;
    uint64_t dropped_closed;
    uint64_t queued;
    uint64_t redelivered;    /**< as in weir_module_info; since the start */
    uint64_t unacknowledged; /**< as in weir_module_info; now */
    uint64_t overruns;       /**< as in weir_module_info; since the start */
    uint64_t dropped_poison; /**< as in weir_link_info */
} weir_stats;

/** Start from this: `weir_stats stats = WEIR_STATS_INIT;` */
#define WEIR_STATS_INIT                                                                            \
    {                                                                                              \
        sizeof(weir_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                     \
    }

/** Fill in as much of `stats` as its size says. Any thread but a module's callback, at any time: it
 *  does not wait for changes of modules and links. */
WEIR_API void weir_gateway_stats(weir_gateway *gateway, weir_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
