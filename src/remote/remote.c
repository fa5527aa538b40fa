/* SPDX-License-Identifier: MIT
 *
 * A remote module's life: attach and detach, and the three ways to run it, which are three ways to
 * call one step. A step waits for the sockets, does what is ready and says what to wait for next.
 *
 * `running` is the only thing that the ways share: who holds it is the running thread.
 */
#include "weir/remote.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/random.h"
#include "platform/user.h"
#include "remote/remote_internal.h"

#define WAIT_FOREVER (-1)
/* How long accepting pauses when the system cannot give us another descriptor. */
#define ACCEPT_PAUSE_MS 100
/* While there is work, the control channel is looked at so often, between two batches. */
#define WORK_NS 200000u

static weir_err publish(weir_host *host, weir_message *msg, bool wait)
{
    weir_remote *remote = (weir_remote *)host;
    return wr_transmit_publish(&remote->transmit, msg, wait);
}

static const wr_host_ops host_ops = {.publish = publish};

/* Watching */

static weir_err watch(weir_remote *remote, wr_remote_source source, wr_waitable what,
                      unsigned events)
{
    if (remote->watched[source] == events) {
        return WEIR_OK;
    }
    weir_err err = wr_poller_set(remote->poller, what, events, &remote->watched[source]);
    if (err == WEIR_OK) {
        remote->watched[source] = events;
    }
    return err;
}

void wr_remote_unwatch(weir_remote *remote, wr_remote_source source, wr_waitable what)
{
    weir_err err = watch(remote, source, what, 0);
    assert(err == WEIR_OK); /* it was watched, and is still open */
    (void)err;
}

static weir_err watch_listeners(weir_remote *remote)
{
    unsigned events = remote->accept_paused ? 0 : WR_POLL_READ;
    weir_err err = WEIR_OK;
    if (remote->session.listener != NULL) {
        err = watch(remote, WR_SOURCE_CONTROL_LISTENER,
                    wr_listener_waitable(remote->session.listener), events);
    }
    if (err == WEIR_OK && remote->intake.listener != NULL) {
        err = watch(remote, WR_SOURCE_MESSAGE_LISTENER,
                    wr_listener_waitable(remote->intake.listener), events);
    }
    return err;
}

static weir_err watch_connections(weir_remote *remote)
{
    weir_err err = WEIR_OK;
    wr_sp_stream *control = remote->session.stream;
    if (control != NULL) {
        /* Before the peer's greeting nothing can be sent, however writable the socket is. */
        bool waits = wr_sp_greeted(control) && wr_sp_unsent(control) > 0;
        unsigned events = WR_POLL_READ | (waits ? WR_POLL_WRITE : 0);
        err = watch(remote, WR_SOURCE_CONTROL, wr_stream_waitable(wr_sp_inner(control)), events);
    }
    wr_channel *channel = remote->intake.channel;
    if (err == WEIR_OK && channel != NULL) {
        err = watch(remote, WR_SOURCE_MESSAGES, wr_channel_waitable(channel),
                    wr_intake_interest(remote));
    }
    return err;
}

static weir_err watch_all(weir_remote *remote)
{
    weir_err err = watch_listeners(remote);
    return err == WEIR_OK ? watch_connections(remote) : err;
}

/* Accepting */

static bool is_welcome(weir_remote *remote, const wr_stream *stream)
{
    wr_error error = {.code = WEIR_OK};
    if (wr_peer_check(stream, &remote->allowed, &error) == WEIR_OK) {
        return true;
    }
    wr_remote_log(remote, WEIR_LOG_WARN, "a connection is refused: %s", wr_error_text(&error));
    return false;
}

/* Out of descriptors, say: the connection stays in the listener's queue. One line per such time. */
static void pause_accepting(weir_remote *remote, weir_err err)
{
    if (!remote->accept_failed) {
        wr_remote_log(remote, WEIR_LOG_ERROR, "cannot accept a connection, trying again: %s",
                      weir_err_text(err));
    }
    remote->accept_failed = true;
    remote->accept_paused = true;
}

