/* SPDX-License-Identifier: MIT
 *
 * The message channel: messages over an SP stream, with no copy that is not needed. Threads: as in
 * sp_stream.h, one for sending and one for receiving.
 */
#ifndef WR_IPC_CHANNEL_H
#define WR_IPC_CHANNEL_H

#include "base/api.h"
#include "base/error.h"
#include "ipc/sp_stream.h"
#include "weir/message.h"

typedef struct wr_channel wr_channel;

/* The largest message image from a peer, in bytes, where the configuration says nothing. */
#define WR_MESSAGE_LIMIT_DEFAULT (64u * 1024u * 1024u)
/* nanomsg drops the connection at a larger frame unless told otherwise, so this is the limit for
 * peers that do not say theirs. */
#define WR_MESSAGE_LIMIT_OLD_PEER (1024u * 1024u)

/* Takes the stream, also on failure. `limit`: for received images, in bytes. Errors: MEMORY, CLOSED
 * (the peer is gone already), IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_create(wr_stream *stream, uint64_t limit,
                                                     wr_channel **out);
WR_SHARED void wr_channel_destroy(wr_channel *channel); /* NULL is allowed */
/* The peer has agreed to shared memory. Before anything is sent or received. Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_share(wr_channel *channel);

/* Queue a message; the caller keeps its reference. Errors: as wr_sp_send. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_send(wr_channel *channel, weir_message *msg);
/* Queue a message's whole frame, its header included, that is readable until it is written, or the
 * channel destroyed. Errors: the same. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_send_frame(wr_channel *channel, const void *frame,
                                                         size_t size);
/* As wr_sp_unsent and wr_sp_written. */
WR_SHARED size_t wr_channel_unsent(const wr_channel *channel);
WR_SHARED uint64_t wr_channel_written(const wr_channel *channel);
/* As wr_sp_flush. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_flush(wr_channel *channel);
/* Something that came is to be answered by the channel: flush it. Any thread. */
WR_SHARED bool wr_channel_owes(const wr_channel *channel);
/* Where large messages that are sent through this channel are best made, for this thread from now
 * on. A part of sending. */
WR_SHARED void wr_channel_set_place(wr_channel *channel);

/* The next message; the caller owns one reference. Errors: as wr_sp_receive; PROTOCOL also for an
 * image that is not well-formed; UNSUPPORTED: shared memory does not come through, and is not to be
 * agreed on again. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_channel_receive(wr_channel *channel, weir_message **out,
                                                      wr_error *error);
/*
 * With shared memory both sides see how many messages the other has processed, in the numbers of
 * the session, without being told.
 *
 * Receiving: set_processed says it. A peer that waits afterwards must be told, too, and so must one
 * that cannot be seen. Sending: peer_processed looks (0: the peer has not said); who waits for more
 * has said so before it looked last.
 */
WR_SHARED void wr_channel_set_processed(wr_channel *channel, uint64_t count);
WR_SHARED bool wr_channel_peer_waits(const wr_channel *channel);
WR_SHARED uint64_t wr_channel_peer_processed(const wr_channel *channel);
WR_SHARED void wr_channel_set_waits(wr_channel *channel, bool waits);
/* Receiving: the bytes of the peer's shared memory that had to be made readable. */
WR_SHARED size_t wr_channel_peer_secured(const wr_channel *channel);
WR_SHARED bool wr_channel_shares(const wr_channel *channel); /* memory, with the peer */
WR_SHARED bool wr_channel_greeted(const wr_channel *channel);
/* Receive what the peer has written until now, then CLOSED. */
WR_SHARED void wr_channel_end_input(wr_channel *channel);
WR_SHARED wr_waitable wr_channel_waitable(wr_channel *channel);

#endif
