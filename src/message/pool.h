/* SPDX-License-Identifier: MIT
 *
 * Memory for messages: blocks that one thread gets and another gives back, by the million.
 *
 * Each thread keeps lists of free blocks by size class, and passes whole chains of them on through
 * a depot that all share: so malloc and its locks are met once in many messages. Blocks over
 * WR_POOL_BLOCK_MAX go straight to malloc. Any thread.
 */
#ifndef WR_MESSAGE_POOL_H
#define WR_MESSAGE_POOL_H

#include <stddef.h>

/* In bytes. */
#define WR_POOL_BLOCK_MAX (4u * 1024u * 1024u)

/* A block of at least `size` bytes, aligned as by malloc. NULL: out of memory. */
void *wr_pool_get(size_t size);
/* Give back a block; `size` is what it was got with. */
void wr_pool_put(void *block, size_t size);

#endif