wr_stream *wr_remote_accept(weir_remote *remote, wr_listener *listener)
{
    if (listener == NULL) {
        return NULL;
    }
    wr_stream *stream = NULL;
    weir_err err = wr_listener_accept(listener, &stream);
    if (err == WEIR_ERR_WOULD_BLOCK) {
        return NULL;
    }
    if (err != WEIR_OK) {
        pause_accepting(remote, err);
        return NULL;
    }
    remote->accept_failed = false;
    if (!is_welcome(remote, stream)) {
        wr_stream_close(stream);
        return NULL;
    }
    return stream;
}

void wr_remote_turn_away(weir_remote *remote, wr_stream *stream, const char *channel, bool *said)
{
    wr_stream_close(stream);
    if (!*said) {
        *said = true;
        wr_remote_log(
            remote, WEIR_LOG_WARN,
            "a second connection to the %s channel is turned away, and whoever else comes "
            "before the first one ends",
            channel);
    }
}

/* Running */

static void on_messages(weir_remote *remote, unsigned ready)
{
    if ((ready & WR_POLL_READ) != 0) {
        remote->intake.pending = remote->intake.channel != NULL;
    }
    if ((ready & WR_POLL_WRITE) != 0) {
        wr_transmit_drain(&remote->transmit);
    }
}

static void on_control(weir_remote *remote, unsigned ready)
{
    if ((ready & WR_POLL_WRITE) != 0) {
        wr_session_write(remote);
    }
    if ((ready & WR_POLL_READ) != 0) {
        wr_session_read(remote);
    }
}

/* An event may be of a connection that an earlier one closed; then it finds nothing to do. */
static void on_event(weir_remote *remote, const wr_poll_event *event)
{
    switch ((wr_remote_source)((unsigned *)event->token - remote->watched)) {
    case WR_SOURCE_CONTROL_LISTENER:
        wr_session_accept(remote);
        return;
    case WR_SOURCE_CONTROL:
        on_control(remote, event->ready);
        return;
    case WR_SOURCE_MESSAGE_LISTENER:
        wr_intake_accept(remote);
        return;
    case WR_SOURCE_MESSAGES:
        on_messages(remote, event->ready);
        return;
    case WR_SOURCE_ALARM:
        wr_alarm_take(remote->alarm);
        return;
    case WR_SOURCE_COUNT:
        return;
    }
}

/* Hand on what was received; for a while without a look at the sockets, which costs a system call.
 */
static void work(weir_remote *remote)
{
    uint64_t start = wr_clock_ns();
    do {
        wr_transmit_work(&remote->transmit);
        wr_intake_work(remote);
    } while (!remote->session.ended && wr_intake_has_work(remote) &&
             wr_clock_ns() - start < WORK_NS);
}

/* CLOSED: the gateway destroyed the module. */
static weir_err step(weir_remote *remote, int timeout_ms)
{
    wr_poll_event events[WR_SOURCE_COUNT + 1]; /* and the wake */
    size_t count = wr_poller_wait(remote->poller, events, WR_SOURCE_COUNT + 1, timeout_ms);
    remote->accept_paused = false;
    for (size_t i = 0; i < count; i++) {
        on_event(remote, &events[i]);
    }
    if (remote->session.pending) {
        wr_session_read(remote);
    }
    work(remote);
    wr_ending_try(remote);
    if (remote->log_limit.left_out > 0) {
        wr_log_limit_tell(&remote->log_limit, wr_clock_ns(), remote->control_id);
    }
    weir_err err = watch_all(remote);
    bool ended = remote->session.ended;
    remote->session.ended = false;
    if (err != WEIR_OK) {
        return err;
    }
    return ended ? WEIR_ERR_CLOSED : WEIR_OK;
}

static int sooner(int wait_ms, int other_ms)
{
    return wait_ms == WAIT_FOREVER || other_ms < wait_ms ? other_ms : wait_ms;
}

static int time_to_end(const weir_remote *remote)
{
    uint64_t now = wr_clock_ns();
    uint64_t until = remote->session.ending_until_ns;
    return now >= until ? 0 : (int)((until - now) / WR_NS_PER_MS) + 1;
}

