/* SPDX-License-Identifier: MIT
 *
 * The proxy's inside, shared by proxy.c (begin, start, stop), connect.c (the connection), create.c
 * (from greeting to running), control.c (control messages), life.c (the launched process),
 * careful.c (messages that it dies of), starting.c and heartbeat.c (does it hang?), send.c and
 * transfer.c (messages to the remote module and from it), shrink.c (memory that they need no more)
 * and left_out.c (log lines).
 */
#ifndef WR_PROXY_PROXY_INTERNAL_H
#define WR_PROXY_PROXY_INTERNAL_H

#include <stddef.h>

#include "base/log_limit.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/lull.h"
#include "ipc/window.h"
#include "loop/stack_dump.h"
#include "loop/watch.h"
#include "message/place.h"
#include "platform/alarm.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "proxy/crash.h"
#include "proxy/origins.h"
#include "proxy/owned_lock.h"
#include "proxy/poison.h"
#include "proxy/proxy.h"

/* Tries to connect: again after 1 ms, then after twice as long each time, up to this. A change in
 * the control id's folder begins anew. */
#define WR_RETRY_MAX_MS 1000u
/* One that was in service is tried again after 1 ms, then after twice as long each time, up to
 * this, and no sooner whatever its folder tells; at once if it was in service for so long. Else a
 * peer that comes and goes as fast as it can would keep the gateway busy. */
#define WR_RETRY_SERVED_MAX_MS 64u
#define WR_RETRY_SERVED_NS (1000 * WR_NS_PER_MS)
/* Making more of its memory readable than this keeps the loop for milliseconds: after that it is
 * left alone for as long as anybody is. */
#define WR_RETRY_SECURED_BYTES (8u * 1024u * 1024u)

/* A remote module is told what has arrived after so long at the latest, sooner when it is much. */
#define WR_TELL_DELAY_MS 25u

/* A remote module that did not take its messages has this long to read destroy. */
#define WR_DESTROY_DELAY_MS 100u

/* What fails again and again is logged when its reason changes: as far as these bytes of it do. */
#define WR_REASON_SIZE 128u

struct wr_proxy {
    /* Set once. */
    wr_proxy_options options;
    wr_node *node; /* owns this */
    wr_loop *loop;
    wr_alarm *alarm; /* set under tx_lock */

    /* Any thread. */
    _Atomic int state;            /* written by the loop */
    _Atomic int64_t pid;          /* written by the loop */
    _Atomic uint64_t redelivered; /* written by the loop */
    _Atomic uint64_t restarts;    /* written by the loop */
    _Atomic uint64_t hangs;       /* written by the loop */
    /* The channel's, written under tx_lock; only to be compared with: a thread that has it keeps it
     * alive. NULL: it has none, or nobody has asked. */
    _Atomic(const wr_message_place *) place;

    /* The message channel's sending half: who holds tx_lock. Its receiving half and the pointer's
     * replacement: the loop (replacement under tx_lock). */
    wr_owned_lock tx_lock; /* by wr_proxy_lock */
    wr_channel *channel;
    uint64_t peer_limit; /* bytes, of one message image */
    uint64_t refused;    /* messages over that limit */
    wr_window window;    /* sent and not acknowledged; outlives connections. Without a channel only
                          * the loop changes it, and reads it without the lock */
    bool tx_waits;       /* the socket takes no more: the loop watches until it does */
    weir_err tx_failed;  /* why it never will: the loop ends the connection */
    bool alarm_set;      /* when it rings, the loop runs the node and writes, if it has to */
    uint64_t passed;     /* messages that did not go by the mailbox */
    wr_origins origins;  /* of the messages in the window */
    uint64_t send_end;   /* those from this number on must wait; UINT64_MAX: none, as always */
    uint64_t written;    /* where some must: those below this number are in the socket */

    /* Written under tx_lock, but the first by the loop; read by the loop without it, as what comes
     * thousands of times a second is not to disturb the lock's owner. */
    _Atomic uint64_t acknowledged; /* by the remote module; the window learns of it later */
    _Atomic uint64_t sent;         /* as the window's, or a moment older */
    _Atomic uint64_t flushed_ns;   /* when something was last written */
    atomic_bool replace;           /* restart_task: end the process that there may be */
    atomic_bool memory_waits;      /* there was none: the node is paused until the alarm rings */
    /* The window is full, and somebody waits for an acknowledgement. Whoever sets it looks at
     * `acknowledged` after that, and the loop at this after it changed that. */
    atomic_bool ack_waits;

