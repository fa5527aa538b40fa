/* SPDX-License-Identifier: MIT
 *
 * Big-endian integers in byte arrays: the order of every wire format here.
 */
#ifndef WR_BASE_BYTES_H
#define WR_BASE_BYTES_H

#include <stdint.h>

static inline uint32_t wr_get_u32(const void *from)
{
    const uint8_t *b = from;
    return ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
}

static inline uint64_t wr_get_u64(const void *from)
{
    return ((uint64_t)wr_get_u32(from) << 32) | wr_get_u32((const uint8_t *)from + 4);
}

static inline void wr_put_u32(void *to, uint32_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)(value >> 24);
    b[1] = (uint8_t)(value >> 16);
    b[2] = (uint8_t)(value >> 8);
    b[3] = (uint8_t)value;
}

static inline void wr_put_u64(void *to, uint64_t value)
{
    wr_put_u32(to, (uint32_t)(value >> 32));
    wr_put_u32((uint8_t *)to + 4, (uint32_t)value);
}

#endif