static int time_to_wait(weir_remote *remote)
{
    if (wr_intake_has_work(remote) || remote->session.pending) {
        return 0;
    }
    int wait_ms = remote->accept_paused ? ACCEPT_PAUSE_MS : WAIT_FOREVER;
    if (wr_session_owes(remote)) {
        wait_ms = sooner(wait_ms, WR_TELL_DELAY_MS);
    }
    if (remote->session.ending) {
        wait_ms = sooner(wait_ms, time_to_end(remote));
    }
    if (remote->log_limit.left_out > 0) {
        wait_ms = sooner(wait_ms, WR_LOG_LIMIT_TELL_MS);
    }
    int rest_ms = wr_transmit_rest(&remote->transmit);
    return rest_ms < 0 ? wait_ms : sooner(wait_ms, rest_ms);
}

static bool take_running(weir_remote *remote)
{
    return !atomic_exchange_explicit(&remote->running, true, memory_order_acquire);
}

static void put_running(weir_remote *remote)
{
    atomic_store_explicit(&remote->running, false, memory_order_release);
}

weir_err weir_remote_run(weir_remote *remote)
{
    if (!take_running(remote)) {
        return WEIR_ERR_STATE;
    }
    weir_err err = WEIR_OK;
    while (err == WEIR_OK) {
        if (atomic_exchange(&remote->interrupted, false)) {
            err = WEIR_ERR_INTERRUPTED;
        } else {
            err = step(remote, time_to_wait(remote));
        }
    }
    put_running(remote);
    return err == WEIR_ERR_CLOSED ? WEIR_OK : err;
}

void weir_remote_interrupt(weir_remote *remote)
{
    atomic_store(&remote->interrupted, true);
    wr_poller_wake(remote->poller);
}

static void thread_main(void *arg)
{
    weir_remote *remote = arg;
    weir_err err = WEIR_OK;
    while ((err == WEIR_OK || err == WEIR_ERR_CLOSED) && !atomic_load(&remote->stopping)) {
        err = step(remote, time_to_wait(remote));
    }
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        wr_log(remote->control_id, WEIR_LOG_ERROR, "the remote's thread ends: %s",
               weir_err_text(err));
    }
}

weir_err weir_remote_start(weir_remote *remote)
{
    if (!take_running(remote)) {
        return WEIR_ERR_STATE;
    }
    weir_err err = wr_thread_start(&remote->thread, "weir-remote", thread_main, remote);
    if (err != WEIR_OK) {
        put_running(remote);
    }
    return err;
}

void weir_remote_stop(weir_remote *remote)
{
    if (!remote->thread.started) {
        return;
    }
    atomic_store(&remote->stopping, true);
    wr_poller_wake(remote->poller);
    wr_thread_join(&remote->thread);
    atomic_store(&remote->stopping, false);
    remote->thread = (wr_thread){.started = false};
    put_running(remote);
}

int weir_remote_fd(const weir_remote *remote)
{
    return (int)wr_poller_waitable(remote->poller);
}

/* With the first poll, not when it is needed: then there may be no descriptor for it. */
static void open_alarm(weir_remote *remote)
{
    if (remote->alarm != NULL || wr_alarm_open(&remote->alarm) != WEIR_OK) {
        return;
    }
    if (watch(remote, WR_SOURCE_ALARM, wr_alarm_waitable(remote->alarm), WR_POLL_READ) != WEIR_OK) {
        wr_alarm_close(remote->alarm);
        remote->alarm = NULL;
    }
}

/* The program's loop waits for our descriptor alone: make that readable when there is something to
 * do, without an alarm at once. One that rings early is harmless. */
static void come_back(weir_remote *remote)
{
    int wait_ms = time_to_wait(remote);
    if (wait_ms == WAIT_FOREVER) {
        return;
    }
    if (wait_ms == 0 || remote->alarm == NULL) {
        wr_poller_wake(remote->poller);
    } else {
        wr_alarm_set(remote->alarm, (unsigned)wait_ms * WR_NS_PER_MS);
    }
}

