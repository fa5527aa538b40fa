/* SPDX-License-Identifier: MIT
 *
 * The message channel of a remote module: it listens, has one gateway at a time, receives batches
 * and hands them to the module. (Sending is transmit.c's.)
 *
 * Before start at most one batch is received, and held.
 */
#include <assert.h>

#include "base/log.h"
#include "message/message.h"
#include "remote/remote_internal.h"

weir_err wr_intake_open(weir_remote *remote, const char *path, wr_error *error)
{
    assert(remote->intake.listener == NULL);
    weir_err err = wr_listener_open(path, &remote->intake.listener, error);
    if (err != WEIR_OK || remote->allowed.count == 0) {
        return err;
    }
    err = wr_listener_share(remote->intake.listener, error);
    if (err != WEIR_OK) {
        wr_intake_close(remote);
    }
    return err;
}

static void disconnect(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    if (intake->channel == NULL) {
        return;
    }
    wr_remote_unwatch(remote, WR_SOURCE_MESSAGES, wr_channel_waitable(intake->channel));
    wr_transmit_disconnect(&remote->transmit);
    wr_channel_destroy(intake->channel);
    intake->channel = NULL;
    intake->pending = false;
    intake->turned_away = false;
}

static void drop_batch(wr_intake *intake)
{
    for (size_t i = intake->first; i < intake->count; i++) {
        weir_message_unref(intake->batch[i]);
    }
    intake->first = 0;
    intake->count = 0;
    intake->bytes = 0;
}

void wr_intake_close(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    disconnect(remote);
    drop_batch(intake);
    if (intake->listener != NULL) {
        wr_remote_unwatch(remote, WR_SOURCE_MESSAGE_LISTENER,
                          wr_listener_waitable(intake->listener));
        wr_listener_close(intake->listener);
        intake->listener = NULL;
    }
    intake->knocks = 0;
}

static bool has_room(const wr_intake *intake)
{
    return intake->count < WR_INTAKE_BATCH_MAX && intake->bytes < WR_INTAKE_BATCH_BYTES;
}

/* A connection that failed: the present one goes, the listener waits for the next. */
static void lose(weir_remote *remote, weir_err err, const wr_error *error)
{
    if (err == WEIR_ERR_UNSUPPORTED) {
        remote->session.sharing_failed = true;
    }
    if (err == WEIR_ERR_CLOSED) {
        wr_remote_log(remote, WEIR_LOG_DEBUG, "the gateway closed the message channel");
    } else {
        wr_remote_log(remote, WEIR_LOG_WARN, "the message channel failed: %s",
                      wr_error_text(error));
    }
    disconnect(remote);
}

/* Receive until the batch is full or nothing more is there. */
static void fill_batch(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    wr_error error = {.code = WEIR_OK}; /* too large to be cleared for each message */
    while (intake->channel != NULL && intake->pending && has_room(intake)) {
        weir_message *msg = NULL;
        weir_err err = wr_channel_receive(intake->channel, &msg, &error);
        if (err == WEIR_ERR_WOULD_BLOCK) {
            intake->pending = false;
            return;
        }
        if (err != WEIR_OK) {
            error.code = err;
            lose(remote, err, &error);
            return;
        }
        uint64_t number = intake->number++;
        if (number < intake->known_end) {
            weir_message_unref(msg);
            continue;
        }
        size_t size = 0;
        (void)weir_message_image(msg, &size);
        if (number < intake->redelivered_end) {
            wr_message_mark_redelivered(msg);
        }
        intake->batch[intake->count++] = msg;
        intake->bytes += size;
    }
}

/* How many to hand over now. */
static size_t portion_of(const wr_intake *intake)
{
    size_t left = intake->count - intake->first;
    size_t most = intake->portion == 0 ? 1 : intake->portion;
    return left < most ? left : most;
}

static void adapt_portion(wr_intake *intake, uint64_t taken_ns)
{
    if (taken_ns >= WR_INTAKE_SLOW_NS) {
        intake->portion = 1;
    } else if (intake->portion < WR_INTAKE_BATCH_MAX) {
        intake->portion = intake->portion == 0 ? 2 : 2 * intake->portion;
    }
}

/* They were received by the module. Returns the bytes of their images. */
static size_t release(wr_intake *intake, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        weir_message *msg = intake->batch[intake->first++];
        (void)weir_message_image(msg, &size);
        bytes += size;
        weir_message_unref(msg);
    }
    if (intake->first == intake->count) {
        drop_batch(intake);
    }
    return bytes;
}

/* A lone message was answered: what else comes soon would be in the batch. */
static void give_way(weir_remote *remote)
{
    wr_give_way *way = &remote->intake.give_way;
    if (wr_transmit_holds(&remote->transmit) && wr_give_way_begin(way)) {
        uint64_t begun_ns = wr_clock_ns();
        wr_thread_yield();
        wr_give_way_end(way, wr_clock_ns() - begun_ns);
    }
}

static void deliver(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    if (remote->session.ending) {
        drop_batch(
            intake); /* there is no module any more; what comes is only read to see the end */
    }
    if (!remote->started || intake->count == 0) {
        return;
    }
    size_t count = portion_of(intake);
    uint64_t begun_ns = wr_clock_ns();
    wr_transmit_enter(&remote->transmit);
    wr_module_receive(remote->api, remote->self, intake->batch + intake->first, count);
    adapt_portion(intake, wr_clock_ns() - begun_ns);
    if (intake->count == 1) {
        give_way(remote);
    }
    wr_transmit_leave(&remote->transmit);
    wr_session_processed(remote, count, release(intake, count), begun_ns);
}

