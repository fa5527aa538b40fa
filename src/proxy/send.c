/* SPDX-License-Identifier: MIT
 *
 * Messages from the broker to the remote module's socket. The node's mailboxes are the only queue:
 * what the socket does not take stays there.
 *
 * Whoever publishes a lot of small messages puts them into the window and the channel itself, one
 * by one, as long as nothing waits (wr_proxy_direct); others gather a batch in the mailbox. The
 * loop writes what waits for too long; where the socket takes no more, the node pauses until the
 * loop sees it writable.
 */
#include <assert.h>
#include <stddef.h>

#include "base/log.h"
#include "message/message.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* What comes within so long of the last write is gathered, until the alarm rings at the latest.
 * While publishers write all the time it rings seldom. */
#define GATHER_NS 50000u
#define ALARM_NS 100000u
#define ALARM_BUSY_NS 500000u
/* Of messages that do not go by the mailbox, the clock is read after so many. */
#define PASSED_PER_LOOK 64u
/* After so long it is tried again where memory had run out. */
#define MEMORY_NS (10 * WR_NS_PER_MS)

/* Tell the window what is acknowledged. Under tx_lock. */
static void catch_up(wr_proxy *proxy)
{
    weir_err err = wr_window_acknowledge(&proxy->window, atomic_load(&proxy->acknowledged));
    assert(err == WEIR_OK); /* it was checked when it came */
    (void)err;
    if (proxy->channel != NULL) {
        wr_window_look(&proxy->window, proxy->channel);
    }
}

void wr_proxy_lock(wr_proxy *proxy)
{
    wr_owned_lock_take(&proxy->tx_lock);
    catch_up(proxy);
}

void wr_proxy_unlock(wr_proxy *proxy)
{
    atomic_store_explicit(&proxy->sent, proxy->window.sent, memory_order_release);
    wr_owned_lock_give(&proxy->tx_lock);
}

/* Is it full even so? If it is, the next acknowledgement will find `ack_waits`. Under tx_lock. */
static bool wait_for_acknowledgement(wr_proxy *proxy)
{
    if (wr_window_full(&proxy->window)) {
        atomic_store(&proxy->ack_waits, true);
        catch_up(proxy);
        wr_window_release(&proxy->window);
    }
    bool full = wr_window_full(&proxy->window);
    if (!full) {
        atomic_store(&proxy->ack_waits, false);
    }
    return full;
}

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

/* A message over the peer's limit. */
typedef struct too_large {
    size_t size; /* 0: there is nothing to say */
    uint64_t limit;
    uint64_t count; /* so far */
} too_large;

/* Each thousandth is to be logged. Under tx_lock. */
static void note_too_large(wr_proxy *proxy, size_t size, too_large *note)
{
    if (proxy->refused++ % 1000 == 0) {
        *note = (too_large){size, proxy->peer_limit, proxy->refused};
    }
}

/* Without the lock: a log may be slow. */
static void log_too_large(const wr_proxy *proxy, const too_large *note)
{
    if (note->size > 0) {
        wr_log(proxy->node->name, WEIR_LOG_WARN,
               "a message of %zu bytes is over the remote module's limit of %llu bytes and was "
               "dropped (%llu so far); see \"message.limit\"",
               note->size, (unsigned long long)note->limit, (unsigned long long)note->count);
    }
}

/* Takes the reference. Under tx_lock. */
static void refuse(wr_proxy *proxy, weir_message *msg, too_large *note)
{
    note_too_large(proxy, wr_message_size(msg), note);
    weir_message_unref(msg);
    wr_node_refuse(proxy->node, 1);
}

/* Is the remote module given what was in its hands when it died, a few messages at a time, and no
 * others (careful.c)? Under tx_lock. */
static bool is_careful(const wr_proxy *proxy)
{
    return proxy->send_end != UINT64_MAX;
}

/* Must the next message wait for an acknowledgement? Under tx_lock. */
static bool is_held(const wr_proxy *proxy)
{
    return proxy->window.next >= proxy->send_end || wr_window_full(&proxy->window);
}

/* Give the channel what waits in the window and may be sent. Errors: MEMORY, TOO_LARGE (the next
 * one; its predecessor would have taken it); others the flush that follows says again. Under
 * tx_lock. */
static weir_err pump(wr_proxy *proxy)
{
    size_t size;
    while (!proxy->tx_waits && wr_window_peek(&proxy->window, &size) != NULL &&
           proxy->window.next < proxy->send_end &&
           !wr_window_blocked(&proxy->window, proxy->channel)) {
        if (size > proxy->peer_limit) {
            return WEIR_ERR_TOO_LARGE;
        }
        weir_err err = wr_window_send_next(&proxy->window, proxy->channel);
        if (err == WEIR_ERR_WOULD_BLOCK) {
            wait_for_socket(proxy);
        } else if (err != WEIR_OK) {
            return err;
        }
    }
    return WEIR_OK;
}

