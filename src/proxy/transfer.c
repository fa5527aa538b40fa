/* SPDX-License-Identifier: MIT
 *
 * The message channel of a remote module, and what comes from it (send.c: what goes to it): the
 * loop reads and publishes; where a sink is over its limit it stops reading until there is room.
 */
#include <stddef.h>

#include "message/message.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* How many messages the loop reads before it looks after the other sockets. */
#define READ_BATCH 64u
#define READ_BATCHES_MAX 16u

static const char it_closed[] = "it closed the message channel";
static const char memory_refused[] = "the system does not send shared memory to it; the next "
                                     "connection does without";

/* The greeting is read whatever the sinks say. */
static bool may_read(const wr_proxy *proxy)
{
    return wr_proxy_get_state(proxy) == WR_PROXY_ATTACHING || !wr_node_congested(proxy->node);
}

/* Before the peer's greeting nothing can be sent, however writable the socket is. */
void wr_proxy_update_watch(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    bool waits = proxy->tx_waits && wr_channel_greeted(proxy->channel);
    unsigned events = waits ? WR_POLL_WRITE : 0;
    wr_proxy_unlock(proxy);
    if (may_read(proxy)) {
        events |= WR_POLL_READ;
    }
    wr_watch_set(proxy->channel_watch, events);
}

static void on_writable(wr_proxy *proxy)
{
    if (!wr_proxy_flush(proxy)) {
        return;
    }
    if (wr_proxy_get_state(proxy) == WR_PROXY_STOPPING) {
        wr_proxy_continue_stop(proxy);
    } else if (wr_proxy_get_state(proxy) == WR_PROXY_RUNNING) {
        wr_node_ready(proxy->node);
    }
}

/* The remote module may have sent it before, when we were somebody else or were cut off. */
static void note_received(wr_proxy *proxy, weir_message *msg)
{
    size_t size;
    (void)weir_message_image(msg, &size);
    proxy->untold_bytes += size;
    if (proxy->received++ < proxy->redelivered_end) {
        wr_message_mark_redelivered(msg);
        atomic_fetch_add(&proxy->redelivered, 1);
    }
}

static void run_collected(void *collected)
{
    wr_node_run_collected(collected);
}

static void put_collected(void *collected)
{
    wr_node_put_collected(collected);
}

/* Have this thread run the sinks of what it has published, or else the pool. */
static void run_sinks_aside(wr_loop *loop)
{
    const wr_aside aside = {run_collected, put_collected, wr_node_get_collected()};
    if (aside.arg != NULL && !wr_loop_step_aside(loop, &aside)) {
        wr_node_put_collected(aside.arg);
    }
}

/* Read up to READ_BATCH messages and publish them. Returns why it stopped, WEIR_OK: no reason. */
static weir_err read_batch(wr_proxy *proxy, wr_error *error)
{
    weir_message *batch[READ_BATCH];
    size_t count = 0;
    weir_err err = WEIR_OK;
    while (count < READ_BATCH && err == WEIR_OK) {
        err = wr_channel_receive(proxy->channel, &batch[count], error);
        if (err == WEIR_OK) {
            note_received(proxy, batch[count++]);
        }
    }
    wr_node_collect(true);
    weir_err published = wr_node_publish_many(proxy->node, batch, count);
    wr_node_collect(false);
    if (published != WEIR_OK) {
        wr_proxy_log(proxy, WEIR_LOG_ERROR, "messages were dropped and counted: %s",
                     weir_err_text(published));
    }
    run_sinks_aside(proxy->loop);
    wr_channel_set_processed(proxy->channel, proxy->received);
    bool much = wr_window_is_due(proxy->received - proxy->told, proxy->untold_bytes,
                                 proxy->peer_window, wr_channel_shares(proxy->channel));
    if (much && wr_channel_peer_waits(proxy->channel)) {
        wr_proxy_tell(proxy);
    }
    return err;
}

