/* SPDX-License-Identifier: MIT
 *
 * The frames of a message channel that stand for bytes in shared memory (docs/wire-protocol.md, 5):
 *
 *   pool        A1 61 | u32 size of the pool                      (its memory comes with the bytes)
 *   reference   A1 62 | lent | u64 offset | u32 head size | u32 size of the image
 *   given back  A1 63 | lent | lent by the receiver
 *
 * where `lent` is u32 slot | u32 generation. All integers are big-endian.
 */
#ifndef WR_IPC_SHARED_FRAME_H
#define WR_IPC_SHARED_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ipc/lending.h"

/* The size of the largest of these frames, in bytes. */
#define WR_SHARED_FRAME_MAX 26u

/* The second byte; the first is that of a message. */
typedef enum wr_shared_kind {
    WR_SHARED_POOL = 0x61,
    WR_SHARED_REFERENCE = 0x62,
    WR_SHARED_GIVEN_BACK = 0x63
} wr_shared_kind;

typedef struct wr_shared_frame {
    wr_shared_kind kind;
    uint32_t pool_size; /* pool; in bytes */
    wr_lent lent;       /* reference, given back: the sender's */
    uint64_t offset;    /* reference: of the image, in the sender's pool */
    uint32_t head_size; /* reference: bytes of the image before its content */
    uint32_t size;      /* reference: of the image */
    wr_lent returned;   /* given back: the receiver's, which it lent to the sender */
} wr_shared_frame;

/* Is this one of these frames, rather than a message's image? It may still be malformed. */
static inline bool wr_shared_frame_is(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    return size >= 2 && bytes[0] == 0xa1u && bytes[1] >= WR_SHARED_POOL &&
           bytes[1] <= WR_SHARED_GIVEN_BACK;
}

/* Returns how many bytes of `out` it takes. */
size_t wr_shared_frame_encode(const wr_shared_frame *frame, uint8_t out[WR_SHARED_FRAME_MAX]);
/* One that wr_shared_frame_is accepts. `error`, which may be NULL, says what is wrong.
 * Errors: PROTOCOL. */
WEIR_MUST_CHECK weir_err wr_shared_frame_decode(const void *data, size_t size, wr_shared_frame *out,
                                                wr_error *error);

#endif
