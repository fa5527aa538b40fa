/* SPDX-License-Identifier: MIT
 *
 * The control channel of a remote module: what the gateway says about the module's life, and what
 * is answered.
 *
 * A gateway that goes away leaves the module as it is; the next one's create replaces it. A peer
 * that sends no extension block gets none.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "ipc/protocol.h"
#include "platform/clock.h"
#include "remote/remote_internal.h"

/* Control messages are few and mostly small. */
#define CONTROL_RX_BUFFER_SIZE (2u * WR_SP_COPY_MAX)
#define CONTROL_BATCH 64u /* of them, then everything else has its turn */
#define LAST_BATCHES 1024u

weir_err wr_session_open(weir_remote *remote, wr_error *error)
{
    return wr_listener_open(remote->control_id, &remote->session.listener, error);
}

static void forget_create(wr_session *session)
{
    free(session->create_image);
    session->create_image = NULL;
    session->create_size = 0;
}

static void disconnect(weir_remote *remote)
{
    wr_session *session = &remote->session;
    if (session->stream == NULL) {
        return;
    }
    wr_remote_unwatch(remote, WR_SOURCE_CONTROL, wr_stream_waitable(wr_sp_inner(session->stream)));
    wr_sp_destroy(session->stream);
    session->stream = NULL;
    free(session->large_frame);
    session->large_frame = NULL;
    session->agreed = false;
    session->turned_away = false;
    forget_create(session);
}

void wr_session_forget(weir_remote *remote)
{
    forget_create(&remote->session);
    free(remote->session.args);
    remote->session.args = NULL;
}

/* Replies */

/* At most `size` - 1 bytes of `text`, without cutting a UTF-8 character. */
static void copy_text(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0u) == 0x80u) {
            length--;
        }
    }
    memcpy(to, text, length);
    to[length] = '\0';
}

/* Does the module block? Only when it is created that is known. */
static uint32_t said_features(const weir_remote *remote)
{
    bool blocks = (remote->host.flags & WEIR_MODULE_BLOCKING) != 0;
    return remote->session.features & ~(blocks ? 0 : WR_FEATURE_BLOCKING);
}

static wr_control_message make_reply(weir_remote *remote, wr_reply_status status,
                                     const char *reason)
{
    const wr_session *session = &remote->session;
    wr_control_message reply = {.type = WR_CONTROL_REPLY, .status = (uint8_t)status};
    wr_extension *extension = &reply.extension;
    if (session->extended) {
        extension->present = true;
        extension->message_limit = WR_MESSAGE_LIMIT_DEFAULT;
        extension->features = said_features(remote);
        extension->window = WR_WINDOW_MESSAGES;
        extension->protocol = (wr_protocol_range){WR_PROTOCOL_FIRST, WR_PROTOCOL_LAST};
        extension->instance = session->instance;
        extension->position.received = session->told.count;
        wr_transmit_get_position(&remote->transmit, &extension->position);
        copy_text(extension->reason, sizeof(extension->reason), reason);
    }
    return reply;
}

static weir_err send_control(wr_session *session, const wr_control_message *message)
{
    if (session->stream == NULL) {
        return WEIR_ERR_CLOSED;
    }
    char small[WR_CONTROL_SIZE_SMALL];
    wr_buffer image = WR_BUFFER_ON(small);
    weir_err err = wr_control_encode(message, &image);
    if (err == WEIR_OK) {
        err = wr_sp_send(session->stream, image.data, image.size, NULL, NULL);
    }
    if (err == WEIR_OK) {
        err = wr_sp_flush(session->stream);
        /* The rest goes when the socket can be written. */
        err = err == WEIR_ERR_WOULD_BLOCK ? WEIR_OK : err;
    }
    wr_buffer_deinit(&image);
    return err;
}

/* What cannot be sent ends the connection: the gateway asks again on a new one. */
static void send_or_disconnect(weir_remote *remote, const wr_control_message *message)
{
    weir_err err = send_control(&remote->session, message);
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        wr_remote_log(remote, WEIR_LOG_WARN, "cannot send %s to the gateway: %s",
                      wr_control_type_name(message->type), weir_err_text(err));
    }
    if (err != WEIR_OK) {
        disconnect(remote);
    }
}

static void reply(weir_remote *remote, wr_reply_status status, const char *reason)
{
    wr_control_message message = make_reply(remote, status, reason);
    send_or_disconnect(remote, &message);
}

static void close_listener(weir_remote *remote)
{
    wr_session *session = &remote->session;
    if (session->listener != NULL) {
        wr_remote_unwatch(remote, WR_SOURCE_CONTROL_LISTENER,
                          wr_listener_waitable(session->listener));
        wr_listener_close(session->listener);
        session->listener = NULL;
    }
}