void wr_proxy_read_rest(wr_proxy *proxy)
{
    weir_err err = WEIR_OK;
    if (proxy->channel != NULL) {
        wr_channel_end_input(proxy->channel); /* else one that lives may write on for ever */
    }
    while (proxy->channel != NULL && err == WEIR_OK) {
        err = read_batch(proxy, NULL);
    }
    proxy->sharing_failed = proxy->sharing_failed || err == WEIR_ERR_UNSUPPORTED;
}

static void on_greeted(wr_proxy *proxy)
{
    wr_timer_clear(proxy->timer);
    proxy->trouble[0] = '\0';
    wr_proxy_pass(proxy, WR_PROXY_EVENT_ATTACHED);
    proxy->running_since_ns = wr_clock_ns();
    wr_proxy_log(proxy, WEIR_LOG_INFO, "attached the remote module at '%s'",
                 proxy->options.control_path);
    wr_node_set_absent(proxy->node, false);
    wr_proxy_send_start(proxy); /* first: old peers see it before the messages, mostly */
    wr_proxy_begin_carefully(proxy);
    if (wr_proxy_flush(proxy)) {
        wr_node_ready(proxy->node);
    }
}

static void end_reading(wr_proxy *proxy, weir_err err, const wr_error *error)
{
    proxy->sharing_failed = proxy->sharing_failed || err == WEIR_ERR_UNSUPPORTED;
    if (err != WEIR_ERR_CLOSED) {
        /* What comes behind it must not be taken for it, and acknowledged. */
        wr_proxy_close_channel(proxy);
    }
    wr_proxy_lose(proxy, err == WEIR_ERR_CLOSED ? it_closed : wr_error_text(error));
}

static void read_channel(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i < READ_BATCHES_MAX && err == WEIR_OK && may_read(proxy); i++) {
        err = read_batch(proxy, &error);
    }
    if (wr_proxy_get_state(proxy) == WR_PROXY_ATTACHING && wr_channel_greeted(proxy->channel)) {
        on_greeted(proxy);
    }
    if (proxy->channel != NULL && wr_channel_owes(proxy->channel)) {
        wr_proxy_flush_and_go_on(proxy);
    }
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        end_reading(proxy, err, &error);
        return;
    }
    wr_proxy_tell_soon(proxy);
    if (err == WEIR_OK && may_read(proxy)) {
        wr_loop_post(proxy->loop, &proxy->read_task); /* the other sockets first */
    }
}

static void on_channel(void *arg, unsigned ready)
{
    wr_proxy *proxy = arg;
    if ((ready & WR_POLL_WRITE) != 0) {
        on_writable(proxy);
    }
    if (proxy->channel != NULL && (ready & WR_POLL_HUNG_UP) != 0 && !may_read(proxy)) {
        wr_proxy_lose(proxy, it_closed); /* else that would be told again and again */
    }
    if (proxy->channel != NULL && (ready & WR_POLL_READ) != 0) {
        read_channel(proxy);
    }
    if (proxy->channel != NULL) {
        wr_proxy_update_watch(proxy);
    }
}

static const char *why_lost(weir_err failed)
{
    switch (failed) {
    case WEIR_ERR_CLOSED:
        return it_closed;
    case WEIR_ERR_UNSUPPORTED:
        return memory_refused;
    default:
        return weir_err_text(failed);
    }
}

void wr_proxy_on_write_task(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, write_task);
    if (proxy->channel == NULL) {
        return;
    }
    wr_proxy_lock(proxy);
    weir_err failed = proxy->tx_failed;
    wr_proxy_unlock(proxy);
    if (failed != WEIR_OK) {
        proxy->sharing_failed = proxy->sharing_failed || failed == WEIR_ERR_UNSUPPORTED;
        wr_proxy_lose(proxy, why_lost(failed));
    } else {
        wr_proxy_update_watch(proxy);
    }
}

