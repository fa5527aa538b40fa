/* SPDX-License-Identifier: MIT
 *
 * The message as the code inside sees it (public part: weir/message.h): one allocation that holds a
 * reference count and the wire image, so that sending costs no serialisation and receiving costs
 * one check.
 *
 * A view is a message whose image lies elsewhere, such as in memory that another process shares.
 * Its allocation holds a copy of the image's head, which is all but the content, and getters of
 * properties and sizes look at nothing else.
 */
#ifndef WR_MESSAGE_MESSAGE_H
#define WR_MESSAGE_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "weir/message.h"

/* Messages with so much content, in bytes, are worth the way around their bytes: from here on they
 * are built in the thread's place (message/place.h), and sent by reference where that is agreed. */
#define WR_MESSAGE_BULK_MIN 2048u
/* The largest head of a view, in bytes. */
#define WR_MESSAGE_VIEW_HEAD_MAX 4096u

/* Nobody but message.c and the inline functions below may look inside: it is here for their sake,
 * as they are met for every small message. */
struct weir_message {
    /* Adding is relaxed, giving back releases, and whoever frees has acquired: so all uses of the
     * message by other threads come before its memory is reused. */
    _Atomic uint32_t references;
    uint32_t size; /* of the image */
    uint32_t property_count;
    uint32_t content_at; /* also the size of the head */
    uint32_t content_size;
    bool redelivered; /* set before the message is shared */
    bool view;
    const unsigned char *bytes;        /* the image: `image`, or where a view has it */
    _Alignas(8) unsigned char image[]; /* of a view: the head, and then its wr_message_origin */
};

/* Bytes of the image. */
static inline uint32_t wr_message_size(const weir_message *msg)
{
    return msg->size;
}

/* Where the image of a view lies, and who must hear when it is no longer needed. */
typedef struct wr_message_origin wr_message_origin;
struct wr_message_origin {
    const void *image; /* readable until release */
    size_t size;
    /* Called once, with no lock held, by the thread that gives the last reference back. `origin` is
     * gone when it returns. */
    void (*release)(const wr_message_origin *origin);
    void *owner; /* the rest is for release */
    uint64_t tag;
};

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

/*
 * A message whose image lies elsewhere. Its first `head_size` bytes must be the whole head; they
 * are copied and checked as weir_message_decode does, and are never looked at again. The content
 * may change under its readers, if somebody else can write it. The caller owns the one reference;
 * on failure the image is still the caller's, and release is not called. `error` may be NULL.
 * Errors: PROTOCOL (as weir_message_decode; a head of another size), TOO_LARGE (a head over
 * WR_MESSAGE_VIEW_HEAD_MAX, an image over WEIR_MESSAGE_SIZE_MAX), MEMORY.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_message_view_new(const wr_message_origin *origin,
                                                       size_t head_size, weir_message **out,
                                                       wr_error *error);
/* The origin of a view, as long as the message; NULL: it is none. A bulk message that was built in
 * a place is a view, too, with an origin of the place's. Any thread. */
WR_SHARED const wr_message_origin *wr_message_get_origin(const weir_message *msg);
/* The head, `*size` bytes that nobody can change: with the content they are the image, also where
 * the image of a view has been spoiled by who can write it. Any thread. */
WR_SHARED const void *wr_message_head(const weir_message *msg, size_t *size);

/* Is it large enough to be built in a place, or lent? Any thread. */
static inline bool wr_message_is_bulk(const weir_message *msg)
{
    return msg->content_size >= WR_MESSAGE_BULK_MIN;
}

/* Add `count` references at once. */
WR_SHARED void wr_message_ref_many(weir_message *msg, size_t count);

/* Mark a message that was just received and is nobody else's yet: see weir_message_redelivered. */
WR_SHARED void wr_message_mark_redelivered(weir_message *msg);

#endif
