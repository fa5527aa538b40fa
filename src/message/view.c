/* SPDX-License-Identifier: MIT
 *
 * Views: messages whose image lies elsewhere (contract in message.h). In their own block come the
 * head and, at the next multiple of eight, the origin.
 */
#include "message/view.h"

#include <string.h>

#include "message/image.h"
#include "message/place.h"
#include "message/pool.h"

static size_t origin_at(size_t head_size)
{
    return (head_size + 7u) / 8u * 8u;
}

static wr_message_origin *origin_in(const weir_message *msg)
{
    return (wr_message_origin *)(void *)(msg->image + origin_at(msg->content_at));
}

static size_t block_size(size_t head_size)
{
    return sizeof(weir_message) + origin_at(head_size) + sizeof(wr_message_origin);
}

/* All but the head, the counts, and the origin's owner. NULL: no memory. */
static weir_message *new_view(const void *image, size_t size, size_t head_size)
{
    weir_message *msg = wr_pool_get(block_size(head_size));
    if (msg == NULL) {
        return NULL;
    }
    atomic_init(&msg->references, 1);
    msg->size = (uint32_t)size;
    msg->content_at = (uint32_t)head_size;
    msg->redelivered = false;
    msg->view = true;
    msg->bytes = image;
    origin_in(msg)->image = image;
    origin_in(msg)->size = size;
    return msg;
}

static weir_err check_sizes(const wr_message_origin *origin, size_t head_size, wr_error *error)
{
    if (origin->size > WEIR_MESSAGE_SIZE_MAX) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE, "an image of %zu bytes, over the limit %u",
                            origin->size, WEIR_MESSAGE_SIZE_MAX);
    }
    if (head_size > WR_MESSAGE_VIEW_HEAD_MAX) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE, "a head of %zu bytes, over the limit %u",
                            head_size, WR_MESSAGE_VIEW_HEAD_MAX);
    }
    if (head_size < WEIR_MESSAGE_SIZE_MIN || head_size > origin->size) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "a head of %zu bytes, but the smallest has %u, and the image %zu",
                            head_size, WEIR_MESSAGE_SIZE_MIN, origin->size);
    }
    return WEIR_OK;
}

static weir_err check_head(weir_message *msg, size_t head_size, wr_error *error)
{
    wr_image image = {.bytes = msg->image, .size = msg->size, .there = (uint32_t)head_size};
    weir_err err = wr_image_check(&image, error);
    if (err != WEIR_OK) {
        return err;
    }
    if (image.head_size != head_size) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "the content begins at byte %u, but the head has %zu bytes",
                            image.head_size, head_size);
    }
    msg->property_count = image.property_count;
    msg->content_size = image.content_size;
    return WEIR_OK;
}

weir_err wr_message_view_new(const wr_message_origin *origin, size_t head_size, weir_message **out,
                             wr_error *error)
{
    weir_err err = check_sizes(origin, head_size, error);
    if (err != WEIR_OK) {
        return err;
    }
    weir_message *msg = new_view(origin->image, origin->size, head_size);
    if (msg == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a message");
    }
    *origin_in(msg) = *origin;
    memcpy(msg->image, origin->image, head_size);
    err = check_head(msg, head_size, error);
    if (err != WEIR_OK) {
        wr_pool_put(msg, block_size(head_size));
        return err;
    }
    *out = msg;
    return WEIR_OK;
}

/* The origin of what is built in a place. */
static void put_in_place(const wr_message_origin *origin)
{
    wr_message_place *place = origin->owner;
    place->ops->put(place, origin->image, origin->size);
}

bool wr_view_in_place(size_t size, size_t head_size, void **image, weir_message **out)
{
    wr_message_place *place = wr_message_place_now();
    if (place == NULL || head_size > WR_MESSAGE_VIEW_HEAD_MAX) {
        return false;
    }
    void *got = place->ops->get(place, size);
    if (got == NULL) {
        if (atomic_load_explicit(&place->closed, memory_order_relaxed)) {
            wr_message_place_set(NULL);
        }
        return false;
    }
    weir_message *msg = new_view(got, size, head_size);
    if (msg == NULL) {
        place->ops->put(place, got, size);
        return false;
    }
    origin_in(msg)->release = put_in_place;
    origin_in(msg)->owner = place;
    origin_in(msg)->tag = 0;
    *image = got;
    *out = msg;
    return true;
}

void wr_view_release(weir_message *msg)
{
    const wr_message_origin *origin = origin_in(msg);
    origin->release(origin);
    wr_pool_put(msg, block_size(msg->content_at));
}

const wr_message_origin *wr_message_get_origin(const weir_message *msg)
{
    return msg->view ? origin_in(msg) : NULL;
}
