/* SPDX-License-Identifier: MIT
 *
 * Shared memory on one message channel: the pools of both sides, what this side has lent and what
 * it has borrowed. It makes the frames that stand for large messages, and messages of such frames
 * (docs/wire-protocol.md, 5.2).
 *
 * The pool of this side is made when there is first use for it. What was borrowed stays valid when
 * the channel, and this, are gone.
 *
 * Two halves, as of the channel: functions for sending may be used by one thread at a time, those
 * for receiving by another.
 */
#ifndef WR_IPC_SHARING_H
#define WR_IPC_SHARING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ipc/shared_frame.h"
#include "message/place.h"
#include "platform/stream.h"
#include "weir/message.h"

typedef struct wr_sharing wr_sharing;

/* Over a stream that accepts memory; it stays the caller's and outlives this. `limit`: for images
 * from the peer, in bytes. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_sharing_create(wr_stream *stream, uint64_t limit, wr_sharing **out);
/* The peer keeps what it has borrowed, but nobody waits for its return. NULL is allowed. */
void wr_sharing_destroy(wr_sharing *sharing);

/* Sending: there is a pool that the peer has not been told of. Any thread. */
bool wr_sharing_owes(const wr_sharing *sharing);
/* Sending: attach the pool to the stream; `out` is to be sent next. */
void wr_sharing_announce(wr_sharing *sharing, wr_shared_frame *out);
/* Sending: lend a message; `out` stands for it. False: no memory or no slot is free, or no pool can
 * be made; send the image. */
bool wr_sharing_lend(wr_sharing *sharing, weir_message *msg, wr_shared_frame *out);
/* Sending: the frame that stands for the last message was not sent. */
void wr_sharing_cancel(wr_sharing *sharing, const wr_shared_frame *frame);
/* Sending: where large messages for this channel are best made; borrowed. NULL: nowhere. */
wr_message_place *wr_sharing_place(wr_sharing *sharing);

/* Receiving: take in a frame. `*out`: the message that it stands for, the caller's; NULL: none.
 * Errors: PROTOCOL, TOO_LARGE, MEMORY, IO; `error`, which may be NULL, says why. */
WEIR_MUST_CHECK weir_err wr_sharing_receive(wr_sharing *sharing, const wr_sp_frame *frame,
                                            weir_message **out, wr_error *error);

#endif