void wr_session_leave(weir_remote *remote)
{
    close_listener(remote);
    wr_ending_begin(remote, WR_LEAVE_DELAY_MS);
}

void wr_session_close(weir_remote *remote)
{
    wr_session *session = &remote->session;
    wr_ending_destroy(remote);
    wr_session_tell(remote);
    /* Before the message channel is closed, which alone would look like a crash. */
    if (session->stream != NULL && wr_sp_greeted(session->stream)) {
        reply(remote, WR_REPLY_DETACHED, "");
    }
    wr_intake_close(remote);
    disconnect(remote);
    close_listener(remote);
}

/* What the gateway says */

/* The gateway repeats a create that is not answered in time; a slow module is not made twice. */
static bool is_repeated(const weir_remote *remote, const wr_sp_frame *frame)
{
    const wr_session *session = &remote->session;
    return session->create_image != NULL && !session->start_came &&
           session->create_size == frame->size &&
           memcmp(session->create_image, frame->data, frame->size) == 0;
}

/* Without memory for it a repeated create is a new one, which is correct too. */
static void remember_create(wr_session *session, const wr_sp_frame *frame)
{
    session->start_came = false;
    session->create_image = malloc(frame->size);
    if (session->create_image != NULL) {
        memcpy(session->create_image, frame->data, frame->size);
        session->create_size = frame->size;
    }
}

static weir_err open_messages(weir_remote *remote, const char *uri, wr_error *error)
{
    size_t scheme = strlen(WR_IPC_SCHEME);
    if (strncmp(uri, WR_IPC_SCHEME, scheme) != 0) {
        return wr_error_set(error, WEIR_ERR_UNSUPPORTED, "the uri %s does not begin with %s", uri,
                            WR_IPC_SCHEME);
    }
    return wr_intake_open(remote, uri + scheme, error);
}

static weir_err create_module(weir_remote *remote, const wr_control_message *create,
                              wr_error *error)
{
    wr_transmit_open(&remote->transmit);
    wr_transmit_enter(&remote->transmit);
    weir_err err = wr_module_create(remote->api, &remote->host, create->args, &remote->self, error);
    wr_transmit_leave(&remote->transmit);
    remote->created = err == WEIR_OK;
    return err;
}

/* Without memory for them the next create makes a new module. */
static void remember_args(wr_session *session, const char *args)
{
    session->args = wr_text_copy(args);
}

/* Make the module, or keep the one that is there. */
static bool make_module(weir_remote *remote, const wr_control_message *create, bool resumed)
{
    wr_error error = {.code = WEIR_OK};
    if (resumed) {
        wr_remote_log(remote, WEIR_LOG_INFO, "the module goes on; messages at %s", create->uri);
        return true;
    }
    if (create_module(remote, create, &error) != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_ERROR, "the module could not be created: %s",
                      wr_error_text(&error));
        wr_ending_now(remote);
        reply(remote, WR_REPLY_MODULE_FAILED, wr_error_text(&error));
        return false;
    }
    remember_args(&remote->session, create->args);
    wr_remote_log(remote, WEIR_LOG_INFO, "the module is created; messages at %s", create->uri);
    return true;
}

static void on_create(weir_remote *remote, const wr_control_message *create,
                      const wr_sp_frame *frame)
{
    if (remote->session.listener == NULL) {
        return; /* we are leaving */
    }
    if (is_repeated(remote, frame)) {
        reply(remote, WR_REPLY_CREATED, "");
        return;
    }
    wr_error error = {.code = WEIR_OK};
    if (!wr_protocol_agree(&create->extension, &error)) {
        wr_remote_log(remote, WEIR_LOG_ERROR, "cannot work with this gateway: %s",
                      wr_error_text(&error));
        remote->session.extended = true;
        reply(remote, WR_REPLY_MODULE_FAILED, wr_error_text(&error));
        return;
    }
    bool resumed = wr_session_can_resume(remote, create);
    if (resumed) {
        wr_intake_drain(remote); /* what a gateway sent before it died, it cannot send again */
    } else {
        wr_ending_now(remote);
    }
    if (remote->session.stream == NULL) {
        return; /* it could be told no more; and `create` went with it */
    }
    if (resumed) {
        wr_intake_close(remote);
        forget_create(&remote->session);
    }
    wr_session_agree(remote, &create->extension);
    if (open_messages(remote, create->uri, &error) != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_ERROR, "cannot listen at %s: %s", create->uri,
                      wr_error_text(&error));
        reply(remote, WR_REPLY_CONNECTION_ERROR, wr_error_text(&error));
        return;
    }
    if (!make_module(remote, create, resumed)) {
        return;
    }
    remember_create(&remote->session, frame);
    reply(remote, WR_REPLY_CREATED, "");
}

