/* SPDX-License-Identifier: MIT
 *
 * Frames for shared memory to bytes and back. What the numbers mean is checked by who uses them.
 */
#include "ipc/shared_frame.h"

#include "base/bytes.h"

#define MAGIC_0 0xa1u
#define MAGIC_SIZE 2u
#define LENT_SIZE 8u
#define POOL_FRAME_SIZE (MAGIC_SIZE + 4u)
#define REFERENCE_FRAME_SIZE (MAGIC_SIZE + LENT_SIZE + 16u)
#define GIVEN_BACK_FRAME_SIZE (MAGIC_SIZE + 2 * LENT_SIZE)

_Static_assert(REFERENCE_FRAME_SIZE == WR_SHARED_FRAME_MAX, "the largest frame");

static size_t size_of(wr_shared_kind kind)
{
    switch (kind) {
    case WR_SHARED_POOL:
        return POOL_FRAME_SIZE;
    case WR_SHARED_REFERENCE:
        return REFERENCE_FRAME_SIZE;
    case WR_SHARED_GIVEN_BACK:
        break;
    }
    return GIVEN_BACK_FRAME_SIZE;
}

static const char *name_of(wr_shared_kind kind)
{
    switch (kind) {
    case WR_SHARED_POOL:
        return "a pool frame";
    case WR_SHARED_REFERENCE:
        return "a reference frame";
    case WR_SHARED_GIVEN_BACK:
        break;
    }
    return "a given-back frame";
}

static void put_lent(uint8_t *to, const wr_lent *lent)
{
    wr_put_u32(to, lent->slot);
    wr_put_u32(to + 4, lent->generation);
}

static wr_lent get_lent(const uint8_t *from)
{
    return (wr_lent){.slot = wr_get_u32(from), .generation = wr_get_u32(from + 4)};
}

size_t wr_shared_frame_encode(const wr_shared_frame *frame, uint8_t out[WR_SHARED_FRAME_MAX])
{
    uint8_t *body = out + MAGIC_SIZE;
    out[0] = MAGIC_0;
    out[1] = (uint8_t)frame->kind;
    switch (frame->kind) {
    case WR_SHARED_POOL:
        wr_put_u32(body, frame->pool_size);
        break;
    case WR_SHARED_REFERENCE:
        put_lent(body, &frame->lent);
        wr_put_u64(body + LENT_SIZE, frame->offset);
        wr_put_u32(body + LENT_SIZE + 8, frame->head_size);
        wr_put_u32(body + LENT_SIZE + 12, frame->size);
        break;
    case WR_SHARED_GIVEN_BACK:
        put_lent(body, &frame->lent);
        put_lent(body + LENT_SIZE, &frame->returned);
        break;
    }
    return size_of(frame->kind);
}

weir_err wr_shared_frame_decode(const void *data, size_t size, wr_shared_frame *out,
                                wr_error *error)
{
    const uint8_t *bytes = data;
    const uint8_t *body = bytes + MAGIC_SIZE;
    wr_shared_frame frame = {.kind = (wr_shared_kind)bytes[1]};
    if (size != size_of(frame.kind)) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "%s has %zu bytes, expected %zu",
                            name_of(frame.kind), size, size_of(frame.kind));
    }
    switch (frame.kind) {
    case WR_SHARED_POOL:
        frame.pool_size = wr_get_u32(body);
        break;
    case WR_SHARED_REFERENCE:
        frame.lent = get_lent(body);
        frame.offset = wr_get_u64(body + LENT_SIZE);
        frame.head_size = wr_get_u32(body + LENT_SIZE + 8);
        frame.size = wr_get_u32(body + LENT_SIZE + 12);
        break;
    case WR_SHARED_GIVEN_BACK:
        frame.lent = get_lent(body);
        frame.returned = get_lent(body + LENT_SIZE);
        break;
    }
    *out = frame;
    return WEIR_OK;
}