/* Take messages, over the peer's limit or not, until the window or the socket is full, or memory
 * runs out. Under tx_lock.
 */
static size_t take(wr_proxy *proxy, weir_message **msgs, size_t count, too_large *note,
                   weir_err *err)
{
    size_t taken = 0;
    wr_origins_note(&proxy->origins, wr_node_consuming(proxy->node), proxy->window.end,
                    proxy->window.acknowledged);
    while (taken < count && *err == WEIR_OK) {
        size_t sent = wr_window_send(&proxy->window, proxy->channel, msgs + taken, count - taken,
                                     proxy->peer_limit, err);
        taken += sent;
        if (taken == count || *err != WEIR_OK) {
            break;
        }
        if (!wr_window_full(&proxy->window)) {
            refuse(proxy, msgs[taken++], note);
        } else if (wait_for_acknowledgement(proxy)) {
            break;
        }
    }
    return taken;
}

/* Have the loop look at what is gathered. Under tx_lock. */
static void set_alarm(wr_proxy *proxy, uint64_t delay_ns)
{
    proxy->alarm_set = true;
    wr_alarm_set(proxy->alarm, delay_ns);
}

/* Try again after a while. An alarm that is set comes sooner. Under tx_lock. */
static void wait_for_memory(wr_proxy *proxy)
{
    atomic_store_explicit(&proxy->memory_waits, true, memory_order_relaxed);
    if (!proxy->alarm_set) {
        set_alarm(proxy, MEMORY_NS);
    }
}

/* Until the socket can be written, an acknowledgement comes, or the next connection; or for a
 * while: the socket may be writable all the time that there is no memory. Under tx_lock. */
static void pause_node(wr_proxy *proxy, weir_err why)
{
    wr_node_pause(proxy->node);
    if (is_careful(proxy)) {
        atomic_store(&proxy->ack_waits, true);
        return;
    }
    if (proxy->channel == NULL || proxy->tx_waits || wr_window_full(&proxy->window)) {
        return;
    }
    if (why == WEIR_ERR_MEMORY) {
        wait_for_memory(proxy);
    } else {
        wait_for_socket(proxy);
    }
}

size_t wr_proxy_consume(void *self, weir_message **msgs, size_t count)
{
    wr_proxy *proxy = self;
    size_t taken = 0;
    weir_err err = WEIR_OK;
    too_large note = {.size = 0};
    wr_proxy_lock(proxy);
    if (proxy->channel != NULL && !proxy->tx_waits && !is_careful(proxy) &&
        wr_window_waiting(&proxy->window) == 0) {
        taken = take(proxy, msgs, count, &note, &err);
    }
    if (taken < count) {
        pause_node(proxy, err);
    }
    wr_proxy_unlock(proxy);
    log_too_large(proxy, &note);
    return taken;
}

/* Under tx_lock. */
static void flush(wr_proxy *proxy)
{
    note_result(proxy, wr_channel_flush(proxy->channel));
}

/* Is the while over in which what comes is gathered? */
static bool is_over(const wr_proxy *proxy, uint64_t now)
{
    return now - atomic_load_explicit(&proxy->flushed_ns, memory_order_relaxed) >= GATHER_NS;
}

static void note_write(wr_proxy *proxy, uint64_t now)
{
    atomic_store_explicit(&proxy->flushed_ns, now, memory_order_relaxed);
}

/*
 * A publisher in a hurry makes one run for many messages, and one system call for many runs. What
 * comes first after a while is written at once. What comes soon after that waits for more: in the
 * mailbox until it is a batch, then in the channel until it is much, or the while is over. Should
 * nothing come any more, the alarm rings, and the loop writes.
 */
bool wr_proxy_gather(void *self)
{
    wr_proxy *proxy = self;
    wr_proxy_lock(proxy);
    bool wait = !is_over(proxy, wr_clock_ns());
    if (wait && !proxy->alarm_set) {
        set_alarm(proxy, ALARM_NS);
    }
    wr_proxy_unlock(proxy);
    return wait;
}

void wr_proxy_drained(void *self, size_t count)
{
    (void)count;
    wr_proxy *proxy = self;
    wr_proxy_lock(proxy);
    if (proxy->channel != NULL && !proxy->tx_waits) {
        uint64_t now = wr_clock_ns();
        if (is_over(proxy, now)) {
            note_write(proxy, now);
            flush(proxy);
        } else if (!proxy->alarm_set) {
            set_alarm(proxy, ALARM_NS);
        }
    }
    wr_proxy_unlock(proxy);
}

