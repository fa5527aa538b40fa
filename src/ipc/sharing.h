/* SPDX-License-Identifier: MIT
 *
 * Shared memory on one message channel: the pools of both sides, what this side has lent and what
 * it has borrowed. It makes the frames that stand for large messages, and messages of such frames
 * (docs/wire-protocol.md, 5.2).
 *
 * The pool of this side is made when there is first use for it. What was borrowed stays valid when
 * the channel, and this, are gone.
 *
 * Two halves, as of the channel: what is for sending may be used by one thread at a time, what is
 * for receiving by another.
 */
#ifndef WR_IPC_SHARING_H
#define WR_IPC_SHARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ipc/shared_frame.h"
#include "message/place.h"
#include "platform/stream.h"
#include "weir/message.h"

typedef struct wr_sharing wr_sharing;

/* Over a stream from which nothing was read; it stays the caller's and outlives this. `limit`: for
 * images from the peer, in bytes. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_sharing_create(wr_stream *stream, uint64_t limit, wr_sharing **out);
/* The stream is closed before. NULL is allowed. */
void wr_sharing_destroy(wr_sharing *sharing);

/* There is a pool that the peer has not been told of. Any thread. */
bool wr_sharing_owes(const wr_sharing *sharing);
/* Sending: the frame that tells of it, with its memory. It must be sent before any other; when it
 * is, call told. */
void wr_sharing_tell(wr_sharing *sharing, wr_shared_frame *out);
void wr_sharing_told(wr_sharing *sharing);
/* Sending: lend a message; `out` stands for it. False: no memory or no slot is free, or there can
 * be no pool. */
bool wr_sharing_lend(wr_sharing *sharing, weir_message *msg, wr_shared_frame *out);
/* Sending: the frame that stands for the last message is not sent. */
void wr_sharing_cancel(wr_sharing *sharing, const wr_shared_frame *frame);
/* Sending: where messages for this channel are best made, borrowed; NULL: nowhere. */
wr_message_place *wr_sharing_place(wr_sharing *sharing);

/* Sending: how many of this side's messages the peer has processed, as it says in its pool; 0 at
 * first. */
uint64_t wr_sharing_peer_processed(const wr_sharing *sharing);
/* Sending: say in this side's pool whether it waits for that to grow. */
void wr_sharing_set_waits(wr_sharing *sharing, bool waits);
/* Receiving: the same the other way around. The peer may not be told of what is processed only if
 * it did not wait after that was said; true also where nothing can be seen. */
void wr_sharing_set_processed(wr_sharing *sharing, uint64_t count);
bool wr_sharing_peer_waits(const wr_sharing *sharing);

/* Receiving: take in a frame that wr_shared_frame_is accepts. `*out`: the message that it stands
 * for, the caller's; NULL: none. Errors: PROTOCOL, TOO_LARGE, MEMORY, UNSUPPORTED (the peer's
 * pool does not come through, as where a program stands between the two, or there is no room for
 * it here); `error`, which may be NULL, says why. */
WEIR_MUST_CHECK weir_err wr_sharing_receive(wr_sharing *sharing, const void *data, size_t size,
                                            weir_message **out, wr_error *error);

/* Receiving: the bytes of the peer's pool that had to be made readable. */
size_t wr_sharing_peer_secured(const wr_sharing *sharing);

/* Is the image in memory that another process may change? Any thread. */
bool wr_sharing_is_borrowed(const weir_message *msg);
/* The same message in this process's own memory. Any thread. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_sharing_copy_out(const weir_message *msg, weir_message **out);

#endif
