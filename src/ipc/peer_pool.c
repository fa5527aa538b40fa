/* SPDX-License-Identifier: MIT
 *
 * The other side's shared pool (contract in shared_pool.h). Whatever comes from there is a number
 * to be checked, and so is what lies in the memory.
 */
#include <stdlib.h>

#include "ipc/shared_pool.h"

struct wr_peer_pool {
    wr_shared_memory *memory;
    const unsigned char *bytes;
    size_t size;
};

/* Is it a pool, and are its marks there? */
static weir_err check(wr_shared_memory *memory, wr_error *error)
{
    size_t size = wr_shared_memory_size(memory);
    if (size < WR_SHARED_POOL_SIZE_MIN || size > WR_SHARED_POOL_SIZE_MAX) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "a shared pool has %u to %u bytes, and the peer's has %zu",
                            WR_SHARED_POOL_SIZE_MIN, WR_SHARED_POOL_SIZE_MAX, size);
    }
    weir_err err = wr_shared_memory_secure(memory, WR_SHARED_POOL_DATA_AT);
    return err == WEIR_OK
               ? err
               : wr_error_set(error, err, "no memory to read the marks in the peer's shared pool");
}

weir_err wr_peer_pool_create(wr_shared_memory *memory, wr_peer_pool **out, wr_error *error)
{
    weir_err err = check(memory, error);
    if (err != WEIR_OK) {
        wr_shared_memory_close(memory);
        return err;
    }
    wr_peer_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        wr_shared_memory_close(memory);
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for the peer's shared pool");
    }
    pool->memory = memory;
    pool->bytes = wr_shared_memory_bytes(memory);
    pool->size = wr_shared_memory_size(memory);
    *out = pool;
    return WEIR_OK;
}

void wr_peer_pool_destroy(wr_peer_pool *pool)
{
    if (pool != NULL) {
        wr_shared_memory_close(pool->memory);
        free(pool);
    }
}

const _Atomic uint32_t *wr_peer_pool_marks(const wr_peer_pool *pool)
{
    return (const _Atomic uint32_t *)(const void *)pool->bytes;
}

const _Atomic uint64_t *wr_peer_pool_count(const wr_peer_pool *pool)
{
    return (const _Atomic uint64_t *)(const void *)(pool->bytes + WR_SHARED_POOL_COUNT_AT);
}

const _Atomic uint32_t *wr_peer_pool_waits(const wr_peer_pool *pool)
{
    return (const _Atomic uint32_t *)(const void *)(pool->bytes + WR_SHARED_POOL_WAITS_AT);
}

const void *wr_peer_pool_find(const wr_peer_pool *pool, uint64_t offset, size_t size)
{
    if (offset < WR_SHARED_POOL_DATA_AT || offset > pool->size || size > pool->size - offset) {
        return NULL;
    }
    return pool->bytes + offset;
}

weir_err wr_peer_pool_secure(wr_peer_pool *pool, const void *bytes, size_t size)
{
    size_t offset = (size_t)((const unsigned char *)bytes - pool->bytes);
    return wr_shared_memory_secure(pool->memory, offset + size);
}

size_t wr_peer_pool_secured(const wr_peer_pool *pool)
{
    return wr_shared_memory_secured(pool->memory);
}
