/* SPDX-License-Identifier: MIT
 *
 * The part of an instance that crash reports need: where they go, and how its module is run again.
 * Used by instance_remote.c only.
 */
#ifndef WR_GATEWAY_INSTANCE_CRASH_H
#define WR_GATEWAY_INSTANCE_CRASH_H

#include "gateway/instance.h"

/* Fill the instance's crash settings, and let its proxy use them. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_instance_set_crash(wr_instance *instance, const wr_instance_host *host);
/* What that allocated. */
void wr_instance_free_crash(wr_instance *instance);

#endif
