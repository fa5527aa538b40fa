/* SPDX-License-Identifier: MIT
 *
 * Control messages, both ways. All on the loop.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "base/log.h"
#include "proxy/proxy_internal.h"

/* Control messages that are read before the other sockets have their turn. */
#define CONTROL_BATCH 64u

/* Before the peer's greeting nothing can be sent, however writable the socket is. */
static void watch_control(wr_proxy *proxy)
{
    bool waits = wr_sp_greeted(proxy->control) && wr_sp_unsent(proxy->control) > 0;
    wr_watch_set(proxy->control_watch, WR_POLL_READ | (waits ? WR_POLL_WRITE : 0));
}

/* A large image is sent from where it lies, and is the stream's until then. */
static weir_err queue_control(wr_sp_stream *control, wr_buffer *image)
{
    size_t size = image->size;
    if (size <= WR_SP_COPY_MAX) {
        return wr_sp_send(control, image->data, size, NULL, NULL);
    }
    char *data = wr_buffer_take(image);
    weir_err err = data == NULL ? WEIR_ERR_MEMORY : wr_sp_send(control, data, size, free, data);
    if (err != WEIR_OK) {
        free(data);
    }
    return err;
}

static weir_err queue(wr_proxy *proxy, const wr_control_message *message)
{
    char small[WR_CONTROL_SIZE_SMALL];
    wr_buffer image = WR_BUFFER_ON(small);
    weir_err err = wr_control_encode(message, &image);
    if (err == WEIR_OK) {
        err = queue_control(proxy->control, &image);
    }
    wr_buffer_deinit(&image);
    return err;
}

/* True: there is nothing to say. */
static bool log_result(wr_proxy *proxy, const wr_control_message *message, weir_err err)
{
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) { /* closed: the loop reads it in a moment */
        wr_proxy_log(proxy, WEIR_LOG_WARN, "cannot send %s: %s",
                     wr_control_type_name(message->type), weir_err_text(err));
    }
    return err == WEIR_OK;
}

bool wr_proxy_queue_control(wr_proxy *proxy, const wr_control_message *message)
{
    return log_result(proxy, message, queue(proxy, message));
}

bool wr_proxy_send_control(wr_proxy *proxy, const wr_control_message *message)
{
    weir_err err = queue(proxy, message);
    bool queued = err == WEIR_OK;
    if (queued) {
        err = wr_sp_flush(proxy->control);
    }
    if (err == WEIR_ERR_WOULD_BLOCK) {
        watch_control(proxy);
        return queued;
    }
    return log_result(proxy, message, err);
}

/* Before the answer to create has come, that will say it all. */
static void on_acknowledge(wr_proxy *proxy, uint64_t count)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool answered = state == WR_PROXY_ATTACHING || state == WR_PROXY_RUNNING ||
                    state == WR_PROXY_STOPPING || state == WR_PROXY_ENDING;
    bool agreed = answered && (proxy->features & WR_FEATURE_ACKNOWLEDGE) != 0;
    if (agreed && wr_proxy_acknowledge(proxy, count) != WEIR_OK) {
        wr_proxy_lose(proxy, "it acknowledged messages that were not sent");
        return;
    }
    wr_proxy_shrink_later(proxy);
    if (state == WR_PROXY_STOPPING) {
        wr_proxy_continue_stop(proxy);
    }
}

/* What an earlier connection owed is settled by create and its reply. */
static bool owes(const wr_proxy *proxy)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool agreed =
        state != WR_PROXY_CONNECTING && state != WR_PROXY_CREATING && state != WR_PROXY_FAILED;
    return agreed && proxy->control != NULL && proxy->told != proxy->received &&
           (proxy->features & WR_FEATURE_ACKNOWLEDGE) != 0;
}

void wr_proxy_tell(void *arg)
{
    wr_proxy *proxy = arg;
    proxy->tell_soon = false;
    if (!owes(proxy)) {
        return;
    }
    if (wr_proxy_send_control(proxy, &(wr_control_message){.type = WR_CONTROL_ACKNOWLEDGE,
                                                           .count = proxy->received})) {
        proxy->told = proxy->received;
        proxy->untold_bytes = 0;
    } /* else it does not read them, and is told when it does */
}

void wr_proxy_tell_soon(wr_proxy *proxy)
{
    if (owes(proxy) && !proxy->tell_soon) {
        proxy->tell_soon = true;
        wr_timer_set(proxy->tell_timer, WR_TELL_DELAY_MS);
    }
}

/* False: the connection is gone. */
static bool handle_frame(wr_proxy *proxy, const wr_sp_frame *frame)
{
    wr_error error = {.code = WEIR_OK};
    wr_control_message message;
    wr_proxy_heard(proxy);
    weir_err err = wr_control_decode(frame->data, frame->size, &message, &error);
    if (err == WEIR_ERR_UNSUPPORTED) {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "ignored a control message: %s", error.text);
    } else if (err != WEIR_OK) {
        wr_proxy_lose(proxy, wr_error_text(&error));
    } else if (message.type == WR_CONTROL_REPLY) {
        wr_proxy_on_reply(proxy, &message);
    } else if (message.type == WR_CONTROL_ACKNOWLEDGE) {
        on_acknowledge(proxy, message.count);
    } else if (message.type == WR_CONTROL_HEARTBEAT_REPLY) {
        wr_proxy_on_heartbeat_reply(proxy, message.count);
    } else {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "ignored a control message '%s' from a remote",
                     wr_control_type_name(message.type));
    }
    return proxy->control != NULL;
}

/* What the remote sent; CONTROL_BATCH messages, then the other sockets have their turn. */
static void read_control(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    wr_sp_frame frame;
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i < CONTROL_BATCH && err == WEIR_OK; i++) {
        err = wr_sp_receive(proxy->control, &frame, &error);
        if (err == WEIR_OK && !handle_frame(proxy, &frame)) {
            return;
        }
    }
    if (err == WEIR_OK) {
        wr_loop_post(proxy->loop, &proxy->control_task); /* there may be more in the buffer */
        return;
    }
    if (err != WEIR_ERR_WOULD_BLOCK) {
        wr_proxy_lose(proxy, err == WEIR_ERR_CLOSED ? "it closed the control channel"
                                                    : wr_error_text(&error));
        return;
    }
    if (wr_proxy_get_state(proxy) == WR_PROXY_CONNECTING && wr_sp_greeted(proxy->control)) {
        wr_proxy_pass(proxy, WR_PROXY_EVENT_GREETED);
        proxy->waiting_logged = false;
        proxy->refusal[0] = '\0';
        wr_proxy_begin_create(proxy);
    }
}

void wr_proxy_on_control_task(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, control_task);
    if (proxy->control != NULL) {
        read_control(proxy);
    }
}

void wr_proxy_on_control(void *arg, unsigned ready)
{
    wr_proxy *proxy = arg;
    if ((ready & WR_POLL_READ) != 0) {
        read_control(proxy);
    }
    if (proxy->control == NULL) {
        return;
    }
    weir_err err = wr_sp_flush(proxy->control);
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        wr_proxy_lose(proxy, "it takes no control messages any more");
        return;
    }
    watch_control(proxy);
    if (err == WEIR_OK) {
        wr_proxy_tell_soon(proxy); /* what it could not be told before */
    }
}
