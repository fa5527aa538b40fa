/* SPDX-License-Identifier: MIT
 *
 * The message channel. A large message is received straight into the message that is handed out and
 * sent from where it lies; a small one is copied, which is cheaper than keeping it alive. Where
 * that was agreed, a large one stays in shared memory, and a small frame stands for it (sharing.h).
 */
#include "ipc/channel.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/sharing.h"
#include "message/message.h"
#include "message/place.h"

struct wr_channel {
    wr_sp_stream *sp;
    uint64_t limit;        /* of received images, in bytes */
    wr_sharing *sharing;   /* NULL: it was not agreed */
    weir_message *pending; /* the receiving half's: a large message that is not yet whole */
};

static void *place_message(void *user, size_t size)
{
    wr_channel *channel = user;
    void *image = NULL;
    weir_err err = wr_message_image_new(size, &image, &channel->pending);
    return err == WEIR_OK ? image : NULL;
}

weir_err wr_channel_create(wr_stream *stream, uint64_t limit, wr_channel **out)
{
    wr_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        wr_stream_close(stream);
        return WEIR_ERR_MEMORY;
    }
    channel->limit = limit < WEIR_MESSAGE_SIZE_MAX ? limit : WEIR_MESSAGE_SIZE_MAX;
    const wr_sp_options options = {
        .frame_limit = channel->limit, .place = place_message, .user = channel};
    weir_err err = wr_sp_create(stream, &options, &channel->sp);
    if (err != WEIR_OK) {
        free(channel);
        return err;
    }
    *out = channel;
    return WEIR_OK;
}

void wr_channel_destroy(wr_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    wr_sp_destroy(channel->sp);
    wr_sharing_destroy(channel->sharing);
    weir_message_unref(channel->pending);
    free(channel);
}

weir_err wr_channel_share(wr_channel *channel)
{
    return wr_sharing_create(wr_sp_inner(channel->sp), channel->limit, &channel->sharing);
}

static void release_message(void *owner)
{
    weir_message_unref(owner);
}

static weir_err send_image(wr_channel *channel, weir_message *msg)
{
    size_t size = 0;
    const void *image = weir_message_image(msg, &size);
    if (size <= WR_SP_COPY_MAX) {
        return wr_sp_send(channel->sp, image, size, NULL, NULL);
    }
    weir_message_ref(msg);
    weir_err err = wr_sp_send(channel->sp, image, size, release_message, msg);
    if (err != WEIR_OK) {
        weir_message_unref(msg);
    }
    return err;
}

weir_err wr_channel_send_frame(wr_channel *channel, const void *frame, size_t size)
{
    return wr_sp_send_frame(channel->sp, frame, size);
}

/* Who can change a borrowed image could make it one that its next reader refuses. */
static weir_err send_own_copy(wr_channel *channel, const weir_message *msg)
{
    weir_message *copy = NULL;
    weir_err err = wr_sharing_copy_out(msg, &copy);
    if (err == WEIR_OK) {
        err = send_image(channel, copy);
        weir_message_unref(copy);
    }
    return err;
}

static weir_err send_shared_frame(wr_channel *channel, const wr_shared_frame *frame)
{
    uint8_t bytes[WR_SHARED_FRAME_MAX];
    size_t size = wr_shared_frame_encode(frame, bytes);
    return wr_sp_send(channel->sp, bytes, size, NULL, NULL);
}

/* Tell the peer of this side's pool, if there is one that it does not know. */
static weir_err tell_pool(wr_channel *channel)
{
    wr_shared_frame frame;
    if (!wr_channel_owes(channel)) {
        return WEIR_OK;
    }
    wr_sharing_tell(channel->sharing, &frame);
    weir_err err = send_shared_frame(channel, &frame);
    if (err == WEIR_OK) {
        wr_sharing_told(channel->sharing);
    }
    return err;
}

/* NOT_FOUND: there is no room to share it. */
static weir_err send_reference(wr_channel *channel, weir_message *msg)
{
    wr_shared_frame frame;
    if (channel->sharing == NULL || !wr_sharing_lend(channel->sharing, msg, &frame)) {
        return WEIR_ERR_NOT_FOUND;
    }
    weir_err err = tell_pool(channel);
    if (err == WEIR_OK) {
        err = send_shared_frame(channel, &frame);
    }
    if (err != WEIR_OK) {
        wr_sharing_cancel(channel->sharing, &frame);
    }
    return err;
}

