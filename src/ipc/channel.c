/* SPDX-License-Identifier: MIT
 *
 * The message channel. A large message is received straight into the message that is handed out and
 * sent from where it lies; a small one is copied, which is cheaper than keeping it alive.
 */
#include "ipc/channel.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"

struct wr_channel {
    wr_sp_stream *sp;
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
    wr_sp_options options = {.frame_limit = limit, .place = place_message, .user = channel};
    if (options.frame_limit > WEIR_MESSAGE_SIZE_MAX) {
        options.frame_limit = WEIR_MESSAGE_SIZE_MAX;
    }
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
    weir_message_unref(channel->pending);
    free(channel);
}

static void release_message(void *owner)
{
    weir_message_unref(owner);
}

weir_err wr_channel_send(wr_channel *channel, weir_message *msg)
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
    return wr_sp_flush(channel->sp);
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

weir_err wr_channel_receive(wr_channel *channel, weir_message **out, wr_error *error)
{
    wr_sp_frame frame;
    weir_err err = wr_sp_receive(channel->sp, &frame, error);
    if (err != WEIR_OK) {
        return err;
    }
    weir_message *msg = NULL;
    err = take_frame(channel, &frame, &msg, error);
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
