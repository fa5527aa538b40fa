/* SPDX-License-Identifier: MIT
 *
 * Messages between the broker and the remote module's socket. The node's mailboxes are the only
 * queue: what the socket does not take stays there.
 *
 * To the remote: whoever publishes gathers a batch and writes it, and the loop what waits for too
 * long; where the socket takes no more, the node pauses until the loop sees it writable. From the
 * remote: the loop reads and publishes; where a sink is over its limit it stops reading until there
 * is room.
 */
#include <stddef.h>

#include "base/log.h"
#include "message/message.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* How many messages the loop reads before it looks after the other sockets. */
#define READ_BATCH 64u
#define READ_BATCHES_MAX 16u
/* What comes within so long of the last write is gathered, until the alarm rings at the latest.
 * While publishers write all the time it rings seldom. */
#define GATHER_NS 50000u
#define ALARM_NS 100000u
#define ALARM_BUSY_NS 500000u

static const char it_closed[] = "it closed the message channel";

/* The socket is full: the loop is to watch it. Under tx_lock. */
static void wait_for_socket(wr_proxy *proxy)
{
    proxy->tx_waits = true;
    wr_loop_post(proxy->loop, &proxy->write_task);
}

/* What a write said. Under tx_lock. */
static void note_result(wr_proxy *proxy, weir_err err)
{
    proxy->tx_waits = err == WEIR_ERR_WOULD_BLOCK;
    if (err != WEIR_OK) {
        proxy->tx_failed = proxy->tx_waits ? WEIR_OK : err;
        wr_loop_post(proxy->loop, &proxy->write_task);
    }
}

static size_t image_size(const weir_message *msg)
{
    size_t size;
    (void)weir_message_image(msg, &size);
    return size;
}

static void note_too_large(wr_proxy *proxy, size_t size)
{
    if (proxy->refused++ % 1000 == 0) {
        wr_log(proxy->node->name, WEIR_LOG_WARN,
               "a message of %zu bytes is over the remote module's limit of %llu bytes and was "
               "dropped (%llu so far); see \"message.limit\"",
               size, (unsigned long long)proxy->peer_limit, (unsigned long long)proxy->refused);
    }
}

/* Takes the reference. */
static void refuse(wr_proxy *proxy, weir_message *msg)
{
    note_too_large(proxy, image_size(msg));
    weir_message_unref(msg);
    wr_node_refuse(proxy->node, 1);
}

/* Must the next message wait for an acknowledgement? Under tx_lock. */
static bool is_held(const wr_proxy *proxy)
{
    return wr_window_full(&proxy->window) || proxy->window.next >= proxy->send_end;
}

/* Give the channel what waits in the window. Under tx_lock. */
static void pump(wr_proxy *proxy)
{
    weir_message *msg;
    while (!proxy->tx_waits && !is_held(proxy) && (msg = wr_window_peek(&proxy->window)) != NULL) {
        if (image_size(msg) > proxy->peer_limit) { /* its predecessor would have taken it */
            note_too_large(proxy, image_size(msg));
            wr_origins_drop(&proxy->origins, proxy->window.next);
            wr_window_drop(&proxy->window);
            continue;
        }
        weir_err err = wr_channel_send(proxy->channel, msg);
        if (err == WEIR_OK) {
            wr_window_pass(&proxy->window);
        } else if (err == WEIR_ERR_WOULD_BLOCK) {
            wait_for_socket(proxy);
        } else {
            return; /* the flush that follows says it again */
        }
    }
}

/* Take messages, over the peer's limit or not, until the window or the socket is full. Under
 * tx_lock.
 */
static size_t take(wr_proxy *proxy, weir_message **msgs, size_t count)
{
    size_t taken = 0;
    weir_err err = WEIR_OK;
    while (taken < count && err == WEIR_OK) {
        size_t sent = wr_window_send(&proxy->window, proxy->channel, msgs + taken, count - taken,
                                     proxy->peer_limit, &err);
        taken += sent;
        if (taken == count || err != WEIR_OK || wr_window_full(&proxy->window)) {
            break;
        }
        refuse(proxy, msgs[taken++]);
    }
    wr_origins_add(&proxy->origins, wr_node_consuming(proxy->node), proxy->window.end,
                   proxy->window.acknowledged);
    return taken;
}

/* May it be given what comes from the mailboxes? Under tx_lock. */
static bool takes_more(const wr_proxy *proxy)
{
    return wr_window_waiting(&proxy->window) == 0 && proxy->send_end == UINT64_MAX;
}

static size_t consume(void *self, weir_message **msgs, size_t count)
{
    wr_proxy *proxy = self;
    size_t taken = 0;
    wr_mutex_lock(&proxy->tx_lock);
    if (proxy->channel != NULL && !proxy->tx_waits && takes_more(proxy)) {
        taken = take(proxy, msgs, count);
    }
    if (taken < count) {
        /* Until the socket can be written, an acknowledgement comes, or the next connection. */
        wr_node_pause(proxy->node);
        proxy->ack_waits = is_held(proxy) || proxy->send_end != UINT64_MAX;
        if (proxy->channel != NULL && !proxy->tx_waits && !proxy->ack_waits) {
            wait_for_socket(proxy);
        }
    }
    wr_mutex_unlock(&proxy->tx_lock);
    return taken;
}