    /* The loop only. */
    wr_sp_stream *control;
    wr_watch *alarm_watch;
    wr_watch *control_watch;
    wr_watch *channel_watch;
    uint32_t peer_window; /* messages that it keeps unacknowledged; 0: it does not say */
    wr_timer *tell_timer; /* tell what has arrived */
    bool tell_soon;       /* it runs */
    wr_timer *lull_timer; /* the window may be made small */
    wr_lull lull;
    wr_timer *timer;       /* the next try, or the end of patience */
    wr_timer *start_timer; /* it must be in service by then */
    bool starting;         /* ... and is not yet */
    uint64_t start_due_ns; /* when that timer was to ring */
    wr_folder_watch *folder_watch;
    wr_supervisor *supervisor;
    uint32_t retry_ms;
    uint32_t rest_ms;        /* after the last time in service; 0: that was long enough */
    size_t secured_bytes;    /* of the peer's memory, on its last channel */
    uint64_t rests_until_ns; /* changes in the folder mean nothing until then */
    uint64_t attach_deadline_ns;
    uint64_t create_count; /* names fresh message channels */
    unsigned unanswered;   /* creates sent on this connection and not answered, up to a limit */
    bool answered;         /* one was, by an old peer that may answer the others, too */
    char *message_path;    /* of this create */
    bool waiting_logged;   /* once until somebody greets */
    char refusal[WR_REASON_SIZE]; /* why somebody who is there cannot be connected to, as it was
                                   * logged; "" until somebody greets */
    wr_log_limit log_limit;       /* of wr_proxy_log */
    wr_timer *log_timer;          /* say what it left out */
    bool log_soon;                /* it runs */
    char trouble[WR_REASON_SIZE]; /* why an attempt to attach failed, likewise until one succeeds */
    bool start_wanted;
    bool start_sent;
    bool destroy_sent;
    wr_id session;             /* ours, from create on */
    wr_id instance;            /* of the remote that we last talked with */
    uint32_t features;         /* agreed with it: WR_FEATURE_... */
    bool sharing_failed;       /* memory did not come through once: it is not offered any more */
    uint64_t received;         /* its messages that the broker has accepted */
    uint64_t told;             /* how many of them it knows of */
    uint64_t untold_bytes;     /* bytes of those that it does not know of */
    uint64_t redelivered_end;  /* its messages below this number may have come before */
    bool end_asked;            /* the supervisor was told to end the process */
    const char *gave_up;       /* why its end is a failure, however it ends; NULL: it is not */
    uint64_t hung_ms;          /* it was found to hang after so long without a sign of life */
    wr_stack_dump *stack_dump; /* under way; the process is ended after it */
    bool restart_ordered;      /* it is launched anew when it has ended */
    uint64_t running_since_ns; /* of this process; 0: it was never in service */
    wr_restart restart;

    /* The loop only: messages that the process dies of. */
    wr_poison poison;
    bool settling;      /* running, but it is given nothing yet */
    bool quiet_over;    /* the time for that; its start may not have returned yet */
    bool setting_aside; /* a message is being written: no connection until that is over */

    /* The loop only: heartbeats. */
    wr_timer *heartbeat_timer;
    uint64_t tick_ns;     /* when it was last set */
    uint64_t heard_ns;    /* the last sign of life */
    uint64_t beat_number; /* of the last heartbeat sent */
    bool beat_asked;      /* it is not answered yet */
    bool silent;          /* found to hang */

    uint64_t stop_deadline_ns;

    /* Posted to the loop by any thread. */
    wr_task begin_task;
    wr_task start_task;
    wr_task stop_task;
    wr_task restart_task;
    wr_task write_task;   /* watch until the socket can be written */
    wr_task free_task;    /* the node is gone */
    wr_task control_task; /* go on reading control messages */
    wr_task read_task;    /* go on reading: room again, or more in the buffer */

    /* stop waits for `let_go`, join for `stopped`: under stop_lock. */
    wr_mutex stop_lock;
    wr_cond stop_done;
    bool let_go; /* stopping, and nobody is connected any more */
    bool stopped;
    bool stop_begun; /* the thread that stops and joins */
};

/* proxy.c: on the loop. */
void wr_proxy_pass(wr_proxy *proxy, wr_proxy_event event);

/* The loop: a line that the remote module's side causes, as often as it likes. */
#define wr_proxy_log(proxy, level, ...)                                                            \
    (wr_log_limited(&(proxy)->log_limit, wr_clock_ns(), (proxy)->node->name, level, __VA_ARGS__),  \
     wr_proxy_count_soon(proxy))

