/* SPDX-License-Identifier: MIT
 *
 * What the module publishes on its way to the gateway: written at once where that is possible, else
 * queued. The queue outlives connections, so that what was not written goes to the next gateway.
 *
 * Any thread may publish; the other functions belong to the running thread. The sending half of the
 * channel is used under the mutex only.
 *
 * Invariant: the queue holds something only while there is no channel or the channel is blocked, so
 * messages leave in the order in which they were published.
 */
#ifndef WR_REMOTE_TRANSMIT_H
#define WR_REMOTE_TRANSMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "platform/poller.h"
#include "platform/thread.h"
#include "weir/message.h"

/* Where publishers wait: messages and bytes that are queued and not yet given to the channel. A
 * callback of the module may go over it by what it publishes before it returns. */
#define WR_TRANSMIT_MESSAGES_MAX 1024u
#define WR_TRANSMIT_BYTES_MAX (64u * 1024u * 1024u)

typedef struct wr_transmit {
    const char *name;  /* for the log; constant */
    wr_poller *poller; /* the running thread's; constant */

    wr_mutex mutex; /* guards all that follows */
    wr_cond room;   /* the queue is no longer full, or closing was set */
    weir_message **ring;
    size_t capacity; /* of the ring: 0 or a power of two */
    size_t head;     /* where the oldest one is */
    size_t count;
    uint64_t bytes;      /* of the images in the ring */
    wr_channel *channel; /* borrowed; NULL while nobody is connected, or after a failed write */
    uint64_t limit;      /* the largest image that the peer takes */
    uint64_t too_large;  /* how many were refused for that */
    bool blocked;        /* the channel takes no more until it can be written */
    bool closing;        /* the module is being destroyed: nobody may wait */
} wr_transmit;

typedef struct wr_transmit_state {
    bool blocked; /* call wr_transmit_drain when the channel can be written */
    bool full;    /* do not let the module publish more */
    bool lost;    /* there is no channel, or writing to it failed */
} wr_transmit_state;

void wr_transmit_init(wr_transmit *tx, const char *name, wr_poller *poller);
/* Drops what is queued. */
void wr_transmit_deinit(wr_transmit *tx);

/* A module is about to be created: publishers may wait again; the peer takes images up to `limit`.
 */
void wr_transmit_open(wr_transmit *tx, uint64_t limit);
/* The module is about to be destroyed: whoever waits, or would, gets CLOSED. */
void wr_transmit_close(wr_transmit *tx);

/* From now on write to `channel`, which stays the caller's, beginning with what is queued. */
void wr_transmit_connect(wr_transmit *tx, wr_channel *channel);
/* Stop using the channel, so that it can be destroyed. What it holds is lost. */
void wr_transmit_disconnect(wr_transmit *tx);

/* The running thread is about to call the module: until leave, its publishing never waits, and what
 * is published is gathered. Leave writes it. */
void wr_transmit_enter(wr_transmit *tx);
void wr_transmit_leave(wr_transmit *tx);

/* Write what is queued, as far as the channel takes it. */
void wr_transmit_drain(wr_transmit *tx);
wr_transmit_state wr_transmit_get_state(wr_transmit *tx);

/* As weir_publish; `wait` false: as weir_try_publish. Any thread. */
WEIR_MUST_CHECK weir_err wr_transmit_publish(wr_transmit *tx, weir_message *msg, bool wait);

#endif
