/* SPDX-License-Identifier: MIT
 *
 * The publishing queue of a remote module, see transmit.h.
 *
 * No lock is held while a line is logged: the log's sink is the program's code.
 */
#include "remote/transmit.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/text.h"
#include "message/message.h"
#include "module/host.h"
#include "platform/clock.h"

/* Of the messages refused for their size, the first is logged and then one in this many. */
#define TOO_LARGE_LOG_EVERY 1000u

/* The queue whose module the present thread is calling, the innermost; NULL: none. */
static WR_THREAD_LOCAL_SMALL const wr_transmit *inside;

/* Is the present thread in a callback of this queue's module? One that polls another remote of its
 * program is in both. */
static bool is_inside(const wr_transmit *tx)
{
    const wr_transmit *at = inside;
    while (at != NULL && at != tx) {
        at = at->outer;
    }
    return at != NULL;
}

void wr_transmit_init(wr_transmit *tx, const char *name, wr_poller *poller)
{
    *tx = (wr_transmit){.name = name, .poller = poller, .limit = WR_MESSAGE_LIMIT_OLD_PEER};
    wr_mutex_init(&tx->mutex);
    wr_cond_init(&tx->room);
}

static bool is_full(const wr_transmit *tx)
{
    return wr_window_waiting(&tx->window) >= WR_TRANSMIT_MESSAGES_MAX ||
           tx->window.bytes_waiting >= WR_TRANSMIT_BYTES_MAX;
}

static uint64_t image_size(const weir_message *msg)
{
    size_t size = 0;
    (void)weir_message_image(msg, &size);
    return size;
}

void wr_transmit_deinit(wr_transmit *tx)
{
    wr_window_deinit(&tx->window);
    wr_cond_deinit(&tx->room);
    wr_mutex_deinit(&tx->mutex);
}

void wr_transmit_open(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    tx->closing = false;
    wr_mutex_unlock(&tx->mutex);
}

void wr_transmit_close(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    tx->closing = true;
    wr_cond_broadcast(&tx->room);
    wr_mutex_unlock(&tx->mutex);
}

void wr_transmit_disconnect(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    tx->channel = NULL;
    tx->blocked = false;
    tx->refused = false;
    wr_mutex_unlock(&tx->mutex);
}

/* Keep in mind what a send or a flush said. The receiving half notices a dead connection by itself,
 * after it has read what the peer sent before it went. */
static void note_result(wr_transmit *tx, weir_err err)
{
    if (err == WEIR_OK || err == WEIR_ERR_MEMORY) {
        return;
    }
    if (err == WEIR_ERR_WOULD_BLOCK) {
        tx->blocked = true;
    } else {
        tx->channel = NULL;
        tx->refused = err == WEIR_ERR_UNSUPPORTED;
    }
}

static void flush(wr_transmit *tx)
{
    if (tx->channel != NULL && !tx->blocked) {
        note_result(tx, wr_channel_flush(tx->channel));
    }
}

static void note_too_large(const wr_transmit *tx, uint64_t size, uint64_t limit, uint64_t nth)
{
    if (nth == 1 || nth % TOO_LARGE_LOG_EVERY == 0) {
        wr_log(tx->name, WEIR_LOG_WARN,
               "a message of %" PRIu64 " bytes is over the gateway's limit of %" PRIu64
               " bytes and is not sent (%" PRIu64 " so far)",
               size, limit, nth);
    }
}

/* For one who has something to send. */
static bool may_send(wr_transmit *tx)
{
    return tx->channel != NULL && !tx->blocked && !wr_window_blocked(&tx->window, tx->channel);
}

/* Give the queue to the channel until that takes no more, and let in who waits for room. */
static void send_queued(wr_transmit *tx)
{
    while (wr_window_waiting(&tx->window) > 0 && may_send(tx)) {
        weir_err err = wr_window_send_next(&tx->window, tx->channel);
        /* Without memory the rest waits for the next time that the socket can be written. */
        note_result(tx, err == WEIR_ERR_MEMORY ? WEIR_ERR_WOULD_BLOCK : err);
    }
    if (!is_full(tx)) {
        wr_cond_broadcast(&tx->room);
    }
}

void wr_transmit_drain(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    tx->blocked = false;
    tx->flush_asked = false;
    send_queued(tx);
    flush(tx);
    wr_mutex_unlock(&tx->mutex);
}

