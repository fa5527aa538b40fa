/* SPDX-License-Identifier: MIT
 *
 * The connection with a remote module: sought, lost, sought again. All on the loop.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* About as many control messages as a socket holds: one that lives and goes on writing them does
 * not keep the loop. */
#define LAST_WORDS_MAX 16384u

void wr_proxy_retry_later(wr_proxy *proxy)
{
    wr_timer_set(proxy->timer, proxy->retry_ms);
    proxy->retry_ms = proxy->retry_ms * 2 > WR_RETRY_MAX_MS ? WR_RETRY_MAX_MS : proxy->retry_ms * 2;
}

void wr_proxy_disconnect(wr_proxy *proxy)
{
    wr_proxy_close_channel(proxy);
    wr_watch_close(proxy->control_watch);
    proxy->control_watch = NULL;
    wr_sp_destroy(proxy->control);
    proxy->control = NULL;
    proxy->start_sent = false;
    wr_timer_clear(proxy->timer);
    wr_proxy_end_heartbeat(proxy);
}

/* The last that it said: what it acknowledged need not be sent again. `reply`: its last one, if
 * there is one; it may have said goodbye, or that the module failed. */
static void read_last_words(wr_proxy *proxy, wr_control_message *reply)
{
    wr_sp_frame frame;
    wr_control_message message;
    unsigned left = LAST_WORDS_MAX;
    while (left-- > 0 && wr_sp_receive(proxy->control, &frame, NULL) == WEIR_OK) {
        if (wr_control_decode(frame.data, frame.size, &message, NULL) != WEIR_OK) {
            continue;
        }
        if (message.type == WR_CONTROL_ACKNOWLEDGE) {
            weir_err ignored = wr_proxy_acknowledge(proxy, message.count);
            (void)ignored; /* a wrong one changes nothing */
        }
        if (message.type == WR_CONTROL_REPLY) {
            *reply = message;
        }
    }
}

/* Is the reason another one than that which was logged last? Then it is kept as that. */
static bool is_news(char last[WR_REASON_SIZE], const char *reason)
{
    if (strncmp(last, reason, WR_REASON_SIZE - 1) == 0) {
        return false;
    }
    (void)snprintf(last, WR_REASON_SIZE, "%s", reason);
    return true;
}

/* One line for the end of a running module, and one for each reason of failing attempts. */
static void log_loss(wr_proxy *proxy, wr_proxy_state state, bool goodbye, const char *reason)
{
    const char *at = proxy->options.control_path;
    if (goodbye) {
        wr_proxy_log(proxy, WEIR_LOG_INFO, "the remote module at '%s' said goodbye", at);
    } else if (state == WR_PROXY_RUNNING) {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "lost the remote module at '%s': %s", at, reason);
    } else if (is_news(proxy->trouble, reason)) {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "could not attach the remote module at '%s': %s", at,
                     reason);
    }
}

static uint32_t next_rest_ms(const wr_proxy *proxy)
{
    if (proxy->secured_bytes > WR_RETRY_SECURED_BYTES) {
        return WR_RETRY_MAX_MS;
    }
    uint32_t next_ms = proxy->rest_ms == 0 ? 1 : 2 * proxy->rest_ms;
    return next_ms > WR_RETRY_SERVED_MAX_MS ? WR_RETRY_SERVED_MAX_MS : next_ms;
}

/* Who was in service for a moment only is left alone for longer each time, whatever its folder
 * tells. */
static void set_rest(wr_proxy *proxy)
{
    uint64_t now = wr_clock_ns();
    if (now - proxy->running_since_ns >= WR_RETRY_SERVED_NS) {
        proxy->rest_ms = 0;
        proxy->retry_ms = 1;
        return;
    }
    proxy->rest_ms = next_rest_ms(proxy);
    proxy->retry_ms = proxy->rest_ms;
    proxy->rests_until_ns = now + proxy->rest_ms * WR_NS_PER_MS;
}

static void lose(wr_proxy *proxy, bool goodbye, const char *reason)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    wr_control_message last = {.status = WR_REPLY_CREATED};
    wr_proxy_hold_all(proxy);
    wr_proxy_read_rest(proxy);
    if (proxy->channel != NULL) {
        read_last_words(proxy, &last);
    }
    goodbye = goodbye || last.status == WR_REPLY_DETACHED;
    if (last.status == WR_REPLY_MODULE_FAILED && state == WR_PROXY_RUNNING) {
        wr_proxy_on_failed(proxy, &last);
        return;
    }
    wr_proxy_tell(proxy); /* it may live on, and must not send again what has arrived */
    wr_proxy_disconnect(proxy);
    wr_proxy_pass(proxy, WR_PROXY_EVENT_LOST);
    if (state == WR_PROXY_STOPPING) {
        wr_proxy_continue_stop(proxy);
        return;
    }
    if (state == WR_PROXY_ENDING) {
        return;
    }
    if (reason != NULL) {
        log_loss(proxy, state, goodbye, reason);
    }
    if (state == WR_PROXY_RUNNING) {
        set_rest(proxy);
    }
    wr_proxy_leave_service(proxy);
    wr_proxy_retry_later(proxy);
}

void wr_proxy_lose(wr_proxy *proxy, const char *reason)
{
    lose(proxy, false, reason);
}

void wr_proxy_lose_by_goodbye(wr_proxy *proxy)
{
    lose(proxy, true, "");
}