/* Under tx_lock. */
static void flush(wr_proxy *proxy)
{
    note_result(proxy, wr_channel_flush(proxy->channel));
}

/* Have the loop look at what is gathered. Under tx_lock. */
static void set_alarm(wr_proxy *proxy, uint64_t delay_ns)
{
    proxy->alarm_set = true;
    wr_alarm_set(proxy->alarm, delay_ns);
}

/*
 * A publisher in a hurry makes one run for many messages, and one system call for many runs. What
 * comes first after a while is written at once. What comes soon after that waits for more: in the
 * mailbox until it is a batch, then in the channel until it is much, or the while is over. Should
 * nothing come any more, the alarm rings, and the loop writes.
 */
static bool gather(void *self)
{
    wr_proxy *proxy = self;
    wr_mutex_lock(&proxy->tx_lock);
    bool wait = wr_clock_ns() - proxy->flushed_ns < GATHER_NS;
    if (wait && !proxy->alarm_set) {
        set_alarm(proxy, ALARM_NS);
    }
    wr_mutex_unlock(&proxy->tx_lock);
    return wait;
}

static void drained(void *self, size_t count)
{
    (void)count;
    wr_proxy *proxy = self;
    wr_mutex_lock(&proxy->tx_lock);
    if (proxy->channel != NULL && !proxy->tx_waits) {
        uint64_t now = wr_clock_ns();
        if (now - proxy->flushed_ns >= GATHER_NS) {
            proxy->flushed_ns = now;
            flush(proxy);
        } else if (!proxy->alarm_set) {
            set_alarm(proxy, ALARM_NS);
        }
    }
    wr_mutex_unlock(&proxy->tx_lock);
}

void wr_proxy_on_alarm(void *arg, unsigned ready)
{
    (void)ready;
    wr_proxy *proxy = arg;
    wr_alarm_take(proxy->alarm);
    wr_mutex_lock(&proxy->tx_lock);
    proxy->alarm_set = false;
    bool busy = wr_clock_ns() - proxy->flushed_ns < GATHER_NS;
    if (busy) {
        set_alarm(proxy, ALARM_BUSY_NS); /* publishers write themselves */
    } else if (proxy->channel != NULL && !proxy->tx_waits) {
        flush(proxy);
    }
    wr_mutex_unlock(&proxy->tx_lock);
    if (!busy) {
        wr_node_run_gathered(proxy->node);
    }
}

void wr_proxy_rewind(wr_proxy *proxy, bool acknowledged)
{
    wr_mutex_lock(&proxy->tx_lock);
    proxy->window.keep_last = proxy->options.crash == NULL ? 0 : WR_CRASH_MESSAGES_KEPT;
    wr_window_rewind(&proxy->window, acknowledged);
    wr_proxy_hold_back(proxy, acknowledged);
    proxy->ack_waits = false;
    wr_mutex_unlock(&proxy->tx_lock);
}

uint64_t wr_proxy_waiting(wr_proxy *proxy)
{
    wr_mutex_lock(&proxy->tx_lock);
    uint64_t count = wr_window_waiting(&proxy->window);
    wr_mutex_unlock(&proxy->tx_lock);
    return count;
}

uint64_t wr_proxy_unacknowledged(wr_proxy *proxy)
{
    wr_mutex_lock(&proxy->tx_lock);
    uint64_t count = proxy->window.end - proxy->window.acknowledged;
    wr_mutex_unlock(&proxy->tx_lock);
    return count;
}

/* The greeting is read whatever the sinks say. */
static bool may_read(const wr_proxy *proxy)
{
    return wr_proxy_get_state(proxy) == WR_PROXY_ATTACHING || !wr_node_congested(proxy->node);
}

static void update_watch(wr_proxy *proxy)
{
    wr_mutex_lock(&proxy->tx_lock);
    unsigned events = proxy->tx_waits ? WR_POLL_WRITE : 0;
    wr_mutex_unlock(&proxy->tx_lock);
    if (may_read(proxy)) {
        events |= WR_POLL_READ;
    }
    wr_watch_set(proxy->channel_watch, events);
}

bool wr_proxy_flush(wr_proxy *proxy)
{
    weir_err err = WEIR_OK;
    if (proxy->channel == NULL) {
        return true;
    }
    wr_mutex_lock(&proxy->tx_lock);
    do { /* where the socket was full for the one, and not for the other */
        proxy->tx_waits = false;
        pump(proxy);
        err = wr_channel_flush(proxy->channel);
    } while (err == WEIR_OK && wr_window_waiting(&proxy->window) > 0 && !is_held(proxy));
    note_result(proxy, err);
    wr_mutex_unlock(&proxy->tx_lock);
    update_watch(proxy);
    return err != WEIR_ERR_WOULD_BLOCK;
}