void wr_transmit_work(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    if (tx->flush_asked) {
        tx->flush_asked = false;
        flush(tx);
    }
    wr_mutex_unlock(&tx->mutex);
}

void wr_transmit_get_position(wr_transmit *tx, wr_position *position)
{
    wr_mutex_lock(&tx->mutex);
    position->first = tx->window.acknowledged;
    position->sent = tx->window.sent;
    wr_mutex_unlock(&tx->mutex);
}

/* A lull may begin. */
static void begin_lull(wr_transmit *tx)
{
    if (wr_lull_begin(&tx->lull, tx->window.sent, tx->window.acknowledged)) {
        tx->lull_end_ns = wr_clock_ns() + WR_LULL_MS * WR_NS_PER_MS;
    }
}

static void end_lull(wr_transmit *tx)
{
    uint64_t sent = tx->window.sent;
    if (wr_lull_end(&tx->lull, sent) && wr_window_shrink(&tx->window, tx->channel)) {
        wr_lull_note_small(&tx->lull, sent);
    }
    begin_lull(tx);
}

int wr_transmit_rest(wr_transmit *tx)
{
    int wait_ms = -1;
    wr_mutex_lock(&tx->mutex);
    uint64_t now = tx->lull.runs ? wr_clock_ns() : 0;
    if (tx->lull.runs && now >= tx->lull_end_ns) {
        end_lull(tx);
    }
    if (tx->lull.runs) {
        wait_ms = (int)((tx->lull_end_ns - now) / WR_NS_PER_MS) + 1;
    }
    wr_mutex_unlock(&tx->mutex);
    return wait_ms;
}

weir_err wr_transmit_acknowledge(wr_transmit *tx, uint64_t count)
{
    wr_mutex_lock(&tx->mutex);
    weir_err err = wr_window_acknowledge(&tx->window, count);
    wr_window_release(&tx->window);
    send_queued(tx); /* the window may have been full */
    if (!is_inside(tx)) {
        flush(tx);
    }
    begin_lull(tx);
    wr_mutex_unlock(&tx->mutex);
    return err;
}

weir_err wr_transmit_skip(wr_transmit *tx, uint64_t count)
{
    wr_mutex_lock(&tx->mutex);
    weir_err err = wr_window_skip(&tx->window, count);
    wr_mutex_unlock(&tx->mutex);
    return err;
}

void wr_transmit_mark(wr_transmit *tx, wr_progress processed)
{
    wr_mutex_lock(&tx->mutex);
    wr_marks_add(&tx->marks, processed, tx->window.end);
    wr_mutex_unlock(&tx->mutex);
}

static void log_dropped(const wr_transmit *tx, uint64_t dropped)
{
    if (dropped > 0) {
        wr_log(tx->name, WEIR_LOG_WARN,
               "%" PRIu64 " queued %s over this gateway's limit and dropped", dropped,
               wr_text_plural(dropped, "message is", "messages are"));
    }
}

void wr_transmit_rewind(wr_transmit *tx, bool acknowledged)
{
    wr_mutex_lock(&tx->mutex);
    wr_window_rewind(&tx->window, acknowledged);
    wr_mutex_unlock(&tx->mutex);
}

wr_progress wr_transmit_agree(wr_transmit *tx, uint64_t limit, bool acknowledged,
                              wr_progress processed, uint64_t first)
{
    wr_progress settled = processed;
    wr_mutex_lock(&tx->mutex);
    wr_window_rewind(&tx->window, acknowledged);
    uint64_t dropped = wr_window_drop_over(&tx->window, limit);
    tx->limit = limit;
    tx->too_large += dropped;
    if (acknowledged && wr_window_waiting(&tx->window) > 0 && first < processed.count) {
        settled.count = first;
        wr_marks_reset(&tx->marks, settled);
        wr_marks_add(&tx->marks, processed, tx->window.end);
    } else {
        wr_marks_reset(&tx->marks, settled);
    }
    wr_mutex_unlock(&tx->mutex);
    log_dropped(tx, dropped);
    return settled;
}

void wr_transmit_connect(wr_transmit *tx, wr_channel *channel)
{
    wr_mutex_lock(&tx->mutex);
    tx->channel = channel;
    tx->window.shared = wr_channel_shares(channel);
    wr_marks_restart(&tx->marks);
    wr_mutex_unlock(&tx->mutex);
    wr_transmit_drain(tx);
}

void wr_transmit_enter(wr_transmit *tx)
{
    tx->outer = inside;
    inside = tx;
}