/* left_out.c: on the loop. */
/* If lines were left out, have the log say how many: also if no further one comes. */
void wr_proxy_count_soon(wr_proxy *proxy);
void wr_proxy_on_log_timer(void *proxy);

/* control_folder.c: on the loop. */
/* Watch the control id's folder, if it is not watched yet. `folder_watch` stays NULL where there is
 * no such folder. */
void wr_proxy_watch_folder(wr_proxy *proxy);
void wr_proxy_unwatch_folder(wr_proxy *proxy);

/* connect.c: on the loop. */
/* Nobody is connected, and who comes to the control id is welcome: where the launched process is
 * not started again, that may be one that somebody starts by hand. */
bool wr_proxy_may_connect(const wr_proxy *proxy);
void wr_proxy_try_connect(wr_proxy *proxy);
/* Set the timer for the next try, later each time. */
void wr_proxy_retry_later(wr_proxy *proxy);
void wr_proxy_on_timer(void *proxy);
/* `reason` NULL: it is logged elsewhere. */
void wr_proxy_lose(wr_proxy *proxy, const char *reason);
void wr_proxy_lose_by_goodbye(wr_proxy *proxy);
/* Close both channels; what was on its way in them is lost. */
void wr_proxy_disconnect(wr_proxy *proxy);

/* control.c: on the loop. */
/* False: it is not sent, and will not be. */
bool wr_proxy_send_control(wr_proxy *proxy, const wr_control_message *message);
/* The same, but it goes with the next that is sent: the peer sees both at the same time. */
bool wr_proxy_queue_control(wr_proxy *proxy, const wr_control_message *message);
void wr_proxy_on_control(void *proxy, unsigned ready);
void wr_proxy_on_control_task(wr_task *task);
/* Tell the remote module how many of its messages have arrived; soon. */
void wr_proxy_tell(void *proxy);
void wr_proxy_tell_soon(wr_proxy *proxy);

/* create.c: on the loop. */
/* The peer has greeted, or is asked once more after a refusal. */
void wr_proxy_begin_create(wr_proxy *proxy);
/* Its time is up: the same create again, or on, where an old peer has answered one of several. */
void wr_proxy_go_on_creating(wr_proxy *proxy);
/* Connect the message channel, now or a little later. */
void wr_proxy_attach(wr_proxy *proxy);
void wr_proxy_on_reply(wr_proxy *proxy, const wr_control_message *reply);
/* The reply says that the module was not created or not started. */
void wr_proxy_on_failed(wr_proxy *proxy, const wr_control_message *reply);
/* Somebody may have tidied up the folder of our sockets: make it again. */
void wr_proxy_keep_folder(const wr_proxy *proxy);
/* A path that we made up may still name the socket of a remote module that was killed. */
void wr_proxy_forget_message_path(wr_proxy *proxy);
/* All links exist: connect the message channel if that had to wait, or send start. */
void wr_proxy_go_on(wr_proxy *proxy);
/* Send start if all is there and it was not sent. */
void wr_proxy_send_start(wr_proxy *proxy);

/* proxy.c: on the loop, while stopping: something has ended; go on to the next step. */
void wr_proxy_continue_stop(wr_proxy *proxy);

/* life.c: on the loop, launched processes only. */
void wr_proxy_launch(wr_proxy *proxy);
void wr_proxy_launch_again(wr_proxy *proxy);
/* It has failed, nobody else has its control id, and its policy has it started again. */
bool wr_proxy_may_launch_again(const wr_proxy *proxy);
/* End the process: now, or, where it was asked to by destroy, after its grace period. */
void wr_proxy_end_process(wr_proxy *proxy, bool asked);
/* It is of no use any more: end it, and let the restart policy decide. `why` is a literal. */
void wr_proxy_give_up(wr_proxy *proxy, const char *why);
/* The same for one that hangs; its stacks are logged first. */
void wr_proxy_give_up_hung(wr_proxy *proxy, uint64_t silent_ms);
void wr_proxy_on_restart_task(wr_task *task);

/* careful.c: on the loop. */
/* The process has died, with what the window says in its hands. */
void wr_proxy_look_for_poison(wr_proxy *proxy, const wr_proxy_end *end);
/* A new connection, which acknowledges or not: is it to be given all at once? Under tx_lock. */
void wr_proxy_hold_back(wr_proxy *proxy, bool acknowledged);
/* It is running; if it is not to be given all at once, time runs. */
void wr_proxy_begin_carefully(wr_proxy *proxy);
/* That time is over. */
void wr_proxy_on_quiet_over(wr_proxy *proxy);
/* It has given a sign of life since. */
void wr_proxy_go_on_carefully(wr_proxy *proxy);
/* It has acknowledged something. True: it is given all from now on, which is to be logged without
 * the lock. Under tx_lock. */