static weir_err send_bulk(wr_channel *channel, weir_message *msg)
{
    weir_err err = send_reference(channel, msg);
    if (err != WEIR_ERR_NOT_FOUND) {
        return err;
    }
    return wr_sharing_is_borrowed(msg) ? send_own_copy(channel, msg) : send_image(channel, msg);
}

weir_err wr_channel_send(wr_channel *channel, weir_message *msg)
{
    return wr_message_is_bulk(msg) ? send_bulk(channel, msg) : send_image(channel, msg);
}

bool wr_channel_owes(const wr_channel *channel)
{
    return channel->sharing != NULL && wr_sharing_owes(channel->sharing);
}

void wr_channel_set_place(wr_channel *channel)
{
    wr_message_place_set(channel->sharing == NULL ? NULL : wr_sharing_place(channel->sharing));
}

size_t wr_channel_unsent(const wr_channel *channel)
{
    return wr_sp_unsent(channel->sp);
}

uint64_t wr_channel_written(const wr_channel *channel)
{
    return wr_sp_written(channel->sp);
}

weir_err wr_channel_flush(wr_channel *channel)
{
    weir_err err = tell_pool(channel);
    /* Without room for that frame there is much to write. */
    return err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK ? wr_sp_flush(channel->sp) : err;
}

/* The message of a whole frame, still to be checked. */
static weir_err take_frame(wr_channel *channel, const wr_sp_frame *frame, weir_message **out,
                           wr_error *error)
{
    if (frame->placed) {
        *out = channel->pending;
        channel->pending = NULL;
        return WEIR_OK;
    }
    void *image = NULL;
    weir_err err = wr_message_image_new(frame->size, &image, out);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "no memory for a message of %zu bytes", frame->size);
    }
    memcpy(image, frame->data, frame->size);
    return WEIR_OK;
}

/* The message whose image a frame is. */
static weir_err take_message(wr_channel *channel, const wr_sp_frame *frame, weir_message **out,
                             wr_error *error)
{
    weir_message *msg = NULL;
    weir_err err = take_frame(channel, frame, &msg, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = wr_message_image_seal(msg, error);
    if (err != WEIR_OK) {
        weir_message_unref(msg);
        return err;
    }
    *out = msg;
    return WEIR_OK;
}

weir_err wr_channel_receive(wr_channel *channel, weir_message **out, wr_error *error)
{
    wr_sp_frame frame;
    weir_message *msg = NULL;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK && msg == NULL) {
        err = wr_sp_receive(channel->sp, &frame, error);
        if (err == WEIR_OK) {
            err = channel->sharing != NULL && wr_shared_frame_is(frame.data, frame.size)
                      ? wr_sharing_receive(channel->sharing, frame.data, frame.size, &msg, error)
                      : take_message(channel, &frame, &msg, error);
        }
    }
    if (err == WEIR_OK) {
        *out = msg;
    }
    return err;
}

bool wr_channel_shares(const wr_channel *channel)
{
    return channel->sharing != NULL;
}

size_t wr_channel_peer_secured(const wr_channel *channel)
{
    return channel->sharing == NULL ? 0 : wr_sharing_peer_secured(channel->sharing);
}

void wr_channel_set_processed(wr_channel *channel, uint64_t count)
{
    if (channel->sharing != NULL) {
        wr_sharing_set_processed(channel->sharing, count);
    }
}

uint64_t wr_channel_peer_processed(const wr_channel *channel)
{
    return channel->sharing == NULL ? 0 : wr_sharing_peer_processed(channel->sharing);
}

bool wr_channel_peer_waits(const wr_channel *channel)
{
    return channel->sharing == NULL || wr_sharing_peer_waits(channel->sharing);
}

void wr_channel_set_waits(wr_channel *channel, bool waits)
{
    if (channel->sharing != NULL) {
        wr_sharing_set_waits(channel->sharing, waits);
    }
}

bool wr_channel_greeted(const wr_channel *channel)
{
    return wr_sp_greeted(channel->sp);
}

void wr_channel_end_input(wr_channel *channel)
{
    wr_stream_end_input(wr_sp_inner(channel->sp));
}

wr_waitable wr_channel_waitable(wr_channel *channel)
{
    return wr_stream_waitable(wr_sp_inner(channel->sp));
}