/* May a message of this size go into the window now? Under tx_lock. */
static bool may_pass(const wr_proxy *proxy, size_t size)
{
    return proxy->channel != NULL && !proxy->tx_waits && size <= proxy->peer_limit &&
           !is_careful(proxy) && wr_window_waiting(&proxy->window) == 0 &&
           !wr_window_full(&proxy->window);
}

/* The while is over: write what is gathered. Under tx_lock. */
static void flush_in_time(wr_proxy *proxy)
{
    uint64_t now = wr_clock_ns();
    if (is_over(proxy, now)) {
        note_write(proxy, now);
        flush(proxy);
    }
}

/*
 * A frame of this size was put into the channel: write it, or see that it is written in time. The
 * clock is asked for the first after a write, and now and then. Under tx_lock.
 */
static void see_to_passed(wr_proxy *proxy, size_t frame_size)
{
    size_t unsent = wr_channel_unsent(proxy->channel);
    if (unsent == 0) {
        note_write(proxy, wr_clock_ns()); /* it was much, and the channel wrote */
        return;
    }
    if (unsent >= WR_SP_TX_BUFFER_SIZE) {
        flush(proxy); /* the socket is full, and the loop is to know */
    } else if (unsent == frame_size || ++proxy->passed % PASSED_PER_LOOK == 0) {
        flush_in_time(proxy);
        catch_up(proxy);
    }
    if (!proxy->alarm_set && wr_channel_unsent(proxy->channel) > 0) {
        set_alarm(proxy, ALARM_NS);
    }
}

bool wr_proxy_direct(void *self, uint64_t link, weir_message *msg)
{
    wr_proxy *proxy = self;
    size_t size = wr_message_size(msg);
    if (size > WR_WINDOW_COPY_MAX) {
        return false;
    }
    bool passed = false;
    wr_owned_lock_take_often(&proxy->tx_lock);
    if (may_pass(proxy, size)) {
        wr_origins_note(&proxy->origins, link, proxy->window.end, proxy->window.acknowledged);
        passed = wr_window_give(&proxy->window, proxy->channel, msg) == WEIR_OK;
    }
    if (passed) {
        see_to_passed(proxy, WR_SP_HEADER_SIZE + size);
    }
    wr_proxy_unlock(proxy);
    return passed;
}

void wr_proxy_on_alarm(void *arg, unsigned ready)
{
    (void)ready;
    wr_proxy *proxy = arg;
    wr_alarm_take(proxy->alarm);
    bool busy = !is_over(proxy, wr_clock_ns());
    if (busy && !atomic_load_explicit(&proxy->memory_waits, memory_order_relaxed)) {
        /* Publishers write themselves. What others have gathered goes with it. */
        wr_alarm_set(proxy->alarm, ALARM_BUSY_NS);
        wr_node_run_gathered(proxy->node);
        return;
    }
    wr_proxy_lock(proxy);
    proxy->alarm_set = false;
    bool go_on = atomic_load_explicit(&proxy->memory_waits, memory_order_relaxed);
    atomic_store_explicit(&proxy->memory_waits, false, memory_order_relaxed);
    if (proxy->channel != NULL && !proxy->tx_waits) {
        flush(proxy);
    }
    wr_proxy_unlock(proxy);
    if (go_on) {
        wr_proxy_flush_and_go_on(proxy);
    }
    wr_node_run_gathered(proxy->node);
}

weir_err wr_proxy_skip(wr_proxy *proxy, uint64_t count)
{
    wr_proxy_lock(proxy);
    weir_err err = wr_window_skip(&proxy->window, count);
    wr_proxy_unlock(proxy);
    return err;
}

void wr_proxy_rewind_window(wr_proxy *proxy, bool acknowledged)
{
    wr_window_rewind(&proxy->window, acknowledged);
    atomic_store(&proxy->acknowledged, proxy->window.told);
}

void wr_proxy_rewind(wr_proxy *proxy, bool acknowledged)
{
    wr_proxy_lock(proxy);
    proxy->window.keep_last = proxy->options.crash == NULL ? 0 : WR_CRASH_MESSAGES_KEPT;
    wr_proxy_rewind_window(proxy, acknowledged);
    wr_proxy_hold_back(proxy, acknowledged);
    atomic_store(&proxy->ack_waits, false);
    wr_proxy_unlock(proxy);
}

uint64_t wr_proxy_waiting(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    uint64_t count = wr_window_waiting(&proxy->window);
    wr_proxy_unlock(proxy);
    return count;
}

uint64_t wr_proxy_unacknowledged(wr_proxy *proxy)
{
    wr_proxy_lock(proxy);
    uint64_t count = proxy->window.end - proxy->window.acknowledged;
    wr_proxy_unlock(proxy);
    return count;
}

/* Write what waits. Errors: as the channel says; TOO_LARGE: the next message, all before it is
 * written. */
