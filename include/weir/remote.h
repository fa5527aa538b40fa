/* SPDX-License-Identifier: MIT
 *
 * A module in a process of its own: attach it to a gateway by control id.
 *
 * One thread at a time runs a remote: it reads both channels and calls the module. Choose one way:
 *   weir_remote_run                        this thread, until the gateway ends the module
 *   weir_remote_start / weir_remote_stop   a thread of the library's
 *   weir_remote_fd + weir_remote_poll      inside a loop of the program's own
 * An idle remote uses no CPU. The gateway may start before or after the remote, and may come back.
 */
#ifndef WEIR_REMOTE_H
#define WEIR_REMOTE_H

#include <stdbool.h>

#include "weir/error.h"
#include "weir/module.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_remote weir_remote;

/** In the environment of a process that the gateway launched: its control id. */
#define WEIR_ENV_CONTROL_ID "WEIR_CONTROL_ID"

/** In the environment, for weir_remote_main: users to allow, names or ids with commas between. */
#define WEIR_ENV_ALLOW_USERS "WEIR_ALLOW_USERS"

/**
 * Bind the control channel `control_id` (a path, relative to the working directory unless
 * absolute; at most 107 bytes) and wait there for a gateway. Returns at once; nothing runs before
 * run, start or poll. A stale socket file is replaced; a file that is no socket never is.
 * `api` must outlive the remote. Any thread.
 * Errors: INVALID (api or id), IN_USE (somebody answers at that id), EXISTS (a file that is no
 * socket), DENIED, NOT_FOUND (no such directory), IO, MEMORY. The reason is logged.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_remote_attach(const weir_module_api *api,
                                                     const char *control_id, weir_remote **out);

/**
 * Let a gateway of this user connect, too: a name, or a number in digits; at most 64. Without this
 * only gateways of this process's own user and of root may. It also opens the access rights of the
 * remote's sockets to all users (0666): who else connects is refused by what the system says of its
 * user. Call it after attach, before run, start or poll.
 * Errors: NOT_FOUND (no such user), FULL, STATE (it runs), INVALID, DENIED, IO, MEMORY. The reason
 * is logged.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_remote_allow_user(weir_remote *remote, const char *user);

/**
 * Serve the gateway on this thread until it destroys the module.
 * WEIR_OK: the gateway destroyed the module; calling again waits for the next gateway.
 * Errors: INTERRUPTED (weir_remote_interrupt), STATE (started already), IO, MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_remote_run(weir_remote *remote);

/** Make run return INTERRUPTED, now or when it is next called; in a program with its own loop, make
 *  weir_remote_fd readable once. Any thread, and signal handlers. */
WEIR_API void weir_remote_interrupt(weir_remote *remote);

/** Serve the gateway, and the next one, on a thread of the library's. Should that be unable to go
 * on (what weir_remote_run returns IO and MEMORY for) it says so in the log, and ends. Errors:
 * STATE, MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_err weir_remote_start(weir_remote *remote);

/** End that thread; the module stays as it is. Harmless when not started. Not from receive. */
WEIR_API void weir_remote_stop(weir_remote *remote);

/** A descriptor that is readable when weir_remote_poll has work. It belongs to the remote. */
WEIR_API int weir_remote_fd(const weir_remote *remote);

/**
 * Do what is ready, without waiting.
 * WEIR_OK, or CLOSED: the gateway destroyed the module (further polls wait for the next gateway).
 * Errors: STATE (a thread runs it), IO, MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_remote_poll(weir_remote *remote);

/** Destroy the module if there is one, say goodbye to the gateway, remove the sockets, free the
 *  remote. NULL is allowed. Not from receive, and not while another thread runs or polls it: end
 *  that first (weir_remote_interrupt). A thread of weir_remote_start is ended. */
WEIR_API void weir_remote_detach(weir_remote *remote);

/** Did the gateway launch this process for this remote? Then it ends when the module ends. */
WEIR_API bool weir_remote_launched(const weir_remote *remote);

/**
 * A whole main function: `return weir_remote_main(&api, argc, argv);`
 * Takes the control id from argv[1], or from WEIR_CONTROL_ID; runs until SIGINT or SIGTERM, and,
 * where the gateway launched the process, until the gateway destroys the module. Users named in
 * WEIR_ALLOW_USERS may connect (weir_remote_allow_user).
 * Returns the exit status: 0 after a clean stop, 1 on failure, 2 on wrong usage.
 */
WEIR_API int weir_remote_main(const weir_module_api *api, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
