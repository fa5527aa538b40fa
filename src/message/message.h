/* SPDX-License-Identifier: MIT
 *
 * The message as the code inside sees it (public part: weir/message.h): one allocation that holds a
 * reference count and the wire image, so that sending costs no serialisation and receiving costs
 * one check.
 */
#ifndef WR_MESSAGE_MESSAGE_H
#define WR_MESSAGE_MESSAGE_H

#include "base/api.h"
#include "base/error.h"
#include "weir/message.h"

/*
 * Receive without a copy: get a message whose image is `size` bytes to be written at `*image`,
 * fill them, then seal. Until sealed only wr_message_image_seal and weir_message_unref may be
 * called. Errors: TOO_LARGE, MEMORY.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_message_image_new(size_t size, void **image,
                                                        weir_message **out);

/* Check the image as weir_message_decode does; `error`, which may be NULL, says what is wrong and
 * at which byte. On failure the caller still owns the reference. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_message_image_seal(weir_message *msg, wr_error *error);

/* Add `count` references at once. */
WR_SHARED void wr_message_ref_many(weir_message *msg, size_t count);

/* Mark a message that was just received and is nobody else's yet: see weir_message_redelivered. */
WR_SHARED void wr_message_mark_redelivered(weir_message *msg);

#endif
