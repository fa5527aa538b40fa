/* SPDX-License-Identifier: MIT
 *
 * What the module publishes on its way to the gateway: written at once where that is possible, else
 * queued. The queue outlives connections, so that what was not written, or not acknowledged by a
 * gateway that does so, goes to the next one.
 *
 * Any thread may publish; the other functions belong to the running thread. The sending half of the
 * channel is used under the mutex only.
 *
 * Invariant: a message waits only while there is no channel, the channel is blocked or too much is
 * not acknowledged; so messages leave in the order in which they were published.
 */
#ifndef WR_REMOTE_TRANSMIT_H
#define WR_REMOTE_TRANSMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/lull.h"
#include "ipc/window.h"
#include "platform/poller.h"
#include "platform/thread.h"
#include "remote/marks.h"
#include "weir/message.h"

/* A publisher on a thread of its own writes at once unless it did so this short a time ago; then
 * the running thread is woken and writes what has come together meanwhile. */
#define WR_TRANSMIT_GATHER_NS 50000u

/* Where publishers wait: messages and bytes that are queued and not yet given to the channel. A
 * callback of the module may go over it by what it publishes before it returns, at most
 * WR_OVERFLOW_MAX messages (module/host.h). */
#define WR_TRANSMIT_MESSAGES_MAX 1024u
#define WR_TRANSMIT_BYTES_MAX (64u * 1024u * 1024u)

typedef struct wr_transmit {
    const char *name;                /* for the log; constant */
    wr_poller *poller;               /* the running thread's; constant */
    const struct wr_transmit *outer; /* the running thread's, from enter to leave: the queue whose
                                      * module it was calling before */

    wr_mutex mutex; /* guards all that follows */
    wr_cond room;   /* the queue is no longer full, or closing was set */
    wr_window window;
    wr_marks marks;      /* what may be acknowledged when what was published is written */
    wr_channel *channel; /* borrowed; NULL while nobody is connected, or after a failed write */
    uint64_t limit;      /* the largest image that the peer takes: the queue holds no larger one */
    uint64_t too_large;  /* how many were refused or dropped for that */
    bool blocked;        /* the channel takes no more until it can be written */
    bool refused;        /* it failed because memory cannot be sent along it */
    bool closing;        /* the module is being destroyed: nobody may wait */
    bool flush_asked;    /* a publisher left the writing to the running thread */
    uint64_t flushed_ns; /* when a publisher last wrote by itself */
    wr_lull lull;
    uint64_t lull_end_ns; /* of one that runs */
} wr_transmit;

typedef struct wr_transmit_state {
    bool blocked;        /* call wr_transmit_drain when the channel can be written */
    bool full;           /* do not let the module publish more */
    bool lost;           /* there is no channel, or writing to it failed */
    bool refused;        /* it failed because memory cannot be sent along it: the peer lives */
    wr_progress settled; /* of what was received: what it caused is written, so that the peer gets
                          * it even if we die now */
    bool written;        /* all that was published is in the socket */
    size_t waiting;      /* messages that are not written */
} wr_transmit_state;

void wr_transmit_init(wr_transmit *tx, const char *name, wr_poller *poller);
/* Drops what is queued. */
void wr_transmit_deinit(wr_transmit *tx);

/* A module is about to be created: publishers may wait again. */
void wr_transmit_open(wr_transmit *tx);
/* The module is about to be destroyed: whoever waits, or would, gets CLOSED. */
void wr_transmit_close(wr_transmit *tx);

/* Where we stand, for the session (ipc/control.h); `received` is left alone. */
void wr_transmit_get_position(wr_transmit *tx, wr_position *position);
/* The peer has processed all below `count`. Errors: PROTOCOL (more than was sent). */
WEIR_MUST_CHECK weir_err wr_transmit_acknowledge(wr_transmit *tx, uint64_t count);
/* The same, said when a connection begins: before wr_transmit_agree. */
WEIR_MUST_CHECK weir_err wr_transmit_skip(wr_transmit *tx, uint64_t count);
/* The next connection begins with the oldest message that is not acknowledged; `acknowledged`: the
 * peer will acknowledge. */
void wr_transmit_rewind(wr_transmit *tx, bool acknowledged);
/* The same in agreement with a gateway that takes images up to `limit` bytes, and sends its
 * messages again from number `first` on. What the queue holds for one that took larger ones is
 * dropped. Returns how much of what was processed it may forget: all, if it has got all that was
 * published, else what is below `first`, until the rest of that is written. */
wr_progress wr_transmit_agree(wr_transmit *tx, uint64_t limit, bool acknowledged,
                              wr_progress processed, uint64_t first);
/* So much was received and processed, and what it caused is published. */
void wr_transmit_mark(wr_transmit *tx, wr_progress processed);

/* From now on write to `channel`, which stays the caller's, beginning with what is queued. */
void wr_transmit_connect(wr_transmit *tx, wr_channel *channel);
/* Stop using the channel, so that it can be destroyed. What it holds is lost. */
void wr_transmit_disconnect(wr_transmit *tx);

/* The running thread is about to call the module: until leave, its publishing never waits (but can
 * be FULL), and what is published is gathered. Leave writes it. A callback of another remote may
 * lie between. */
void wr_transmit_enter(wr_transmit *tx);
void wr_transmit_leave(wr_transmit *tx);
/* Will leave write anything? */
bool wr_transmit_holds(wr_transmit *tx);

/* Write if a publisher asked for it. */
void wr_transmit_work(wr_transmit *tx);
/* Write what is queued, as far as the channel takes it. */
void wr_transmit_drain(wr_transmit *tx);
wr_transmit_state wr_transmit_get_state(wr_transmit *tx);
/* Give back the memory of a burst that is over. Returns when to ask again, in milliseconds; -1: not
 * before something comes. */
int wr_transmit_rest(wr_transmit *tx);

/* As weir_publish; `wait` false: as weir_try_publish. Any thread. */
WEIR_MUST_CHECK weir_err wr_transmit_publish(wr_transmit *tx, weir_message *msg, bool wait);

#endif