weir_err weir_remote_poll(weir_remote *remote)
{
    if (!take_running(remote)) {
        return WEIR_ERR_STATE;
    }
    open_alarm(remote);
    remote->polled = true;
    weir_err err = step(remote, 0);
    remote->polled = false;
    come_back(remote);
    put_running(remote);
    return err;
}

/* Life cycle */

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static weir_err init(weir_remote *remote, const weir_module_api *api, const char *control_id,
                     wr_error *error)
{
    remote->api = api;
    remote->control_id = copy_of(control_id);
    if (remote->control_id == NULL) {
        return WEIR_ERR_MEMORY;
    }
    weir_err err = wr_poller_create(&remote->poller);
    if (err != WEIR_OK) {
        return err;
    }
    remote->host = (weir_host){.ops = &host_ops, .name = remote->control_id, .flags = api->flags};
    wr_random_fill(&remote->session.instance, sizeof(remote->session.instance));
    wr_transmit_init(&remote->transmit, remote->control_id, remote->poller);
    const char *launched_as = getenv(WEIR_ENV_CONTROL_ID);
    remote->launched = launched_as != NULL && strcmp(launched_as, control_id) == 0;
    err = wr_session_open(remote, error);
    return err == WEIR_OK ? watch_all(remote) : err;
}

weir_err weir_remote_attach(const weir_module_api *api, const char *control_id, weir_remote **out)
{
    if (api == NULL || control_id == NULL || out == NULL) {
        return WEIR_ERR_INVALID;
    }
    weir_remote *remote = calloc(1, sizeof(*remote));
    if (remote == NULL) {
        wr_log(control_id, WEIR_LOG_ERROR, "cannot attach: %s", weir_err_text(WEIR_ERR_MEMORY));
        return WEIR_ERR_MEMORY;
    }
    wr_error error = {.code = WEIR_OK};
    weir_err err = wr_module_api_check(api, &error);
    if (err == WEIR_OK) {
        err = init(remote, api, control_id, &error);
    }
    if (err != WEIR_OK) {
        error.code = err;
        wr_log(control_id, WEIR_LOG_ERROR, "cannot attach: %s", wr_error_text(&error));
        weir_remote_detach(remote);
        return err;
    }
    *out = remote;
    return WEIR_OK;
}

/* Destroy the module and write what it published, as far as the gateway takes it in time. */
static void leave(weir_remote *remote)
{
    wr_session_leave(remote);
    wr_ending_try(remote);
    weir_err err = WEIR_OK;
    while (remote->session.ending && err == WEIR_OK) {
        err = step(remote, time_to_wait(remote));
    }
}

void weir_remote_detach(weir_remote *remote)
{
    if (remote == NULL) {
        return;
    }
    weir_remote_stop(remote);
    if (remote->poller != NULL) {
        leave(remote);
        wr_session_close(remote);
        wr_log_limit_end(&remote->log_limit, remote->control_id);
        wr_transmit_deinit(&remote->transmit);
        wr_alarm_close(remote->alarm);
        wr_poller_destroy(remote->poller);
    }
    free(remote->control_id);
    free(remote);
}

static weir_err allow(weir_remote *remote, const char *name, wr_error *error)
{
    wr_user user;
    weir_err err = wr_user_find(name, &user, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = wr_users_add(&remote->allowed, user.id);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "at most %u users can be allowed", WR_USERS_MAX);
    }
    return wr_listener_share(remote->session.listener, error);
}

weir_err weir_remote_allow_user(weir_remote *remote, const char *user)
{
    if (user == NULL) {
        return WEIR_ERR_INVALID;
    }
    if (!take_running(remote)) {
        return WEIR_ERR_STATE;
    }
    wr_error error = {.code = WEIR_OK};
    weir_err err = allow(remote, user, &error);
    put_running(remote);
    if (err != WEIR_OK) {
        wr_log(remote->control_id, WEIR_LOG_ERROR, "cannot allow the user '%s': %s", user,
               wr_error_text(&error));
    }
    return err;
}

bool weir_remote_launched(const weir_remote *remote)
{
    return remote->launched;
}
