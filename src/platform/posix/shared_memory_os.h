/* SPDX-License-Identifier: MIT
 *
 * The descriptor behind shared memory, for the streams that carry it.
 */
#ifndef WR_SHARED_MEMORY_OS_H
#define WR_SHARED_MEMORY_OS_H

#include "platform/shared_memory.h"

/* Once only: the caller closes it. The memory does not need it any more. -1: it was taken before.
 */
int wr_shared_memory_take_descriptor(wr_shared_memory *memory);
/* Make memory to read of a descriptor that came from another process. It is taken, also on failure.
 * Errors: TOO_LARGE, PROTOCOL, MEMORY, IO. */
WEIR_MUST_CHECK weir_err wr_shared_memory_adopt(int fd, size_t limit, wr_shared_memory **out,
                                                wr_error *error);

#endif
