/* SPDX-License-Identifier: MIT
 *
 * From the greeting to messages that flow: create and its reply, what both sides agree on, the
 * message channel, start. All on the loop.
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
#include "platform/shared_memory.h"
#include "proxy/proxy_internal.h"

void wr_proxy_send_start(wr_proxy *proxy)
{
    if (wr_proxy_get_state(proxy) != WR_PROXY_RUNNING || !proxy->start_wanted ||
        proxy->start_sent) {
        return;
    }
    const wr_control_message start = {.type = WR_CONTROL_START};
    proxy->start_sent = true;
    if ((proxy->features & WR_FEATURE_HEARTBEAT) == 0) {
        (void)wr_proxy_send_control(proxy, &start);
        wr_proxy_enter_service(proxy);
        return;
    }
    /* Together, so that no message can come between them: it answers when its start has returned.
     */
    if (!wr_proxy_queue_control(proxy, &start)) {
        wr_proxy_lose(proxy, "start could not be sent");
        return;
    }
    wr_proxy_ask_heartbeat(proxy);
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
    wr_proxy_lock(proxy);
    *position = (wr_position){proxy->received, proxy->window.acknowledged, proxy->window.sent};
    wr_proxy_unlock(proxy);
}

/* What is offered to the process that has connected. */
static uint32_t offered_features(const wr_proxy *proxy)
{
    bool shared = proxy->options.shared_memory && !proxy->sharing_failed &&
                  wr_shared_memory_supported() && wr_peer_is_own(wr_sp_inner(proxy->control));
    return WR_FEATURE_ACKNOWLEDGE | WR_FEATURE_HEARTBEAT | WR_FEATURE_BLOCKING |
           (shared ? WR_FEATURE_SHARED_MEMORY : 0);
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
                      .features = offered_features(proxy),
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

void wr_proxy_begin_create(wr_proxy *proxy)
{
    if (proxy->setting_aside) { /* until then the numbers of the messages are not known */
        wr_proxy_lose(proxy, NULL);
        return;
    }
    if (!choose_message_path(proxy)) {
        wr_proxy_lose(proxy, weir_err_text(WEIR_ERR_MEMORY));
        return;
    }
    proxy->unanswered = 0;
    proxy->answered = false;
    wr_proxy_begin_starting(proxy);
    send_create(proxy);
}

/* The remote says its module is there: connect the message channel, now or a little later. */
void wr_proxy_attach(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_proxy_open_channel(proxy, &error);
    if (err == WEIR_OK) {
        wr_timer_set(proxy->timer, proxy->options.timeout_ms);
    } else if (wr_clock_ns() < proxy->attach_deadline_ns) {
        wr_proxy_retry_later(proxy);
    } else {
        wr_proxy_lose(proxy, wr_error_text(&error));
    }
}

static void begin_attach(wr_proxy *proxy)
{
    proxy->attach_deadline_ns = wr_clock_ns() + (uint64_t)proxy->options.timeout_ms * WR_NS_PER_MS;
    wr_proxy_attach(proxy);
}

/* What the configuration says, if anything, and what the peer says: the smaller one. */
static uint64_t choose_limit(uint64_t configured, uint64_t said)
{
    if (configured == 0) {
        return said != 0 ? said : WR_MESSAGE_LIMIT_OLD_PEER;
    }
    return said != 0 && said < configured ? said : configured;
}

static void set_peer_limit(wr_proxy *proxy, const wr_extension *extension)
{
    wr_proxy_lock(proxy);
    proxy->peer_limit = choose_limit(proxy->options.message_limit, extension->message_limit);
    wr_proxy_unlock(proxy);
}

/* The remote's side of where both stand. It says with which message it begins: mostly with the one
 * that create named; a new instance with its oldest, and so does one that has been with another
 * gateway meanwhile, and repeats what has come. */
static void agree_received(wr_proxy *proxy, const wr_extension *extension)
{
    bool same = memcmp(&proxy->instance, &extension->instance, sizeof(wr_id)) == 0;
    uint64_t first = extension->position.first;
    if (!same) {
        proxy->instance = extension->instance;
        proxy->sharing_failed = false; /* on the next connection: what is new may manage */
    } else if (first > proxy->received) {
        uint64_t lost = first - proxy->received;
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "%llu %s lost on the way from the remote module",
                     (unsigned long long)lost, wr_text_plural(lost, "message is", "messages are"));
    }
    proxy->received = first;
    proxy->told = proxy->received;
    proxy->untold_bytes = 0;
    proxy->redelivered_end = extension->position.sent;
}

/* Find out what comes first on the new message channel. False: the peer's account is impossible. */
static bool agree(wr_proxy *proxy, const wr_extension *extension)
{
    proxy->features = extension->features & offered_features(proxy);
    bool acknowledged = (proxy->features & WR_FEATURE_ACKNOWLEDGE) != 0;
    wr_position mine;
    proxy->redelivered_end = 0; /* an old peer begins anew */
    if (acknowledged) {
        if (wr_proxy_skip(proxy, extension->position.received) != WEIR_OK) {
            wr_proxy_lose(proxy, "it says that it processed more messages than were sent");
            return false;
        }
        agree_received(proxy, extension);
    }
    get_position(proxy, &mine);
    if (mine.sent > mine.first) {
        uint64_t again = mine.sent - mine.first;
        atomic_fetch_add(&proxy->redelivered, again);
        wr_proxy_log(proxy, WEIR_LOG_INFO, "%llu %s sent again", (unsigned long long)again,
                     wr_text_plural(again, "message is", "messages are"));
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
        wr_proxy_leave_service(proxy);
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
    proxy->peer_window = extension->window;
    wr_proxy_pass(proxy, WR_PROXY_EVENT_CREATED);
    wr_timer_clear(proxy->timer);
    if (proxy->start_wanted) {
        begin_attach(proxy);
    } /* else its links are still to be made, and what it sends would go nowhere */
}

void wr_proxy_go_on_creating(wr_proxy *proxy)
{
    if (proxy->answered) {
        on_created(proxy, &(wr_extension){.present = false}, true);
    } else {
        send_create(proxy);
    }
}

void wr_proxy_go_on(wr_proxy *proxy)
{
    if (wr_proxy_get_state(proxy) == WR_PROXY_ATTACHING && proxy->channel == NULL) {
        begin_attach(proxy);
    } else {
        wr_proxy_send_start(proxy);
    }
}

void wr_proxy_on_failed(wr_proxy *proxy, const wr_control_message *reply)
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
        wr_proxy_leave_service(proxy);
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

void wr_proxy_on_reply(wr_proxy *proxy, const wr_control_message *reply)
{
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool over = state == WR_PROXY_STOPPING || state == WR_PROXY_ENDING || state == WR_PROXY_FAILED;
    if (reply->status == WR_REPLY_DETACHED) {
        wr_proxy_lose_by_goodbye(proxy);
    } else if (reply->status == WR_REPLY_CREATED) {
        on_created(proxy, &reply->extension, false);
    } else if (!over) {
        wr_proxy_on_failed(proxy, reply);
    }
}
