/* SPDX-License-Identifier: MIT
 *
 * The part of an instance that stands for a remote module: options for its proxy, made from the
 * configuration. Used by instance.c only.
 */
#ifndef WR_GATEWAY_INSTANCE_REMOTE_H
#define WR_GATEWAY_INSTANCE_REMOTE_H

#include "gateway/instance.h"

/* The program that hosts native modules in processes of their own; instead of the one found beside
 * the library or in PATH. */
#define WR_ENV_HOST_PROGRAM "WEIR_HOST_PROGRAM"

/* Make the instance's node and its proxy. `error` says what failed; wr_remote_free follows also
 * then. */
WEIR_MUST_CHECK weir_err wr_remote_create(wr_instance *instance, const wr_instance_host *host,
                                          wr_error *error);
/* What wr_remote_create allocated. */
void wr_remote_free(wr_instance *instance);

#endif
