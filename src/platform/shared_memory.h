/* SPDX-License-Identifier: MIT
 *
 * Memory that one process writes and others only read. Its size never changes, and what is secured
 * stays, so that no reader is ever stopped by memory that went away. It goes to another process
 * along a stream: wr_stream_attach_memory here, wr_stream_take_memory there. Either end has a
 * descriptor of it only on that way.
 */
#ifndef WR_PLATFORM_SHARED_MEMORY_H
#define WR_PLATFORM_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"
#include "base/error.h"

typedef struct wr_shared_memory wr_shared_memory;

/* Can this system make such memory? False also where a try fails just now. Any thread. */
WR_SHARED bool wr_shared_memory_supported(void);
/* `size` bytes, all 0, that only this process can write. They cost nothing until they are secured.
 * Errors: INVALID (size 0), UNSUPPORTED (an old system, or a sandbox), MEMORY, IO; `error`, which
 * may be NULL, says why. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_shared_memory_create(size_t size, wr_shared_memory **out,
                                                           wr_error *error);
/* Bytes that were not secured may turn out to be missing when they are touched, which ends the
 * program. Secure the first `size` bytes, in this process: of memory that came from another one,
 * too, which may have touched none of it. What is there costs nothing; what is missing is taken
 * from the system. Never waits for the other process, whatever that does with the memory. By one
 * thread at a time. Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_shared_memory_secure(wr_shared_memory *memory, size_t size);
/* No longer in this process; who else has it keeps it. NULL is allowed. */
WR_SHARED void wr_shared_memory_close(wr_shared_memory *memory);

/* To be written only by the process that has created it: elsewhere a write is stopped by the
 * system. */
WR_SHARED void *wr_shared_memory_bytes(wr_shared_memory *memory);
WR_SHARED size_t wr_shared_memory_size(const wr_shared_memory *memory);
WR_SHARED size_t wr_shared_memory_secured(const wr_shared_memory *memory); /* bytes */

#endif