static void on_start(weir_remote *remote)
{
    remote->session.start_came = true;
    if (remote->started && remote->session.features != 0) {
        return; /* it went on */
    }
    if (!remote->created || remote->started) {
        wr_remote_log(remote, WEIR_LOG_WARN, "the gateway's start is ignored: %s",
                      remote->created ? "the module runs already" : "there is no module");
        return;
    }
    wr_error error = {.code = WEIR_OK};
    wr_transmit_enter(&remote->transmit);
    weir_err err = wr_module_start(remote->api, &remote->host, remote->self, &error);
    wr_transmit_leave(&remote->transmit);
    if (err != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_ERROR, "the module could not be started: %s",
                      wr_error_text(&error));
        wr_ending_destroy(remote);
        /* Before the message channel is closed, which alone would look like a crash. */
        reply(remote, WR_REPLY_MODULE_FAILED, wr_error_text(&error));
        wr_ending_now(remote);
        return;
    }
    remote->started = true;
    wr_remote_log(remote, WEIR_LOG_INFO, "the module is started");
}

static void on_destroy(weir_remote *remote)
{
    wr_intake_drain(remote);
    wr_session_tell(remote);
    wr_ending_begin(remote, WR_END_DELAY_MS);
    wr_remote_log(remote, WEIR_LOG_INFO, "the gateway destroyed the module");
}

static void on_heartbeat(weir_remote *remote, const wr_control_message *message)
{
    wr_control_message answer = {.type = WR_CONTROL_HEARTBEAT_REPLY, .count = message->count};
    send_or_disconnect(remote, &answer);
}

static void on_acknowledge(weir_remote *remote, const wr_control_message *message)
{
    const wr_session *session = &remote->session;
    if (!session->agreed || (session->features & WR_FEATURE_ACKNOWLEDGE) == 0) {
        wr_remote_log(remote, WEIR_LOG_WARN,
                      "an acknowledgement from the gateway is ignored: it was not agreed on");
        return;
    }
    if (wr_transmit_acknowledge(&remote->transmit, message->count) != WEIR_OK) {
        wr_remote_log(
            remote, WEIR_LOG_ERROR,
            "the control connection is closed: the gateway acknowledged message %llu, which was "
            "not sent",
            (unsigned long long)message->count);
        disconnect(remote);
    }
}

static bool acknowledges(const wr_session *session)
{
    return session->stream != NULL && session->agreed &&
           (session->features & WR_FEATURE_ACKNOWLEDGE) != 0;
}

/* What may be told: what receive published must outlive us before we say that it is done. */
static wr_progress untold(weir_remote *remote)
{
    const wr_session *session = &remote->session;
    if (!acknowledges(session) || session->told.count == session->processed.count) {
        return (wr_progress){0, 0};
    }
    wr_progress settled = wr_transmit_get_state(&remote->transmit).settled;
    return (wr_progress){settled.count - session->told.count, settled.bytes - session->told.bytes};
}

bool wr_session_owes(weir_remote *remote)
{
    return untold(remote).count > 0;
}

static void tell(weir_remote *remote, wr_progress more)
{
    wr_session *session = &remote->session;
    if (more.count == 0) {
        return;
    }
    session->told.count += more.count;
    session->told.bytes += more.bytes;
    session->untold_ns = wr_clock_ns();
    wr_control_message message = {.type = WR_CONTROL_ACKNOWLEDGE, .count = session->told.count};
    send_or_disconnect(remote, &message);
}

void wr_session_tell(weir_remote *remote)
{
    tell(remote, untold(remote));
}

/* A program with a loop of its own may not come back soon, and has no time for us to wait. */
static bool is_late(const weir_remote *remote)
{
    return (remote->polled && !remote->intake.pending) ||
           wr_clock_ns() - remote->session.untold_ns >= WR_TELL_DELAY_MS * WR_NS_PER_MS;
}

/* It is so much that a peer may be waiting for it. Where it can see it, it has seen it now. */
static bool is_waited_for(const weir_remote *remote, wr_progress more)
{
    wr_channel *channel = remote->intake.channel;
    uint32_t window = remote->session.peer_window;
    if (channel == NULL) {
        return wr_window_is_due(more.count, more.bytes, window, false);
    }
    wr_channel_set_processed(channel, remote->session.told.count + more.count);
    return wr_window_is_due(more.count, more.bytes, window, wr_channel_shares(channel)) &&
           wr_channel_peer_waits(channel);
}

void wr_session_tell_in_time(weir_remote *remote)
{
    wr_progress more = untold(remote);
    if (is_waited_for(remote, more) || (more.count > 0 && is_late(remote))) {
        tell(remote, more);
    }
}

void wr_session_processed(weir_remote *remote, size_t count, size_t bytes, uint64_t begun_ns)
{
    wr_session *session = &remote->session;
    if (session->told.count == session->processed.count) {
        session->untold_ns = begun_ns;
    }
    session->processed.count += count;
    session->processed.bytes += bytes;
    wr_transmit_mark(&remote->transmit, session->processed);
}

