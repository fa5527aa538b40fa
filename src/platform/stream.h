/* SPDX-License-Identifier: MIT
 *
 * Local byte streams between processes: a listener at a path, connections to it. Never blocks.
 * On POSIX these are UNIX stream sockets; a named pipe fits the same contract.
 */
#ifndef WR_PLATFORM_STREAM_H
#define WR_PLATFORM_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/error.h"
#include "platform/shared_memory.h"

/* What a poller or the control loop can wait for. */
typedef intptr_t wr_waitable;

/* The longest address in bytes, without its NUL. */
#define WR_ADDRESS_MAX 107u

typedef struct wr_stream wr_stream;
typedef struct wr_listener wr_listener;

typedef struct wr_slice {
    const void *data;
    size_t size;
} wr_slice;

/* The most slices one wr_stream_write takes. */
#define WR_SLICES_MAX 64u

/*
 * Connect to the listener at `path`.
 * Errors: INVALID (empty path), TOO_LARGE (path over WR_ADDRESS_MAX), NOT_FOUND (nothing there),
 * CLOSED (nobody listens there), WOULD_BLOCK (listener's queue is full: try again), DENIED, IO,
 * MEMORY. `error` may be NULL.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_connect(const char *path, wr_stream **out,
                                                     wr_error *error);
/* Two ends of one connection, for tests and benchmarks. Errors: IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_pair(wr_stream **a, wr_stream **b);
/* Read up to `size` bytes, `*got` > 0 on success. Errors: WOULD_BLOCK, CLOSED (end), IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_read(wr_stream *stream, void *data, size_t size,
                                                  size_t *got);
/* Read into two places, the first filled before the second. Errors: as wr_stream_read. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_read2(wr_stream *stream, void *first,
                                                   size_t first_size, void *second,
                                                   size_t second_size, size_t *got);
/* Write some bytes of the slices in order, `*sent` > 0 on success. Raises no signal.
 * Errors: WOULD_BLOCK, CLOSED, IO, UNSUPPORTED (not with the memory that is attached). */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_write(wr_stream *stream, const wr_slice *slices,
                                                   size_t count, size_t *sent);
/* The user id of the process at the other end. Errors: UNSUPPORTED, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_peer_user(const wr_stream *stream, uint32_t *user);
/*
 * Memory along with the bytes. It comes to the other side no later than the first byte that is
 * written after wr_stream_attach_memory.
 *
 * attach: memory made here, which can go to one other process; its descriptor is closed as soon as
 *   that has it, or with the stream. One at a time. A part of writing.
 * accept: without this, what comes along with bytes is dropped. Before the first read.
 * take: what came with the bytes read so far, readable; the caller closes it. Of several that come
 *   before one is taken all but the first are dropped. A part of reading.
 *   Errors: NOT_FOUND (nothing came), TOO_LARGE (over `limit` bytes), PROTOCOL (its size could
 *   still change, or it is something else), MEMORY, IO (also: what came was lost for want of
 *   descriptors), DENIED; `error`, which may be NULL, says why. After an error it is gone.
 */
WR_SHARED void wr_stream_attach_memory(wr_stream *stream, wr_shared_memory *memory);
WR_SHARED void wr_stream_accept_memory(wr_stream *stream);
WR_SHARED WEIR_MUST_CHECK weir_err wr_stream_take_memory(wr_stream *stream, size_t limit,
                                                         wr_shared_memory **out, wr_error *error);
WR_SHARED wr_waitable wr_stream_waitable(const wr_stream *stream);
/* What the peer has written until now can still be read, then comes CLOSED; what it writes from now
 * on fails there. */
WR_SHARED void wr_stream_end_input(wr_stream *stream);
/* NULL is allowed. */
WR_SHARED void wr_stream_close(wr_stream *stream);

/*
 * Listen at `path`, with the access rights 0600. A stale socket (nobody answers) is replaced; a
 * file of another kind is left alone.
 * Errors: INVALID, TOO_LARGE, IN_USE (somebody answers there), EXISTS (a file that is no socket),
 * NOT_FOUND (no such directory), DENIED, IO, MEMORY. `error` may be NULL.
 */
WR_SHARED WEIR_MUST_CHECK weir_err wr_listener_open(const char *path, wr_listener **out,
                                                    wr_error *error);
/* Errors: WOULD_BLOCK (nobody waits), IO, MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_listener_accept(wr_listener *listener, wr_stream **out);
/* Let processes of all users connect (0666); whose they are is for the one that accepts to check.
 * Errors: NOT_FOUND (the path names something else by now), DENIED, IO. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_listener_share(wr_listener *listener, wr_error *error);
WR_SHARED wr_waitable wr_listener_waitable(const wr_listener *listener);
/* Close, and remove the path if it is still this listener's socket. NULL is allowed. */
WR_SHARED void wr_listener_close(wr_listener *listener);

#endif
