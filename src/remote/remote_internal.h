/* SPDX-License-Identifier: MIT
 *
 * The remote side's own data, and what its files offer to each other:
 *   remote.c    life cycle, the three ways to run, the loop's one step
 *   session.c   the control channel: create, start, destroy, reply
 *   agreement.c what a create and its reply agree on
 *   ending.c    the end of a module, after what it has published
 *   intake.c    the message channel's receiving half
 *   give_way.c  who waits for the core goes first (give_way.h)
 *   transmit.c  publishing (transmit.h)
 *   main.c      weir_remote_main
 */
#ifndef WR_REMOTE_INTERNAL_H
#define WR_REMOTE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/log_limit.h"
#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/peer.h"
#include "ipc/sp_stream.h"
#include "module/host.h"
#include "platform/alarm.h"
#include "platform/clock.h"
#include "platform/poller.h"
#include "platform/thread.h"
#include "remote/give_way.h"
#include "remote/transmit.h"
#include "weir/remote.h"

/* How much is handed to the module at once: enough to make the calls around it cheap, little enough
 * to see a destroy or an interrupt between two batches. */
#define WR_INTAKE_BATCH_MAX 64u
/* A module that takes longer than this for what it was handed gets one message at a time, and then
 * twice as many each time that it does not: between two calls heartbeats are answered. */
#define WR_INTAKE_SLOW_NS (10u * WR_NS_PER_MS)
#define WR_INTAKE_BATCH_BYTES (512u * 1024u)
/* When somebody else wants to connect, what was sent before is delivered first, for so many steps:
 * so a peer which never stops sending cannot put that off. */
#define WR_INTAKE_KNOCKS_MAX 1024u
/* So it is when the gateway ends the module, or another one takes it over, for so many messages:
 * more than may be unacknowledged, and more of the smallest than the socket and our buffer hold. */
#define WR_INTAKE_DRAIN_MESSAGES (2u * WR_WINDOW_MESSAGES)

/* The gateway is told what was processed after so long at the latest, sooner when it is much: a
 * part of a window, so that the gateway never waits for it. */
#define WR_TELL_DELAY_MS 25
/* What the module has published when it is destroyed is still written, for so long at the most:
 * when the gateway destroyed it, and when the program leaves by itself. */
#define WR_END_DELAY_MS 10000u
#define WR_LEAVE_DELAY_MS 1000u

/* If there is this variable in the environment, acknowledgement is not agreed: to measure what it
 * costs. */
#define WR_ENV_NO_ACKNOWLEDGE "WEIR_NO_ACKNOWLEDGE"

/* What the poller watches; each at most once. */
typedef enum wr_remote_source {
    WR_SOURCE_CONTROL_LISTENER,
    WR_SOURCE_CONTROL,
    WR_SOURCE_MESSAGE_LISTENER,
    WR_SOURCE_MESSAGES,
    WR_SOURCE_ALARM,
    WR_SOURCE_COUNT
} wr_remote_source;

/* The control channel. */
typedef struct wr_session {
    wr_listener *listener; /* from attach to detach */
    wr_sp_stream *stream;  /* NULL: no gateway is connected */
    void *large_frame;     /* memory of the last frame over WR_SP_COPY_MAX */
    void *create_image;    /* the create that made the module, on this connection; NULL: none */
    size_t create_size;
    bool pending;         /* there may be more to read */
    bool turned_away;     /* somebody was, because of this connection: that is logged once */
    bool agreed;          /* this connection's create was taken: it may be told what is processed */
    bool start_came;      /* after it */
    bool extended;        /* the present or last gateway sent an extension block */
    uint32_t features;    /* agreed with it: WR_FEATURE_... */
    uint32_t peer_window; /* messages that it keeps unacknowledged; 0: it does not say */
    bool sharing_failed;  /* memory did not come through once: it is not offered any more */
    wr_id id;             /* of its session */
    wr_id instance;       /* ours, from attach to detach */
    wr_progress processed; /* messages of this session that receive has returned from */
    wr_progress told;      /* how many of them the gateway knows of */
    uint64_t untold_ns;    /* when it was told last, or the module got the first since */
    char *args;            /* of the module that exists; NULL: none, or no memory for them */
    bool ending; /* the module is destroyed, and the last that it published is being written */
    uint64_t ending_until_ns;
    bool ended; /* the gateway destroyed the module; not yet told to the caller */
} wr_session;

/* The message channel's receiving half. */
typedef struct wr_intake {
    wr_listener *listener;                    /* NULL: there is no module */
    wr_channel *channel;                      /* NULL: no gateway is connected */
    bool pending;                             /* there may be more to receive */
    bool turned_away;                         /* somebody was, because of this channel */
    weir_message *batch[WR_INTAKE_BATCH_MAX]; /* received, not yet delivered; a reference each */
    size_t first;                             /* of these: those before it are delivered */
    size_t count;                             /* with those */
    size_t bytes;
    unsigned knocks;          /* steps for which somebody else has waited to be accepted */
    size_t portion;           /* how many are handed over at once; 0: not known yet */
    uint64_t number;          /* of the next message to receive in this session */
    uint64_t known_end;       /* those below it were processed before: they are passed over */
    uint64_t redelivered_end; /* those below it may have come before */
    wr_give_way give_way;
} wr_intake;