void wr_proxy_on_read_task(wr_task *task)
{
    on_channel(WR_PROXY_OF(task, read_task), WR_POLL_READ);
}

static void uncongested(void *self)
{
    wr_proxy *proxy = self;
    wr_loop_post(proxy->loop, &proxy->read_task);
}

/* After whatever was posted before, on the loop. */
static void release(void *self)
{
    wr_proxy *proxy = self;
    wr_loop_post(proxy->loop, &proxy->free_task);
}

/* The publishing thread's next large message is best made where its remote module reads it. */
static void set_place(void *self)
{
    wr_proxy *proxy = self;
    const wr_message_place *now = wr_message_place_now();
    if (now != NULL && now == atomic_load_explicit(&proxy->place, memory_order_relaxed)) {
        return;
    }
    wr_proxy_lock(proxy);
    if (proxy->channel != NULL) {
        wr_channel_set_place(proxy->channel);
        atomic_store_explicit(&proxy->place, wr_message_place_now(), memory_order_relaxed);
    }
    wr_proxy_unlock(proxy);
}

const wr_consumer wr_proxy_consumer = {
    .consume = wr_proxy_consume,
    .drained = wr_proxy_drained,
    .uncongested = uncongested,
    .release = release,
    .may_pause = true,
    .takes = true,
    .gather = wr_proxy_gather,
    .direct = wr_proxy_direct,
    .place = set_place,
};

static bool shares_memory(const wr_proxy *proxy)
{
    return (proxy->features & WR_FEATURE_SHARED_MEMORY) != 0;
}

static weir_err check_peer(const wr_proxy *proxy, const wr_stream *stream, wr_error *error)
{
    weir_err err = wr_peer_check(stream, &proxy->options.allowed, error);
    if (err == WEIR_OK && shares_memory(proxy) && !wr_peer_is_own(stream)) {
        err =
            wr_error_set(error, WEIR_ERR_DENIED,
                         "shared memory was agreed on, and its message channel is another user's");
    }
    return err;
}

weir_err wr_proxy_open_channel(wr_proxy *proxy, wr_error *error)
{
    wr_stream *stream;
    weir_err err = wr_stream_connect(proxy->message_path, &stream, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = check_peer(proxy, stream, error);
    if (err != WEIR_OK) {
        wr_stream_close(stream);
        return err;
    }
    wr_waitable waitable = wr_stream_waitable(stream);
    uint64_t limit = proxy->options.message_limit;
    wr_channel *channel;
    err = wr_channel_create(stream, limit != 0 ? limit : WR_MESSAGE_LIMIT_DEFAULT, &channel);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    err = shares_memory(proxy) ? wr_channel_share(channel) : WEIR_OK;
    if (err != WEIR_OK) {
        wr_channel_destroy(channel);
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    err = wr_watch_open(proxy->loop, waitable, on_channel, proxy, &proxy->channel_watch);
    if (err != WEIR_OK) {
        wr_channel_destroy(channel);
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    wr_proxy_lock(proxy);
    proxy->channel = channel;
    proxy->window.shared = wr_channel_shares(channel);
    proxy->tx_waits = false;
    proxy->tx_failed = WEIR_OK;
    wr_proxy_unlock(proxy);
    wr_proxy_update_watch(proxy);
    return WEIR_OK;
}

void wr_proxy_close_channel(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    wr_channel *channel = proxy->channel;
    proxy->channel = NULL;
    atomic_store_explicit(&proxy->place, NULL, memory_order_relaxed);
    proxy->tx_waits = false;
    atomic_store_explicit(&proxy->memory_waits, false, memory_order_relaxed);
    wr_node_pause(proxy->node);
    wr_proxy_unlock(proxy);
    wr_node_set_absent(proxy->node, true);
    wr_watch_close(proxy->channel_watch);
    proxy->channel_watch = NULL;
    if (channel != NULL) {
        proxy->secured_bytes = wr_channel_peer_secured(channel);
    }
    wr_channel_destroy(channel);
}