bool wr_proxy_on_progress(wr_proxy *proxy);
/* The message of this number was dropped, and those after it have moved up. Likewise. */
bool wr_proxy_on_drop(wr_proxy *proxy, uint64_t number);
void wr_proxy_log_careful_end(const wr_proxy *proxy);
/* The connection is over: what the module has acknowledged before makes no place for others. */
void wr_proxy_hold_all(wr_proxy *proxy);
/* It is given all at once, whatever happened. */
void wr_proxy_trust(wr_proxy *proxy);

/* starting.c: on the loop. */
/* Its time runs, if it did not run already. */
void wr_proxy_begin_starting(wr_proxy *proxy);
/* If it runs: from now on. */
void wr_proxy_begin_starting_anew(wr_proxy *proxy);
void wr_proxy_end_starting(wr_proxy *proxy);
/* Its start has returned, as far as can be known. */
void wr_proxy_enter_service(wr_proxy *proxy);
/* The connection is over, or of no use. */
void wr_proxy_leave_service(wr_proxy *proxy);
void wr_proxy_on_start_timer(void *proxy);

/* heartbeat.c: on the loop. */
void wr_proxy_on_heartbeat_timer(void *proxy);
/* From its service to the end of the connection. */
void wr_proxy_begin_heartbeat(wr_proxy *proxy);
void wr_proxy_end_heartbeat(wr_proxy *proxy);
/* At once. */
void wr_proxy_ask_heartbeat(wr_proxy *proxy);
/* A control message came. */
void wr_proxy_heard(wr_proxy *proxy);
void wr_proxy_on_heartbeat_reply(wr_proxy *proxy, uint64_t number);

/* send.c. */
/* Take tx_lock; the window knows what is acknowledged. */
void wr_proxy_lock(wr_proxy *proxy);
void wr_proxy_unlock(wr_proxy *proxy);
/* The loop: the alarm rang. */
void wr_proxy_on_alarm(void *proxy, unsigned ready);
/* As wr_consumer says. */
size_t wr_proxy_consume(void *proxy, weir_message **msgs, size_t count);
void wr_proxy_drained(void *proxy, size_t count);
bool wr_proxy_gather(void *proxy);
bool wr_proxy_direct(void *proxy, uint64_t link, weir_message *msg);
/* The loop: the remote module has processed all below `count`. Errors: PROTOCOL. */
WEIR_MUST_CHECK weir_err wr_proxy_acknowledge(wr_proxy *proxy, uint64_t count);
/* The loop, before wr_proxy_rewind: it has, and expects that one next. Errors: PROTOCOL. */
WEIR_MUST_CHECK weir_err wr_proxy_skip(wr_proxy *proxy, uint64_t count);
/* The loop: begin the next connection with the oldest message that is not acknowledged. */
void wr_proxy_rewind(wr_proxy *proxy, bool acknowledged);
/* Of that, the window's part. Under tx_lock. */
void wr_proxy_rewind_window(wr_proxy *proxy, bool acknowledged);
/* Messages that were taken and not yet sent. */
uint64_t wr_proxy_waiting(wr_proxy *proxy);
/* The loop: write what is queued. False: the socket takes no more now, and is watched. */
bool wr_proxy_flush(wr_proxy *proxy);
/* The same, and let the node go on, for whatever it was paused. */
void wr_proxy_flush_and_go_on(wr_proxy *proxy);

/* shrink.c: on the loop. */
void wr_proxy_on_lull_timer(void *proxy);
/* Messages were acknowledged. If those were all, give memory back when no more come for a while. */
void wr_proxy_shrink_later(wr_proxy *proxy);

/* transfer.c. */
extern const wr_consumer wr_proxy_consumer;
/* The loop: watch the message channel for what is to be done. */
void wr_proxy_update_watch(wr_proxy *proxy);
/* The loop: connect the message channel. Errors: as wr_stream_connect. */
WEIR_MUST_CHECK weir_err wr_proxy_open_channel(wr_proxy *proxy, wr_error *error);
void wr_proxy_close_channel(wr_proxy *proxy);
/* The loop: the connection is over; take what the remote module has sent until now, which is what a
 * socket holds at the most. */
void wr_proxy_read_rest(wr_proxy *proxy);
void wr_proxy_on_write_task(wr_task *task);
void wr_proxy_on_read_task(wr_task *task);

/* The struct around a task. */
#define WR_PROXY_OF(task, member) ((wr_proxy *)(void *)((char *)(task)-offsetof(wr_proxy, member)))

#endif
