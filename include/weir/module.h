/* SPDX-License-Identifier: MIT
 *
 * The contract between a module and whatever runs it: the gateway's process, `weir host`, or a
 * program of the module's own. The same source serves all three.
 *
 * Order of calls: create -> start -> receive ... -> destroy. receive is never called before start
 * returned nor after destroy began, and never by two threads at once. Messages of one link arrive
 * in the order in which they were published.
 */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/log.h"
#include "weir/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a module holds of the side that runs it. Lives from create until destroy returned. */
typedef struct weir_host weir_host;

/** The version of this contract. A table with another version is refused. */
#define WEIR_MODULE_ABI 1u

/** The symbol that a module library exports: `const weir_module_api *weir_module(void)`. */
#define WEIR_MODULE_SYMBOL "weir_module"

/** weir_module_api.flags: receive may block. It gets a thread of its own, and in a process of its
 *  own it is not taken to hang while receive lasts. */
#define WEIR_MODULE_BLOCKING 1u

typedef struct weir_module_api {
    uint32_t abi_version;    /**< WEIR_MODULE_ABI */
    uint32_t size;           /**< sizeof(weir_module_api): the table can grow at its end */
    const char *name;        /**< of the kind of module, such as "logger" */
    const char *summary;     /**< one line for people */
    uint32_t flags;          /**< WEIR_MODULE_... */
    const char *args_schema; /**< JSON Schema of args, for people and tools: Weir does not
                                  check args by it. NULL: anything */

    /**
     * Make an instance. `args` is JSON text, "null" when the configuration has none; borrowed.
     * On failure call weir_fail(host, ...) to say why, and return its result; destroy is not
     * called then. Runs on an unspecified thread; may block, but holds up the start meanwhile.
     */
    weir_err (*create)(weir_host *host, const char *args, void **self);

    /** All modules exist and all links are made. NULL allowed. On failure as create, but destroy
     *  is called. */
    weir_err (*start)(void *self);

    /** One message, borrowed: weir_message_ref it to keep it. NULL: the module is a pure source.
     *  Must not block unless the flag WEIR_MODULE_BLOCKING is set. */
    void (*receive)(void *self, weir_message *msg);

    /** Several messages in order, borrowed. NULL: receive is called for each. */
    void (*receive_many)(void *self, weir_message **msgs, size_t count);

    /** Stop the module's threads, give everything back. NULL allowed only with a create that
     *  allocates nothing. weir_publish works until it returns, without waiting. */
    void (*destroy)(void *self);
} weir_module_api;

/** Type of the function behind WEIR_MODULE_SYMBOL. The table is constant and lives as long as the
 *  library. */
typedef const weir_module_api *(*weir_module_fn)(void);

#ifdef __cplusplus
#define WEIR_MODULE_EXPORT extern "C" WEIR_API
#else
#define WEIR_MODULE_EXPORT WEIR_API
#endif

/** What a module library defines, and nobody else does:
 *      WEIR_MODULE_EXPORT const weir_module_api *weir_module(void) { return &api; }
 */
WEIR_API const weir_module_api *weir_module(void);

/**
 * Send a message to every sink that is linked to this module. The caller keeps its reference.
 * Any thread, from create to destroy. Inside receive it never waits. On a thread of the module's
 * own it waits while a sink whose link says "block" is over its limit.
 * WEIR_OK: every sink's link took it or counted it as dropped by the link's rule.
 * Errors: CLOSED (the module is being destroyed and would have had to wait; no sink got it),
 * MEMORY (as many sinks as possible got it), INVALID, TOO_LARGE (over a remote host's limit).
 * Inside receive and the module's other functions also FULL: a queue is 1048576 messages over its
 * limit, because they have published so much; as many sinks as possible got the message.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_publish(weir_host *host, weir_message *msg);

/** As weir_publish, but does not wait.
 *  Errors: FULL (it would have had to wait; no sink got it), and as weir_publish. Inside receive
 *  and the module's other functions the two are the same. */
WEIR_API WEIR_MUST_CHECK weir_err weir_try_publish(weir_host *host, weir_message *msg);

/** Say why create or start failed; returns `err`, so that a module can write
 *  `return weir_fail(host, WEIR_ERR_IO, "cannot open %s: %s", ...);`. The text reaches the user
 *  with the module's name and its place in the configuration. Inside create and start only. */
WEIR_API weir_err weir_fail(weir_host *host, weir_err err, const char *format, ...)
    WEIR_PRINTF(3, 4);

/** A line in the log under the module's name. Any thread, from create to destroy. */
WEIR_API void weir_log(weir_host *host, weir_log_level level, const char *format, ...)
    WEIR_PRINTF(3, 4);

/** The module's name in the configuration; in a process that the gateway did not start with
 *  "isolation", its control id. Borrowed. */
WEIR_API const char *weir_host_name(const weir_host *host);

#ifdef __cplusplus
}
#endif

#endif