static weir_err open_control(wr_proxy *proxy, wr_error *error)
{
    wr_stream *stream;
    weir_err err = wr_stream_connect(proxy->options.control_path, &stream, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = wr_peer_check(stream, &proxy->options.allowed, error);
    if (err != WEIR_OK) {
        wr_stream_close(stream);
        return err;
    }
    wr_waitable waitable = wr_stream_waitable(stream);
    wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX,
                             .rx_buffer_size = 2 * WR_SP_COPY_MAX};
    err = wr_sp_create(stream, &options, &proxy->control);
    if (err == WEIR_OK) {
        err =
            wr_watch_open(proxy->loop, waitable, wr_proxy_on_control, proxy, &proxy->control_watch);
    }
    if (err != WEIR_OK) {
        wr_sp_destroy(proxy->control);
        proxy->control = NULL;
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    wr_watch_set(proxy->control_watch, WR_POLL_READ);
    return WEIR_OK;
}

static void log_waiting(wr_proxy *proxy, weir_err err, const wr_error *error)
{
    bool normal = err == WEIR_ERR_NOT_FOUND || err == WEIR_ERR_CLOSED;
    const char *at = proxy->options.control_path;
    if (!normal) {
        if (is_news(proxy->refusal, wr_error_text(error))) {
            wr_proxy_log(proxy, WEIR_LOG_WARN, "cannot connect to a remote module at '%s': %s", at,
                         wr_error_text(error));
        }
        return;
    }
    if (proxy->waiting_logged || proxy->supervisor != NULL) {
        return; /* or it was launched a moment ago */
    }
    proxy->waiting_logged = true;
    wr_proxy_log(proxy, WEIR_LOG_INFO, "waiting for a remote module at '%s'", at);
}

bool wr_proxy_may_connect(const wr_proxy *proxy)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    return proxy->control == NULL &&
           (state == WR_PROXY_WAITING || state == WR_PROXY_FAILED || state == WR_PROXY_ENDED);
}

/* Nothing is awaited from the module: the attempts end where its folder is watched. Not at once:
 * who bound the socket may not listen yet. */
static void rest_or_retry(wr_proxy *proxy)
{
    if (proxy->retry_ms < WR_RETRY_MAX_MS || proxy->folder_watch == NULL) {
        wr_proxy_retry_later(proxy);
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_DEBUG, "at '%s' is tried again when its folder changes",
           proxy->options.control_path);
}

void wr_proxy_try_connect(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    wr_proxy_watch_folder(proxy); /* first: who comes after the attempt is seen */
    weir_err err = open_control(proxy, &error);
    if (err != WEIR_OK && wr_proxy_get_state(proxy) == WR_PROXY_WAITING) {
        log_waiting(proxy, err, &error);
        wr_proxy_retry_later(proxy);
        return;
    }
    if (err != WEIR_OK) {
        rest_or_retry(proxy);
        return;
    }
    wr_proxy_pass(proxy, WR_PROXY_EVENT_CONNECTED);
    wr_timer_set(proxy->timer, proxy->options.timeout_ms);
}

static void log_late(wr_proxy *proxy)
{
    if (proxy->control != NULL) {
        wr_log(proxy->node->name, WEIR_LOG_WARN, "%s in the part of the grace period that it had",
               proxy->destroy_sent ? "did not end its module" : "did not take its messages");
    }
}

/* It does not take its messages in time. It gets destroy all the same, and a moment to read that:
 * nanomsg forgets what it has received when the connection is closed. */
static void give_up_waiting(wr_proxy *proxy)
{
    bool destroyed = proxy->destroy_sent || proxy->control == NULL;
    log_late(proxy);
    if (!destroyed &&
        wr_proxy_send_control(proxy, &(wr_control_message){.type = WR_CONTROL_DESTROY})) {
        proxy->destroy_sent = true;
        wr_timer_set(proxy->timer, WR_DESTROY_DELAY_MS);
    } else {
        wr_proxy_disconnect(proxy);
    }
    wr_proxy_continue_stop(proxy);
}

void wr_proxy_on_timer(void *arg)
{
    wr_proxy *proxy = arg;
    switch (wr_proxy_get_state(proxy)) {
    case WR_PROXY_CONNECTING:
        wr_proxy_lose(proxy, "no greeting came");
        break;
    case WR_PROXY_CREATING:
        wr_proxy_go_on_creating(proxy);
        break;
    case WR_PROXY_ATTACHING:
        if (proxy->channel == NULL) {
            wr_proxy_attach(proxy);
        } else {
            wr_proxy_lose(proxy, "no greeting came on the message channel");
        }
        break;
    case WR_PROXY_FAILED:
        if (proxy->control != NULL) {
            wr_proxy_pass(proxy, WR_PROXY_EVENT_RETRIED);
            wr_proxy_begin_create(proxy);
        } else {
            wr_proxy_try_connect(proxy);
        }
        break;
    case WR_PROXY_WAITING:
    case WR_PROXY_ENDED:
        wr_proxy_try_connect(proxy);
        break;
    case WR_PROXY_BACKING_OFF:
        wr_proxy_launch_again(proxy);
        break;
    case WR_PROXY_STOPPING:
        give_up_waiting(proxy);
        break;
    case WR_PROXY_RUNNING:
        wr_proxy_on_quiet_over(proxy);
        break;
    case WR_PROXY_ENDING:
    case WR_PROXY_STOPPED:
    case WR_PROXY_STATE_COUNT:
        break;
    }
}
