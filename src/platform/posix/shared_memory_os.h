/* SPDX-License-Identifier: MIT
 *
 * The descriptor behind shared memory, for the streams that carry it.
 */
#ifndef WR_SHARED_MEMORY_OS_H
#define WR_SHARED_MEMORY_OS_H

#include "platform/shared_memory.h"

/* Borrowed. */
int wr_shared_memory_descriptor(const wr_shared_memory *memory);
/* Make memory to read of a descriptor that came from another process. It is taken, also on failure.
 * Errors: TOO_LARGE, PROTOCOL, MEMORY, IO. */
WEIR_MUST_CHECK weir_err wr_shared_memory_adopt(int fd, size_t limit, wr_shared_memory **out,
                                                wr_error *error);

#endif