struct weir_remote {
    weir_host host; /* first: a module's weir_host is its remote */

    /* Constant from attach to detach. */
    const weir_module_api *api;
    char *control_id;
    wr_poller *poller; /* woken by any thread, used otherwise by the running one */
    bool launched;

    /* While nothing runs it, or the running thread. */
    wr_users allowed; /* beside this user and root */

    /* Any thread. */
    atomic_bool running; /* taken (acquire) by who runs the remote, and given back (release): it
                          * hands the running thread's fields on */
    atomic_bool interrupted;
    atomic_bool stopping; /* for the library's thread */
    wr_transmit transmit;

    /* The thread that calls start and stop. */
    wr_thread thread;

    /* The running thread. */
    wr_session session;
    wr_intake intake;
    unsigned watched[WR_SOURCE_COUNT]; /* WR_POLL_... that the poller now watches */
    bool accept_failed;                /* the last accept did */
    bool accept_paused;                /* until the next step */
    void *self;                        /* the module's */
    bool created;
    bool started;
    wr_log_limit log_limit; /* of wr_remote_log */
    bool polled;            /* by the program's own loop, which waits as long as it likes */
    wr_alarm *alarm; /* makes that loop come back in time; NULL: never polled, or no memory */
};

/* The running thread: a line that a gateway causes, as often as it likes. */
#define wr_remote_log(remote, level, ...)                                                          \
    wr_log_limited(&(remote)->log_limit, wr_clock_ns(), (remote)->control_id, level, __VA_ARGS__)

/* session.c. The running thread, like all below. Errors: as wr_listener_open. */
WEIR_MUST_CHECK weir_err wr_session_open(weir_remote *remote, wr_error *error);
/* Destroys the module, and says goodbye to a connected gateway. */
void wr_session_close(weir_remote *remote);
void wr_session_accept(weir_remote *remote);
void wr_session_read(weir_remote *remote);
void wr_session_write(weir_remote *remote);
/* Before wr_session_close: take no new gateway, destroy the module, and begin to write the rest. */
void wr_session_leave(weir_remote *remote);
/* The module is gone: neither its create nor its args are of use any more. */
void wr_session_forget(weir_remote *remote);
/* The module has processed `count` more messages of `bytes` in total, which it got at `begun_ns`.
 */
void wr_session_processed(weir_remote *remote, size_t count, size_t bytes, uint64_t begun_ns);
/* Tell the gateway what it does not know yet, as far as what the module published is on its way. */
void wr_session_tell(weir_remote *remote);
/* The same, if it is much, or time to: a few are told together. */
void wr_session_tell_in_time(weir_remote *remote);
/* Is there something that could be told? */
bool wr_session_owes(weir_remote *remote);

/* agreement.c */
/* The gateway, or the connection to it, was away, and the module is still the one that it wants. */
bool wr_session_can_resume(const weir_remote *remote, const wr_control_message *create);
/* Find out together where both stand: what comes first on the new message channel. */
void wr_session_agree(weir_remote *remote, const wr_extension *extension);

/* ending.c */
/* Destroy the module if there is one; what it published goes out as far as the socket takes it. */
void wr_ending_destroy(weir_remote *remote);
/* The same, and close the message channel, whatever is not written. */
void wr_ending_now(weir_remote *remote);
/* The same, but the channel stays until wr_ending_try finds that all is written, that the gateway
 * is gone, or that this time has passed. */
void wr_ending_begin(weir_remote *remote, unsigned delay_ms);
void wr_ending_try(weir_remote *remote);

/* intake.c. Errors: as wr_listener_open. */
WEIR_MUST_CHECK weir_err wr_intake_open(weir_remote *remote, const char *path, wr_error *error);
/* Drops what was received and not delivered. Harmless when not open. */
void wr_intake_close(weir_remote *remote);
void wr_intake_accept(weir_remote *remote);
/* Receive a batch, if there is something, and hand it to a started module. */
void wr_intake_work(weir_remote *remote);
/* Deliver what the peer sent until now, to a started module. */
void wr_intake_drain(weir_remote *remote);
/* Is there something to do now, whatever the sockets say? */
bool wr_intake_has_work(weir_remote *remote);
/* What to watch the connection for: WR_POLL_... */
unsigned wr_intake_interest(weir_remote *remote);

/* remote.c */
/* Stop watching, before `what` is closed. */
void wr_remote_unwatch(weir_remote *remote, wr_remote_source source, wr_waitable what);
/* The next connection that may talk to us; NULL: none. Whoever is of another user is turned away,
 * with a line in the log. */
wr_stream *wr_remote_accept(weir_remote *remote, wr_listener *listener);
/* A second connection to a channel ("control") is closed; a gateway comes again each second, and
 * one line in the log says so for as long as the present connection lasts (`*said`). */
void wr_remote_turn_away(weir_remote *remote, wr_stream *stream, const char *channel, bool *said);

#endif