/* While the queue is full nothing is read, but for the greeting, without which it cannot shrink. */
static bool may_receive(const wr_intake *intake, const wr_transmit_state *transmit)
{
    return intake->channel != NULL && has_room(intake) &&
           (!transmit->full || !wr_channel_greeted(intake->channel));
}

void wr_intake_work(weir_remote *remote)
{
    wr_transmit_state transmit = wr_transmit_get_state(&remote->transmit);
    if (transmit.refused) {
        wr_error error = {.code = WEIR_OK};
        lose(remote,
             wr_error_set(&error, WEIR_ERR_UNSUPPORTED,
                          "the system does not send shared memory to the gateway; the next "
                          "connection does without"),
             &error);
    } else if (transmit.full && transmit.lost && remote->intake.channel != NULL) {
        wr_intake_drain(remote); /* nobody will send that again */
        disconnect(remote);      /* it would neither be read nor written again */
    }
    if (may_receive(&remote->intake, &transmit)) {
        fill_batch(remote);
    }
    if (!transmit.full) {
        deliver(remote);
    }
    wr_session_tell_in_time(remote);
}

/* Somebody wants this process to do something else, or to end. */
static bool is_called_away(const weir_remote *remote)
{
    return atomic_load(&remote->interrupted) || atomic_load(&remote->stopping);
}

/* A full queue does not stop it: that would not empty meanwhile, and what comes is not without end.
 */
void wr_intake_drain(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    const uint64_t end = remote->session.processed.count + WR_INTAKE_DRAIN_MESSAGES;
    intake->pending = intake->channel != NULL;
    while (remote->started && (intake->pending || intake->count > 0)) {
        if (is_called_away(remote)) {
            wr_remote_log(remote, WEIR_LOG_WARN,
                          "interrupted before the module had all that the gateway sent");
            return;
        }
        if (remote->session.processed.count >= end) {
            wr_remote_log(remote, WEIR_LOG_WARN,
                          "what the gateway sends behind %u messages is not waited for",
                          WR_INTAKE_DRAIN_MESSAGES);
            return;
        }
        fill_batch(remote);
        deliver(remote);
        wr_session_tell_in_time(remote);
    }
}

bool wr_intake_has_work(weir_remote *remote)
{
    const wr_intake *intake = &remote->intake;
    wr_transmit_state transmit = wr_transmit_get_state(&remote->transmit);
    bool can_receive = intake->pending && may_receive(intake, &transmit);
    bool can_deliver = remote->started && intake->count > 0 && !transmit.full;
    return can_receive || can_deliver;
}

unsigned wr_intake_interest(weir_remote *remote)
{
    const wr_intake *intake = &remote->intake;
    wr_transmit_state transmit = wr_transmit_get_state(&remote->transmit);
    unsigned interest = may_receive(intake, &transmit) ? WR_POLL_READ : 0;
    /* Before the peer's greeting nothing can be sent, however writable the socket is. */
    if (transmit.blocked && wr_channel_greeted(intake->channel)) {
        interest |= WR_POLL_WRITE;
    }
    return interest;
}

static bool shares_memory(const weir_remote *remote)
{
    return (remote->session.features & WR_FEATURE_SHARED_MEMORY) != 0;
}

static void connect_channel(weir_remote *remote, wr_stream *stream)
{
    wr_intake *intake = &remote->intake;
    weir_err err = wr_channel_create(stream, WR_MESSAGE_LIMIT_DEFAULT, &intake->channel);
    if (err == WEIR_OK && shares_memory(remote)) {
        err = wr_channel_share(intake->channel);
    }
    if (err != WEIR_OK) {
        wr_channel_destroy(intake->channel);
        intake->channel = NULL;
        wr_remote_log(remote, WEIR_LOG_WARN, "cannot take a message channel: %s",
                      weir_err_text(err));
        return;
    }
    wr_remote_log(remote, WEIR_LOG_DEBUG, "the gateway opened the message channel");
    intake->pending = true;
    /* An earlier channel of this session may have been somebody else's, who got what was sent. */
    wr_transmit_rewind(&remote->transmit, (remote->session.features & WR_FEATURE_ACKNOWLEDGE) != 0);
    wr_transmit_connect(&remote->transmit, intake->channel);
}

/*
 * Somebody knocks, and the present connection may have ended without our having read its end. It is
 * read up to there first, by the steps that come, for between them heartbeats are answered; who
 * knocks waits in the listener's queue. True: not yet.
 */
static bool must_wait(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    if (intake->channel == NULL) {
        return false;
    }
    if (intake->knocks == 0) {
        intake->pending = true;
        wr_transmit_drain(&remote->transmit);
    }
    bool read = intake->knocks > 0 && !wr_intake_has_work(remote);
    return !read && intake->knocks++ < WR_INTAKE_KNOCKS_MAX;
}

void wr_intake_accept(weir_remote *remote)
{
    wr_intake *intake = &remote->intake;
    if (must_wait(remote)) {
        return;
    }
    intake->knocks = 0;
    wr_stream *stream = wr_remote_accept(remote, intake->listener);
    if (stream == NULL) {
        return;
    }
    if (shares_memory(remote) && !wr_peer_is_own(stream)) {
        wr_remote_log(
            remote, WEIR_LOG_WARN,
            "a connection to the message channel is turned away: shared memory was agreed "
            "on, and it is another user's");
        wr_stream_close(stream);
        return;
    }
    if (intake->channel != NULL && !wr_channel_greeted(intake->channel)) {
        disconnect(remote); /* it has nothing to say, and a newer one may */
    }
    if (intake->channel != NULL) {
        wr_remote_turn_away(remote, stream, "message", &intake->turned_away);
        return;
    }
    connect_channel(remote, stream);
}
