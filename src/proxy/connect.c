/* SPDX-License-Identifier: MIT
 *
 * The proxy's control channel. All on the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "ipc/protocol.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/folder.h"
#include "proxy/proxy_internal.h"

/* Control messages that are read before the other sockets have their turn. */
#define CONTROL_BATCH 64u

static void retry_later(wr_proxy *proxy)
{
    wr_timer_set(proxy->timer, proxy->retry_ms);
    proxy->retry_ms = proxy->retry_ms * 2 > WR_RETRY_MAX_MS ? WR_RETRY_MAX_MS : proxy->retry_ms * 2;
}

void wr_proxy_disconnect(wr_proxy *proxy)
{
    wr_node_set_absent(proxy->node, true);
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
    while (proxy->control != NULL && wr_sp_receive(proxy->control, &frame, NULL) == WEIR_OK) {
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

/* One line for the end of a running module, and one for a time of failing attempts. */
static void log_loss(wr_proxy *proxy, wr_proxy_state state, bool goodbye, const char *reason)
{
    const char *at = proxy->options.control_path;
    if (goodbye) {
        wr_proxy_log(proxy, WEIR_LOG_INFO, "the remote module at '%s' said goodbye", at);
    } else if (state == WR_PROXY_RUNNING) {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "lost the remote module at '%s': %s", at, reason);
    } else if (!proxy->trouble_logged) {
        proxy->trouble_logged = true;
        wr_proxy_log(proxy, WEIR_LOG_WARN, "could not attach the remote module at '%s': %s", at,
                     reason);
    }
}

static void on_failed(wr_proxy *proxy, const wr_control_message *reply);

static void hasten_retry(wr_proxy *proxy)
{
    if (wr_clock_ns() - proxy->running_since_ns >= WR_RETRY_SERVED_NS) {
        proxy->retry_ms = 1;
    } else if (proxy->retry_ms > WR_RETRY_SERVED_MAX_MS) {
        proxy->retry_ms = WR_RETRY_SERVED_MAX_MS;
    }
}

static void lose(wr_proxy *proxy, bool goodbye, const char *reason)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    wr_control_message last = {.status = WR_REPLY_CREATED};
    wr_proxy_read_rest(proxy);
    if (proxy->channel != NULL) {
        read_last_words(proxy, &last);
    }
    goodbye = goodbye || last.status == WR_REPLY_DETACHED;
    if (last.status == WR_REPLY_MODULE_FAILED && state == WR_PROXY_RUNNING) {
        on_failed(proxy, &last);
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
        hasten_retry(proxy);
    }
    retry_later(proxy);
}

void wr_proxy_lose(wr_proxy *proxy, const char *reason)
{
    lose(proxy, false, reason);
}

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

bool wr_proxy_send_control(wr_proxy *proxy, const wr_control_message *message)
{
    char small[WR_CONTROL_SIZE_SMALL];
    wr_buffer image = WR_BUFFER_ON(small);
    weir_err err = wr_control_encode(message, &image);
    if (err == WEIR_OK) {
        err = queue_control(proxy->control, &image);
    }
    wr_buffer_deinit(&image);
    bool queued = err == WEIR_OK;
    if (queued) {
        err = wr_sp_flush(proxy->control);
    }
    if (err == WEIR_ERR_WOULD_BLOCK) {
        watch_control(proxy);
        return queued;
    }
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) { /* closed: the loop reads it in a moment */
        wr_proxy_log(proxy, WEIR_LOG_WARN, "cannot send %s: %s",
                     wr_control_type_name(message->type), weir_err_text(err));
    }
    return err == WEIR_OK;
}

void wr_proxy_send_start(wr_proxy *proxy)
{
    if (wr_proxy_get_state(proxy) != WR_PROXY_RUNNING || !proxy->start_wanted ||
        proxy->start_sent) {
        return;
    }
    proxy->start_sent = true;
    (void)wr_proxy_send_control(proxy, &(wr_control_message){.type = WR_CONTROL_START});
}

void wr_proxy_forget_message_path(wr_proxy *proxy)
{
    if (proxy->message_path != NULL && proxy->options.message_path == NULL) {
        wr_file_remove(proxy->message_path);
    }
    free(proxy->message_path);
    proxy->message_path = NULL;
}