void wr_transmit_leave(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    flush(tx);
    wr_mutex_unlock(&tx->mutex);
    inside = tx->outer;
}

bool wr_transmit_holds(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    bool holds = tx->channel != NULL && !tx->blocked && wr_channel_unsent(tx->channel) > 0;
    wr_mutex_unlock(&tx->mutex);
    return holds;
}

/* Without a channel nothing moves. */
static void settle(wr_transmit *tx)
{
    if (tx->channel == NULL || tx->marks.count == 0) {
        return;
    }
    uint64_t written = wr_channel_written(tx->channel);
    wr_sent sent = {.next = tx->window.next,
                    .queued = written + wr_channel_unsent(tx->channel),
                    .written = written};
    wr_marks_settle(&tx->marks, &sent);
}

wr_transmit_state wr_transmit_get_state(wr_transmit *tx)
{
    wr_mutex_lock(&tx->mutex);
    settle(tx);
    wr_transmit_state state = {
        .blocked = tx->blocked,
        .full = is_full(tx),
        .lost = tx->channel == NULL,
        .refused = tx->refused,
        .settled = tx->marks.settled,
        .written = !tx->blocked && !tx->flush_asked && wr_window_waiting(&tx->window) == 0,
        .waiting = wr_window_waiting(&tx->window),
    };
    wr_mutex_unlock(&tx->mutex);
    return state;
}

static weir_err wait_for_room(wr_transmit *tx, bool wait)
{
    if (is_inside(tx)) {
        bool over = wr_window_waiting(&tx->window) >= WR_TRANSMIT_MESSAGES_MAX + WR_OVERFLOW_MAX;
        return over ? WEIR_ERR_FULL : WEIR_OK;
    }
    while (is_full(tx)) {
        if (tx->closing) {
            return WEIR_ERR_CLOSED;
        }
        if (!wait) {
            return WEIR_ERR_FULL;
        }
        wr_cond_wait(&tx->room, &tx->mutex);
    }
    return WEIR_OK;
}

/* Write what a thread outside the module's callbacks published, or have it written. */
static void flush_soon(wr_transmit *tx)
{
    if (tx->flush_asked) {
        return;
    }
    uint64_t now = wr_clock_ns();
    if (now - tx->flushed_ns >= WR_TRANSMIT_GATHER_NS) {
        tx->flushed_ns = now;
        flush(tx);
        if (tx->channel != NULL && !tx->blocked) {
            return;
        }
    }
    tx->flush_asked = true;
    wr_poller_wake(tx->poller);
}

/* WOULD_BLOCK: it has to wait. */
static weir_err send_at_once(wr_transmit *tx, weir_message *msg)
{
    if (wr_window_waiting(&tx->window) > 0) {
        send_queued(tx); /* where memory is shared, nobody tells that the peer is further */
    }
    if (wr_window_waiting(&tx->window) > 0 || !may_send(tx)) {
        return WEIR_ERR_WOULD_BLOCK;
    }
    weir_err err = wr_window_give(&tx->window, tx->channel, msg);
    note_result(tx, err == WEIR_ERR_MEMORY ? WEIR_ERR_WOULD_BLOCK : err);
    return err;
}

static weir_err send_or_queue(wr_transmit *tx, weir_message *msg)
{
    weir_err err = send_at_once(tx, msg);
    if (err != WEIR_OK) {
        err = wr_window_put(&tx->window, msg);
    }
    if (err != WEIR_OK) {
        return err;
    }
    if (!is_inside(tx)) {
        flush_soon(tx);
    }
    return WEIR_OK;
}

weir_err wr_transmit_publish(wr_transmit *tx, weir_message *msg, bool wait)
{
    uint64_t size = image_size(msg);
    wr_mutex_lock(&tx->mutex);
    uint64_t limit = tx->limit;
    if (size > limit) {
        uint64_t nth = ++tx->too_large;
        wr_mutex_unlock(&tx->mutex);
        note_too_large(tx, size, limit, nth);
        return WEIR_ERR_TOO_LARGE;
    }
    weir_err err = wait_for_room(tx, wait);
    if (err == WEIR_OK) {
        err = send_or_queue(tx, msg);
    }
    if (tx->channel != NULL && wr_message_is_bulk(msg)) {
        wr_channel_set_place(tx->channel); /* for this thread's next one */
    }
    wr_mutex_unlock(&tx->mutex);
    return err;
}