weir_err wr_proxy_acknowledge(wr_proxy *proxy, uint64_t count)
{
    wr_mutex_lock(&proxy->tx_lock);
    weir_err err = wr_window_acknowledge(&proxy->window, count);
    wr_proxy_on_progress(proxy);
    bool stuck = proxy->ack_waits || wr_window_waiting(&proxy->window) > 0;
    if (stuck) {
        wr_window_release(&proxy->window); /* else by those who put more, see there */
    }
    bool go_on = stuck && !is_held(proxy);
    proxy->ack_waits = proxy->ack_waits && !go_on;
    wr_mutex_unlock(&proxy->tx_lock);
    /* Whoever empties the channel lets the node go on, whatever it was paused for: after this
     * nobody watches the socket any more. */
    if (go_on && wr_proxy_flush(proxy)) {
        wr_node_ready(proxy->node);
    }
    return err;
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
    if (proxy->received - proxy->told >= WR_WINDOW_MESSAGES / 4 ||
        proxy->untold_bytes >= WR_WINDOW_BYTES / 4) {
        wr_proxy_tell(proxy);
    }
    return err;
}

void wr_proxy_read_rest(wr_proxy *proxy)
{
    weir_err err = WEIR_OK;
    uint64_t end_ns = wr_clock_ns() + WR_REST_MAX_NS;
    while (proxy->channel != NULL && err == WEIR_OK && wr_clock_ns() < end_ns) {
        err = read_batch(proxy, NULL);
    }
}

static void on_greeted(wr_proxy *proxy)
{
    wr_timer_clear(proxy->timer);
    proxy->trouble_logged = false;
    wr_proxy_pass(proxy, WR_PROXY_EVENT_ATTACHED);
    proxy->running_since_ns = wr_clock_ns();
    wr_proxy_begin_heartbeat(proxy);
    wr_proxy_log(proxy, WEIR_LOG_INFO, "attached the remote module at '%s'",
                 proxy->options.control_path);
    wr_node_set_absent(proxy->node, false);
    wr_proxy_send_start(proxy); /* first: old peers see it before the messages, mostly */
    wr_proxy_begin_carefully(proxy);
    if (wr_proxy_flush(proxy)) {
        wr_node_ready(proxy->node);
    }
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
    if (err == WEIR_ERR_WOULD_BLOCK) {
        wr_proxy_tell_soon(proxy);
        return;
    }
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        /* What comes behind it must not be taken for it, and acknowledged. */
        wr_proxy_close_channel(proxy);
    }
    if (err != WEIR_OK) {
        wr_proxy_lose(proxy, err == WEIR_ERR_CLOSED ? it_closed : wr_error_text(&error));
        return;
    }
    if (may_read(proxy)) {
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
        update_watch(proxy);
    }
}

void wr_proxy_on_write_task(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, write_task);
    if (proxy->channel == NULL) {
        return;
    }
    wr_mutex_lock(&proxy->tx_lock);
    weir_err failed = proxy->tx_failed;
    wr_mutex_unlock(&proxy->tx_lock);
    if (failed != WEIR_OK) {
        wr_proxy_lose(proxy, failed == WEIR_ERR_CLOSED ? it_closed : weir_err_text(failed));
    } else {
        update_watch(proxy);
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

const wr_consumer wr_proxy_consumer = {
    .consume = consume,
    .drained = drained,
    .uncongested = uncongested,
    .release = release,
    .may_pause = true,
    .takes = true,
    .gather = gather,
};

weir_err wr_proxy_open_channel(wr_proxy *proxy, wr_error *error)
{
    wr_stream *stream;
    weir_err err = wr_stream_connect(proxy->message_path, &stream, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = wr_peer_check(stream, &proxy->options.allowed, error);
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
    err = wr_watch_open(proxy->loop, waitable, on_channel, proxy, &proxy->channel_watch);
    if (err != WEIR_OK) {
        wr_channel_destroy(channel);
        return wr_error_set(error, err, "%s", weir_err_text(err));
    }
    wr_mutex_lock(&proxy->tx_lock);
    proxy->channel = channel;
    proxy->tx_waits = false;
    proxy->tx_failed = WEIR_OK;
    wr_mutex_unlock(&proxy->tx_lock);
    update_watch(proxy);
    return WEIR_OK;
}

void wr_proxy_close_channel(wr_proxy *proxy)
{
    wr_mutex_lock(&proxy->tx_lock);
    wr_channel *channel = proxy->channel;
    proxy->channel = NULL;
    proxy->tx_waits = false;
    wr_node_pause(proxy->node);
    wr_mutex_unlock(&proxy->tx_lock);
    wr_node_set_absent(proxy->node, true);
    wr_watch_close(proxy->channel_watch);
    proxy->channel_watch = NULL;
    wr_channel_destroy(channel);
}