void wr_proxy_keep_folder(const wr_proxy *proxy)
{
    const char *folder = proxy->options.folder;
    if (folder == NULL || wr_file_exists(folder)) {
        return;
    }
    wr_error error = {.code = WEIR_OK};
    if (wr_folder_ensure(folder, &error) == WEIR_OK) {
        wr_log(proxy->node->name, WEIR_LOG_WARN, "the folder '%s' was removed; it is made again",
               folder);
    } else {
        wr_log(proxy->node->name, WEIR_LOG_WARN, "the folder '%s' was removed: %s", folder,
               wr_error_text(&error));
    }
}

/* So often the time until the next create is doubled. */
#define CREATES_UNANSWERED_MAX 6u

/* The message channel's path for the next create. */
static bool choose_message_path(wr_proxy *proxy)
{
    wr_proxy_forget_message_path(proxy);
    if (proxy->options.message_path != NULL) {
        proxy->message_path = wr_text_copy(proxy->options.message_path);
        return proxy->message_path != NULL;
    }
    wr_proxy_keep_folder(proxy);
    wr_buffer path = WR_BUFFER_INIT;
    unsigned long long number = ++proxy->create_count;
    if (proxy->options.folder == NULL) {
        wr_buffer_printf(&path, "%s.m%llu", proxy->options.control_path, number);
    } else {
        wr_buffer_printf(&path, "%s/m%llx-%llu", proxy->options.folder,
                         (unsigned long long)(uintptr_t)proxy, number);
    }
    proxy->message_path = wr_buffer_take(&path);
    return proxy->message_path != NULL;
}

static void get_position(wr_proxy *proxy, wr_position *position)
{
    wr_mutex_lock(&proxy->tx_lock);
    *position = (wr_position){proxy->received, proxy->window.acknowledged, proxy->window.sent};
    wr_mutex_unlock(&proxy->tx_lock);
}

static void send_create(wr_proxy *proxy)
{
    wr_buffer uri = WR_BUFFER_INIT;
    wr_buffer_printf(&uri, "%s%s", WR_IPC_SCHEME, proxy->message_path);
    wr_control_message create = {
        .type = WR_CONTROL_CREATE,
        .uri = uri.data,
        .args = proxy->options.args,
        .extension = {.present = true,
                      .message_limit = WR_MESSAGE_LIMIT_DEFAULT,
                      .features = WR_FEATURE_ACKNOWLEDGE | WR_FEATURE_HEARTBEAT,
                      .window = WR_WINDOW_MESSAGES,
                      .protocol = {WR_PROTOCOL_FIRST, WR_PROTOCOL_LAST},
                      .session = proxy->session,
                      .instance = proxy->instance},
    };
    get_position(proxy, &create.extension.position);
    if (proxy->options.message_limit != 0) {
        create.extension.message_limit = (uint32_t)proxy->options.message_limit;
    }
    if (!uri.failed) {
        (void)wr_proxy_send_control(proxy, &create);
    }
    wr_buffer_deinit(&uri);
    /* Each time twice as long: to be asked again and again is no help to a slow one. */
    wr_timer_set(proxy->timer, (uint64_t)proxy->options.timeout_ms << proxy->unanswered);
    proxy->unanswered += proxy->unanswered < CREATES_UNANSWERED_MAX;
}

static void begin_create(wr_proxy *proxy)
{
    if (!choose_message_path(proxy)) {
        wr_proxy_lose(proxy, weir_err_text(WEIR_ERR_MEMORY));
        return;
    }
    proxy->unanswered = 0;
    proxy->answered = false;
    send_create(proxy);
}

/* The remote says its module is there: connect the message channel, now or a little later. */
static void attach(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_proxy_open_channel(proxy, &error);
    if (err == WEIR_OK) {
        wr_timer_set(proxy->timer, proxy->options.timeout_ms);
    } else if (wr_clock_ns() < proxy->attach_deadline_ns) {
        retry_later(proxy);
    } else {
        wr_proxy_lose(proxy, wr_error_text(&error));
    }
}

static void begin_attach(wr_proxy *proxy)
{
    proxy->attach_deadline_ns = wr_clock_ns() + (uint64_t)proxy->options.timeout_ms * WR_NS_PER_MS;
    attach(proxy);
}

static void set_peer_limit(wr_proxy *proxy, const wr_extension *extension)
{
    uint64_t limit = WR_MESSAGE_LIMIT_OLD_PEER;
    if (extension->message_limit != 0) {
        limit = extension->message_limit;
    } else if (proxy->options.message_limit != 0) {
        limit = proxy->options.message_limit;
    }
    wr_mutex_lock(&proxy->tx_lock);
    proxy->peer_limit = limit;
    wr_mutex_unlock(&proxy->tx_lock);
}

