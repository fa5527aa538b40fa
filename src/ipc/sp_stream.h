/* SPDX-License-Identifier: MIT
 *
 * The SP/ipc PAIR v0 stream of nanomsg and NNG: a greeting, then frames, over one wr_stream.
 *
 *   greeting  00 53 50 00 00 10 00 00        (from each side, once)
 *   frame     01 | u64 big-endian length | that many bytes
 *
 * Sending (send, flush, unsent) and receiving (receive) are two independent halves: each may be
 * used by one thread at a time, and the two by different threads at the same time. No frame is sent
 * before the peer's greeting has arrived. Nothing blocks.
 */
#ifndef WR_IPC_SP_STREAM_H
#define WR_IPC_SP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "platform/stream.h"

#define WR_SP_GREETING_SIZE 8u
#define WR_SP_HEADER_SIZE 9u

/* Frames up to this size are copied into the transmit buffer, larger ones are sent from where they
 * are; received ones over it are read straight into memory from `place`. */
#define WR_SP_COPY_MAX 16384u
/* A send is made when this much is gathered, and on flush. */
#define WR_SP_TX_BUFFER_SIZE 65536u
#define WR_SP_RX_BUFFER_SIZE 262144u

typedef struct wr_sp_stream wr_sp_stream;

typedef struct wr_sp_options {
    uint64_t frame_limit;  /* a longer frame from the peer ends the connection: TOO_LARGE */
    size_t rx_buffer_size; /* 0: WR_SP_RX_BUFFER_SIZE; at least 2 x WR_SP_COPY_MAX */
    /* Memory for a frame over WR_SP_COPY_MAX that is not in the buffer as a whole; it returns NULL
     * when out of memory. It is the caller's from the start; when the frame is whole, receive shows
     * it. Without this function the stream has memory of its own for such a frame, valid until the
     * next receive. */
    void *(*place)(void *user, size_t size);
    void *user;
} wr_sp_options;

typedef struct wr_sp_frame {
    void *data;
    size_t size;
    bool placed; /* data is what `place` returned; else it is valid until the next receive */
} wr_sp_frame;

/* Takes the stream, also on failure, and sends the greeting. Errors: MEMORY, INVALID (buffer too
 * small), CLOSED (the peer is gone already), IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_sp_create(wr_stream *stream, const wr_sp_options *options,
                                                wr_sp_stream **out);
/* Closes the connection and releases what was not sent. NULL is allowed. */
WR_SHARED void wr_sp_destroy(wr_sp_stream *sp);

/*
 * Queue one frame. On success `release(owner)` is called exactly once, by whichever thread uses the
 * sending half or destroys the stream, as soon as `data` is no longer needed: before this returns
 * for frames that are copied. release may be NULL.
 * Errors, with the frame not queued and not released: WOULD_BLOCK (as much as fits is queued and
 * the socket takes no more: flush later), CLOSED, IO, MEMORY.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_sp_send(wr_sp_stream *sp, const void *data, size_t size,
                                              void (*release)(void *owner), void *owner);
/* Write the header of a frame of `size` bytes, WR_SP_HEADER_SIZE bytes. */
WR_SHARED void wr_sp_write_header(uint8_t *at, size_t size);
/* Queue a whole frame, header and data, that is sent from where it lies: it must be readable until
 * it is written, or the stream destroyed. Frames that lie behind each other are sent as one piece.
 * Errors: as wr_sp_send. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_sp_send_frame(wr_sp_stream *sp, const void *frame,
                                                    size_t size);
/* Write what is queued. WEIR_OK: nothing is left. Errors: WOULD_BLOCK (wait until the waitable can
 * be written, or, before the greeting, until receive saw it), CLOSED, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_sp_flush(wr_sp_stream *sp);
/* Bytes queued and not yet written. */
WR_SHARED size_t wr_sp_unsent(const wr_sp_stream *sp);
/* Bytes of frames written from the start. */
WR_SHARED uint64_t wr_sp_written(const wr_sp_stream *sp);

/*
 * The next frame. Errors: WOULD_BLOCK (no whole frame yet), CLOSED (the peer ended the connection),
 * PROTOCOL (wrong greeting or frame header), TOO_LARGE, IO, MEMORY; `error`, which may be NULL,
 * says why. After an error other than WOULD_BLOCK the stream is only good to be destroyed.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_sp_receive(wr_sp_stream *sp, wr_sp_frame *out,
                                                 wr_error *error);
/* Has the peer's greeting arrived? Any thread. */
WR_SHARED bool wr_sp_greeted(const wr_sp_stream *sp);
WR_SHARED wr_stream *wr_sp_inner(wr_sp_stream *sp);

#endif
