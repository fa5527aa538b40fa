/* SPDX-License-Identifier: MIT
 *
 * The wire image:
 *
 *     A1 60 | u32 total size | u32 properties | name\0value\0 ... | u32 content size | content
 *
 * All before the content is the image's head.
 */
#ifndef WR_MESSAGE_IMAGE_H
#define WR_MESSAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define WR_IMAGE_MAGIC_0 0xa1u
#define WR_IMAGE_MAGIC_1 0x60u
#define WR_IMAGE_TOTAL_AT 2u
#define WR_IMAGE_COUNT_AT 6u
#define WR_IMAGE_PROPERTIES_AT 10u
#define WR_IMAGE_CONTENT_SIZE_BYTES 4u

/* An image from outside, to be checked. */
typedef struct wr_image {
    const unsigned char *bytes;
    uint32_t size;
    uint32_t there; /* so much of `bytes` is there: all, or at least the head */
    /* What the check finds. */
    uint32_t property_count;
    uint32_t head_size;
    uint32_t content_size;
} wr_image;

/* `error`, which may be NULL, says what is wrong and at which byte.
 * Errors: PROTOCOL, TOO_LARGE (over WR_PROPERTIES_MAX properties), MEMORY. */
WEIR_MUST_CHECK weir_err wr_image_check(wr_image *image, wr_error *error);

#endif