/* The remote's side of where both stand: its messages continue, or a new instance begins. */
static void agree_received(wr_proxy *proxy, const wr_extension *extension)
{
    bool same = memcmp(&proxy->instance, &extension->instance, sizeof(wr_id)) == 0;
    if (!same) {
        proxy->instance = extension->instance;
        proxy->received = extension->position.first;
    } else if (extension->position.first > proxy->received) {
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "%llu messages of the remote module are lost",
                     (unsigned long long)(extension->position.first - proxy->received));
        proxy->received = extension->position.first;
    }
    proxy->told = proxy->received;
    proxy->untold_bytes = 0;
    proxy->redelivered_end = extension->position.sent;
}

/* Find out what comes first on the new message channel. False: the peer's account is impossible. */
static bool agree(wr_proxy *proxy, const wr_extension *extension)
{
    proxy->features = extension->features & (WR_FEATURE_ACKNOWLEDGE | WR_FEATURE_HEARTBEAT);
    bool acknowledged = (proxy->features & WR_FEATURE_ACKNOWLEDGE) != 0;
    wr_position mine;
    get_position(proxy, &mine);
    if (acknowledged) {
        if (extension->position.received > mine.sent ||
            wr_proxy_acknowledge(proxy, extension->position.received) != WEIR_OK) {
            wr_proxy_lose(proxy, "it says that it processed more messages than were sent");
            return false;
        }
        agree_received(proxy, extension);
    }
    get_position(proxy, &mine);
    if (mine.sent > mine.first) {
        uint64_t again = mine.sent - mine.first;
        atomic_fetch_add(&proxy->redelivered, again);
        wr_proxy_log(proxy, WEIR_LOG_INFO, "%llu messages are sent again",
                     (unsigned long long)again);
    }
    wr_proxy_rewind(proxy, acknowledged);
    return true;
}

/* It will not serve us: a process of ours is started again by its policy, of another we wait for a
 * change. */
static void be_refused(wr_proxy *proxy)
{
    if (proxy->supervisor != NULL) {
        wr_proxy_give_up(proxy, "it could not create or start its module");
    } else {
        wr_proxy_pass(proxy, WR_PROXY_EVENT_REFUSED);
    }
}

static void on_created(wr_proxy *proxy, const wr_extension *extension, bool is_late)
{
    wr_error error = {.code = WEIR_OK};
    if (wr_proxy_get_state(proxy) != WR_PROXY_CREATING) {
        return; /* the answer to a create that was sent again */
    }
    proxy->unanswered -= proxy->unanswered > 0;
    if (!extension->present && proxy->unanswered > 0 && !is_late) {
        /* It may make its module anew for each create that it finds: let it answer them all. */
        wr_timer_set(proxy->timer, (uint64_t)proxy->options.timeout_ms << proxy->unanswered);
        proxy->answered = true;
        return;
    }
    if (!wr_protocol_agree(extension, &error)) {
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "cannot work with the remote module: %s",
                     wr_error_text(&error));
        wr_timer_clear(proxy->timer);
        be_refused(proxy);
        return;
    }
    if (!agree(proxy, extension)) {
        return;
    }
    set_peer_limit(proxy, extension);
    wr_proxy_pass(proxy, WR_PROXY_EVENT_CREATED);
    wr_timer_clear(proxy->timer);
    if (proxy->start_wanted) {
        begin_attach(proxy);
    } /* else its links are still to be made, and what it sends would go nowhere */
}

void wr_proxy_go_on(wr_proxy *proxy)
{
    if (wr_proxy_get_state(proxy) == WR_PROXY_ATTACHING && proxy->channel == NULL) {
        begin_attach(proxy);
    } else {
        wr_proxy_send_start(proxy);
    }
}

static void on_failed(wr_proxy *proxy, const wr_control_message *reply)
{
    const char *reason = reply->extension.reason[0] != '\0' ? reply->extension.reason
                                                            : "it gave no reason; see its output";
    wr_proxy_close_channel(proxy);
    wr_proxy_end_heartbeat(proxy);
    wr_timer_clear(proxy->timer);
    switch (reply->status) {
    case WR_REPLY_CONNECTION_ERROR:
        wr_proxy_log(proxy, WEIR_LOG_ERROR,
                     "the remote module could not open its message channel: %s", reason);
        wr_proxy_pass(proxy, WR_PROXY_EVENT_REFUSED);
        wr_timer_set(proxy->timer, WR_RETRY_MAX_MS); /* what is in the way may go away */
        return;
    case WR_REPLY_MODULE_FAILED:
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "the remote module could not be created or started: %s",
                     reason);
        break;
    default:
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "the remote module replied with status %u (%s)",
                     reply->status, reason);
        break;
    }
    be_refused(proxy);
}

