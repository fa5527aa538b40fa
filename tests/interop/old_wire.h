/* SPDX-License-Identifier: MIT
 *
 * The wire formats as a client of 2017 knew them, written from docs/wire-protocol.md without any of
 * Weir's code, so that the two can disagree.
 */
#ifndef OLD_WIRE_H
#define OLD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum old_control_type { OLD_CREATE = 1, OLD_REPLY = 2, OLD_START = 3, OLD_DESTROY = 4 };

#define OLD_CONTROL_HEADER_SIZE 8u
#define OLD_URI_PAIR 0x10u
#define OLD_URI_MAX 256u

/* A place in bytes that are being written or read; `bad` once something did not fit. */
typedef struct old_bytes {
    uint8_t *data;
    size_t size;
    size_t at;
    bool bad;
} old_bytes;

static inline uint8_t *old_take(old_bytes *bytes, size_t size)
{
    if (bytes->bad || size > bytes->size - bytes->at) {
        bytes->bad = true;
        return NULL;
    }
    uint8_t *start = bytes->data + bytes->at;
    bytes->at += size;
    return start;
}

static inline void old_put(old_bytes *bytes, const void *data, size_t size)
{
    uint8_t *to = old_take(bytes, size);
    if (to != NULL) {
        memcpy(to, data, size);
    }
}

static inline void old_put_u8(old_bytes *bytes, uint8_t value)
{
    old_put(bytes, &value, 1);
}

static inline void old_put_u32(old_bytes *bytes, uint32_t value)
{
    const uint8_t big[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                            (uint8_t)value};
    old_put(bytes, big, sizeof(big));
}

static inline uint8_t old_get_u8(old_bytes *bytes)
{
    const uint8_t *from = old_take(bytes, 1);
    return from != NULL ? *from : 0;
}

static inline uint32_t old_get_u32(old_bytes *bytes)
{
    const uint8_t *b = old_take(bytes, 4);
    if (b == NULL) {
        return 0;
    }
    return ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
}

/* A size that includes the NUL, then the text. NULL and `bad` if it is not so. */
static inline const char *old_get_text(old_bytes *bytes)
{
    uint32_t size = old_get_u32(bytes);
    const uint8_t *text = old_take(bytes, size);
    if (text == NULL || size == 0 || text[size - 1] != 0) {
        bytes->bad = true;
        return NULL;
    }
    return (const char *)text;
}

static inline void old_put_text(old_bytes *bytes, const char *text)
{
    size_t size = strlen(text) + 1;
    old_put_u32(bytes, (uint32_t)size);
    old_put(bytes, text, size);
}

static inline void old_put_control_header(old_bytes *bytes, uint8_t type, size_t total)
{
    old_put_u8(bytes, 0xa1);
    old_put_u8(bytes, 0x6c);
    old_put_u8(bytes, 1);
    old_put_u8(bytes, type);
    old_put_u32(bytes, (uint32_t)total);
}

/* The type; 0: not a control message, or its size is not the frame's. */
static inline uint8_t old_get_control_header(old_bytes *bytes)
{
    bool magic = old_get_u8(bytes) == 0xa1 && old_get_u8(bytes) == 0x6c;
    bool version = old_get_u8(bytes) == 1;
    uint8_t type = old_get_u8(bytes);
    bool whole = old_get_u32(bytes) == bytes->size;
    return !bytes->bad && magic && version && whole ? type : 0;
}

#endif
