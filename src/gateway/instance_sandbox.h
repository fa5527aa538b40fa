/* SPDX-License-Identifier: MIT
 *
 * The part of an instance that is about the sandbox of its process. Used by instance_remote.c only.
 */
#ifndef WR_GATEWAY_INSTANCE_SANDBOX_H
#define WR_GATEWAY_INSTANCE_SANDBOX_H

#include "gateway/instance.h"

/* First: a folder for the sockets, and who may be at the other end. Errors: as wr_run_folder_open;
 * `error` has the text. */
WEIR_MUST_CHECK weir_err wr_sandboxed_prepare(wr_instance *instance, wr_error *error);
/* When it is known what will be launched: the sandbox itself. Logs what this system does not
 * enforce; where the configuration requires all of it, that is an error (UNSUPPORTED). */
WEIR_MUST_CHECK weir_err wr_sandboxed_create(wr_instance *instance, wr_error *error);
/* What both allocated. */
void wr_sandboxed_free(wr_instance *instance);

#endif