static void on_reply(wr_proxy *proxy, const wr_control_message *reply)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool over = state == WR_PROXY_STOPPING || state == WR_PROXY_ENDING || state == WR_PROXY_FAILED;
    if (reply->status == WR_REPLY_DETACHED) {
        lose(proxy, true, "");
    } else if (reply->status == WR_REPLY_CREATED) {
        on_created(proxy, &reply->extension, false);
    } else if (!over) {
        on_failed(proxy, reply);
    }
}

/* Before the message channel is open, the answer to create says it all. */
static void on_acknowledge(wr_proxy *proxy, uint64_t count)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool attached =
        state == WR_PROXY_RUNNING || state == WR_PROXY_STOPPING || state == WR_PROXY_ENDING;
    if (attached && wr_proxy_acknowledge(proxy, count) != WEIR_OK) {
        wr_proxy_lose(proxy, "it acknowledged messages that were not sent");
    } else if (state == WR_PROXY_STOPPING) {
        wr_proxy_continue_stop(proxy);
    }
}

static bool owes(const wr_proxy *proxy)
{
    return proxy->control != NULL && proxy->told != proxy->received &&
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
        on_reply(proxy, &message);
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
        begin_create(proxy);
    }
}

void wr_proxy_on_control_task(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, control_task);
    if (proxy->control != NULL) {
        read_control(proxy);
    }
}

static void on_control(void *arg, unsigned ready)
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
        err = wr_watch_open(proxy->loop, waitable, on_control, proxy, &proxy->control_watch);
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
    bool *logged = normal ? &proxy->waiting_logged : &proxy->refusal_logged;
    if (*logged) {
        return;
    }
    if (normal && proxy->supervisor != NULL) {
        return; /* it was launched a moment ago */
    }
    *logged = true;
    if (normal) {
        wr_proxy_log(proxy, WEIR_LOG_INFO, "waiting for a remote module at '%s'",
                     proxy->options.control_path);
    } else {
        wr_proxy_log(proxy, WEIR_LOG_WARN, "cannot connect to a remote module at '%s': %s",
                     proxy->options.control_path, wr_error_text(error));
    }
}

bool wr_proxy_may_connect(const wr_proxy *proxy)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    return proxy->control == NULL &&
           (state == WR_PROXY_WAITING || state == WR_PROXY_FAILED || state == WR_PROXY_ENDED);
}

void wr_proxy_try_connect(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = open_control(proxy, &error);
    if (err != WEIR_OK && wr_proxy_get_state(proxy) == WR_PROXY_WAITING) {
        log_waiting(proxy, err, &error);
        retry_later(proxy);
        return;
    }
    if (err != WEIR_OK) { /* who bound the socket may not listen yet */
        if (proxy->retry_ms < WR_RETRY_MAX_MS) {
            retry_later(proxy);
        }
        return;
    }
    proxy->waiting_logged = false;
    proxy->refusal_logged = false;
    wr_proxy_pass(proxy, WR_PROXY_EVENT_CONNECTED);
    wr_timer_set(proxy->timer, proxy->options.timeout_ms);
}

/* It does not take its messages in time. It gets destroy all the same, and a moment to read that:
 * nanomsg forgets what it has received when the connection is closed. */
static void give_up_waiting(wr_proxy *proxy)
{
    bool destroyed = proxy->destroy_sent || proxy->control == NULL;
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
        if (proxy->answered) {
            on_created(proxy, &(wr_extension){.present = false}, true);
            break;
        }
        send_create(proxy);
        break;
    case WR_PROXY_ATTACHING:
        if (proxy->channel == NULL) {
            attach(proxy);
        } else {
            wr_proxy_lose(proxy, "no greeting came on the message channel");
        }
        break;
    case WR_PROXY_FAILED:
        if (proxy->control != NULL) {
            wr_proxy_pass(proxy, WR_PROXY_EVENT_RETRIED);
            begin_create(proxy);
            break;
        }
        wr_proxy_try_connect(proxy);
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
    case WR_PROXY_ENDING:
    case WR_PROXY_STOPPED:
    case WR_PROXY_STATE_COUNT:
        break;
    }
}