static weir_err flush_waiting(wr_proxy *proxy)
{
    weir_err err = WEIR_OK;
    weir_err pumped = WEIR_OK;
    bool over = false;
    wr_proxy_lock(proxy);
    do { /* where the socket was full for the one, and not for the other */
        proxy->tx_waits = false;
        pumped = pump(proxy);
        /* Some may have been acknowledged before they were sent again. */
        over = wr_proxy_on_progress(proxy) || over;
        err = wr_channel_flush(proxy->channel);
    } while (err == WEIR_OK && pumped == WEIR_OK && wr_window_waiting(&proxy->window) > 0 &&
             !is_held(proxy));
    note_result(proxy, err);
    if (err == WEIR_OK) {
        proxy->written = proxy->window.next;
    }
    if (err == WEIR_OK && pumped == WEIR_ERR_MEMORY) {
        wait_for_memory(proxy);
    }
    if (wr_window_waiting(&proxy->window) > 0 || is_careful(proxy)) {
        atomic_store(&proxy->ack_waits, true); /* it comes by the loop, so none has been missed */
    }
    wr_proxy_unlock(proxy);
    if (over) {
        wr_proxy_log_careful_end(proxy);
    }
    return err == WEIR_OK && pumped == WEIR_ERR_TOO_LARGE ? pumped : err;
}

/* The next message, which waits, is over the limit. */
static void give_up_next(wr_proxy *proxy)
{
    too_large note = {.size = 0};
    size_t size = 0;
    wr_proxy_lock(proxy);
    uint64_t number = proxy->window.next;
    uint64_t link = wr_origins_find(&proxy->origins, number);
    (void)wr_window_peek(&proxy->window, &size);
    note_too_large(proxy, size, &note);
    wr_window_drop(&proxy->window);
    atomic_store(&proxy->acknowledged, proxy->window.told);
    wr_origins_drop(&proxy->origins, number);
    bool over = wr_proxy_on_drop(proxy, number);
    wr_proxy_unlock(proxy);
    if (link != 0) { /* else there was no memory to note it: it stays counted as delivered */
        wr_broker_count_late(proxy->options.broker, link, WR_LATE_CLOSED);
    }
    log_too_large(proxy, &note);
    if (over) {
        wr_proxy_log_careful_end(proxy);
    }
}

bool wr_proxy_flush(wr_proxy *proxy)
{
    weir_err err = WEIR_OK;
    if (proxy->channel == NULL) {
        return true;
    }
    while ((err = flush_waiting(proxy)) == WEIR_ERR_TOO_LARGE) {
        give_up_next(proxy);
    }
    wr_proxy_update_watch(proxy);
    return err != WEIR_ERR_WOULD_BLOCK;
}

void wr_proxy_flush_and_go_on(wr_proxy *proxy)
{
    if (wr_proxy_flush(proxy) && wr_proxy_get_state(proxy) == WR_PROXY_RUNNING) {
        wr_node_ready(proxy->node);
    }
}

/* With the lock: somebody waits for it, or it is about what is being sent just now. */
static weir_err acknowledge_now(wr_proxy *proxy, uint64_t count)
{
    wr_proxy_lock(proxy);
    weir_err err = wr_window_acknowledge(&proxy->window, count);
    if (err == WEIR_OK) {
        atomic_store(&proxy->acknowledged, proxy->window.told);
    }
    bool over = wr_proxy_on_progress(proxy);
    bool stuck = atomic_load(&proxy->ack_waits) || wr_window_waiting(&proxy->window) > 0;
    if (stuck) {
        wr_window_release(&proxy->window); /* else by those who put more, see there */
    }
    /* When it attaches, the peer's greeting makes it go on. */
    bool go_on = stuck && !is_held(proxy) && wr_proxy_get_state(proxy) != WR_PROXY_ATTACHING;
    if (go_on) {
        atomic_store(&proxy->ack_waits, false);
    }
    wr_proxy_unlock(proxy);
    if (over) {
        wr_proxy_log_careful_end(proxy);
    }
    /* Whoever empties the channel lets the node go on, whatever it was paused for: after this
     * nobody watches the socket any more. */
    if (go_on && wr_proxy_flush(proxy)) {
        wr_node_ready(proxy->node);
    }
    return err;
}

weir_err wr_proxy_acknowledge(wr_proxy *proxy, uint64_t count)
{
    if (count > atomic_load_explicit(&proxy->sent, memory_order_acquire)) {
        return acknowledge_now(proxy, count);
    }
    if (count > atomic_load(&proxy->acknowledged)) {
        atomic_store(&proxy->acknowledged, count);
    }
    return atomic_load(&proxy->ack_waits) ? acknowledge_now(proxy, count) : WEIR_OK;
}
