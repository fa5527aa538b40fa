/* SPDX-License-Identifier: MIT
 *
 * The shared pool: memory that one side of a message channel writes and the other side only reads.
 * It holds the images of messages on their way, and the writer's return marks (ipc/lending.h): one
 * for each slot of what the other side has lent to it.
 *
 *   marks   WR_SHARED_POOL_MARKS x u32, in the byte order of the machine, all 0 at first
 *   count   u64: how many of the other side's messages the writer has processed; likewise
 *   waits   u32: not 0 while the writer waits for more of its own to be processed; likewise
 *   data    from WR_SHARED_POOL_DATA_AT to the end
 *
 * A pool belongs to one channel, and lives as long as anybody holds it or an image in it: so its
 * bytes are never used again for another peer. Any thread.
 */
#ifndef WR_IPC_SHARED_POOL_H
#define WR_IPC_SHARED_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "message/place.h"
#include "platform/shared_memory.h"

#define WR_SHARED_POOL_MARKS 4096u
#define WR_SHARED_POOL_COUNT_AT (WR_SHARED_POOL_MARKS * 4u)
/* In lines of their own: they are written often, and by different threads. */
#define WR_SHARED_POOL_WAITS_AT (WR_SHARED_POOL_COUNT_AT + 256u)
#define WR_SHARED_POOL_DATA_AT (WR_SHARED_POOL_COUNT_AT + 4096u)

/* Address space: memory is taken in steps, as far as it was ever needed at once. */
#define WR_SHARED_POOL_SIZE (32u * 1024u * 1024u)
/* The sizes that are taken from a peer. The most is what its pool can cost here: who reads pages
 * that it never touched takes them from the system itself. */
#define WR_SHARED_POOL_SIZE_MIN (2u * WR_SHARED_POOL_DATA_AT)
#define WR_SHARED_POOL_SIZE_MAX (64u * 1024u * 1024u)
/* The most that one block takes of the data, so that the next message finds room, too. */
#define WR_SHARED_POOL_BLOCK_PART 4u

/* ---- this side's: to be written ---- */

typedef struct wr_shared_pool wr_shared_pool;

/* The pool is the caller's to destroy. `size`: in bytes, with the marks.
 * Errors: INVALID (under WR_SHARED_POOL_SIZE_MIN or over WR_SHARED_POOL_SIZE_MAX), and those of
 * wr_shared_memory_create. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_shared_pool_create(size_t size, wr_shared_pool **out,
                                                         wr_error *error);
/* Blocks and places that are out stay valid. NULL is allowed. */
WR_SHARED void wr_shared_pool_destroy(wr_shared_pool *pool);
/* Its channel is gone: no more blocks. Those that are out stay valid. */
WR_SHARED void wr_shared_pool_close(wr_shared_pool *pool);

/* Valid until the pool is destroyed. */
WR_SHARED wr_shared_memory *wr_shared_pool_memory(wr_shared_pool *pool);
WR_SHARED _Atomic uint32_t *wr_shared_pool_marks(wr_shared_pool *pool);
WR_SHARED _Atomic uint64_t *wr_shared_pool_count(wr_shared_pool *pool);
WR_SHARED _Atomic uint32_t *wr_shared_pool_waits(wr_shared_pool *pool);
/* The pool as a place for messages. Borrowed, until the pool is destroyed; a reference that
 * somebody adds to the place keeps the place, not the memory. */
WR_SHARED wr_message_place *wr_shared_pool_place(wr_shared_pool *pool);

/* A block of `size` bytes at a multiple of 64, at the lowest address there is: what was given back
 * last is mostly still in the cache. The block keeps the memory when the pool is destroyed.
 * NULL: no room, over the limit for one block, or closed. */
WR_SHARED void *wr_shared_pool_get(wr_shared_pool *pool, size_t size);
/* `size`: what it was got with. */
WR_SHARED void wr_shared_pool_put(wr_shared_pool *pool, const void *block, size_t size);
/* Where these bytes are in the pool; false: they are not, or not all of them. */
WR_SHARED bool wr_shared_pool_offset(const wr_shared_pool *pool, const void *bytes, size_t size,
                                     uint64_t *offset);

/* ---- the other side's: to be read ---- */

typedef struct wr_peer_pool wr_peer_pool;

/* Takes `memory`, as it came from the peer, also on failure. The pool is the caller's to destroy.
 * Errors: PROTOCOL (no size for a pool), MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_peer_pool_create(wr_shared_memory *memory, wr_peer_pool **out,
                                                       wr_error *error);
WR_SHARED void wr_peer_pool_destroy(wr_peer_pool *pool); /* NULL is allowed */
/* The peer's return marks. */
WR_SHARED const _Atomic uint32_t *wr_peer_pool_marks(const wr_peer_pool *pool);
/* How many messages it has processed, as it says. */
WR_SHARED const _Atomic uint64_t *wr_peer_pool_count(const wr_peer_pool *pool);
/* Does it wait for messages to be processed? */
WR_SHARED const _Atomic uint32_t *wr_peer_pool_waits(const wr_peer_pool *pool);
/* These bytes of the data; the peer may change them at any time. NULL: they are not all in it. */
WR_SHARED const void *wr_peer_pool_find(const wr_peer_pool *pool, uint64_t offset, size_t size);
/* All up to the end of these bytes can be read from now on. By one thread at a time.
 * Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_peer_pool_secure(wr_peer_pool *pool, const void *bytes,
                                                       size_t size);
/* How many bytes were asked for that way. By the same thread. */
WR_SHARED size_t wr_peer_pool_secured(const wr_peer_pool *pool);

#endif