static void dispatch(weir_remote *remote, const wr_control_message *message,
                     const wr_sp_frame *frame)
{
    switch (message->type) {
    case WR_CONTROL_CREATE:
        on_create(remote, message, frame);
        return;
    case WR_CONTROL_START:
        on_start(remote);
        return;
    case WR_CONTROL_DESTROY:
        on_destroy(remote);
        return;
    case WR_CONTROL_HEARTBEAT:
        on_heartbeat(remote, message);
        return;
    case WR_CONTROL_ACKNOWLEDGE:
        on_acknowledge(remote, message);
        return;
    case WR_CONTROL_REPLY:
    case WR_CONTROL_HEARTBEAT_REPLY:
        break;
    }
    wr_remote_log(remote, WEIR_LOG_WARN, "a control message from the gateway is ignored: %s",
                  wr_control_type_name(message->type));
}

/* False: the connection is over. */
static bool handle_frame(weir_remote *remote, const wr_sp_frame *frame)
{
    wr_error error = {.code = WEIR_OK};
    wr_control_message message = {0};
    weir_err err = wr_control_decode(frame->data, frame->size, &message, &error);
    if (err == WEIR_ERR_UNSUPPORTED) {
        wr_remote_log(remote, WEIR_LOG_WARN, "a control message is ignored: %s",
                      wr_error_text(&error));
        return true;
    }
    if (err != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_ERROR,
                      "the control connection is closed, a message on it is malformed: %s",
                      wr_error_text(&error));
        disconnect(remote);
        return false;
    }
    dispatch(remote, &message, frame);
    return remote->session.stream != NULL;
}

/* The connection */

static void lose(weir_remote *remote, weir_err err, const wr_error *error)
{
    if (err == WEIR_ERR_CLOSED) {
        wr_remote_log(remote, WEIR_LOG_INFO, "the gateway went away%s",
                      remote->created ? "; the module stays" : "");
    } else {
        wr_remote_log(remote, WEIR_LOG_ERROR, "the control connection failed: %s",
                      wr_error_text(error));
    }
    disconnect(remote);
}

void wr_session_read(weir_remote *remote)
{
    wr_session *session = &remote->session;
    session->pending = session->stream != NULL;
    for (unsigned i = 0; i < CONTROL_BATCH && session->pending; i++) {
        wr_error error = {.code = WEIR_OK};
        wr_sp_frame frame;
        weir_err err = wr_sp_receive(session->stream, &frame, &error);
        session->pending = err == WEIR_OK && handle_frame(remote, &frame);
        if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
            error.code = err;
            lose(remote, err, &error);
        }
    }
}

void wr_session_write(weir_remote *remote)
{
    wr_sp_stream *stream = remote->session.stream;
    weir_err err = stream == NULL ? WEIR_OK : wr_sp_flush(stream);
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        wr_error error = {.code = err};
        lose(remote, err, &error);
    }
}

/* Memory for a frame over WR_SP_COPY_MAX; its size was checked against the limit. */
static void *place_frame(void *user, size_t size)
{
    wr_session *session = user;
    free(session->large_frame);
    session->large_frame = malloc(size);
    return session->large_frame;
}

static void connect_stream(weir_remote *remote, wr_stream *stream)
{
    wr_session *session = &remote->session;
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX,
                                   .rx_buffer_size = CONTROL_RX_BUFFER_SIZE,
                                   .place = place_frame,
                                   .user = session};
    weir_err err = wr_sp_create(stream, &options, &session->stream);
    if (err != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_WARN, "cannot take a gateway's connection: %s",
                      err == WEIR_ERR_CLOSED ? "closed by it; see its log" : weir_err_text(err));
        return;
    }
    wr_remote_log(remote, WEIR_LOG_INFO, "a gateway is connected");
    wr_session_write(remote); /* our greeting */
    wr_session_read(remote);
}

void wr_session_accept(weir_remote *remote)
{
    wr_stream *stream = wr_remote_accept(remote, remote->session.listener);
    if (stream == NULL) {
        return;
    }
    wr_session *session = &remote->session;
    for (unsigned i = 0; i == 0 || (session->pending && i < LAST_BATCHES); i++) {
        wr_session_read(remote); /* the present connection may have ended */
    }
    if (session->stream != NULL && !session->agreed) {
        wr_remote_log(remote, WEIR_LOG_WARN,
                      "a connection that sent no create gives way to a newer one");
        disconnect(remote);
    }
    if (session->stream != NULL) {
        wr_remote_turn_away(remote, stream, "control", &session->turned_away);
        return;
    }
    connect_stream(remote, stream);
}
