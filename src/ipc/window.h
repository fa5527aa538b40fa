/* SPDX-License-Identifier: MIT
 *
 * The messages of one direction of a session that the other side has not acknowledged: those that
 * were sent on the present connection, then those that wait to be sent. Messages are numbered from
 * 0 on, from the session's start.
 *
 *     kept <= base <= acknowledged <= next <= end
 *         kept..base: released, remembered for a crash report; ..acknowledged: to be released;
 *         ..next: sent, kept until acknowledged; ..end: waiting
 *
 * The peer may acknowledge what an earlier connection brought it while that waits to be sent again.
 * It is sent nevertheless, and counts as acknowledged then: the peer counts what comes, and would
 * take what follows for it.
 *
 * On a connection without acknowledgement a message is released as soon as it is sent.
 *
 * Of a small message the window keeps a copy, as the frame that is sent, and so the message goes
 * back at once, while it and its memory are in the cache of the thread that made it; of a large one
 * it keeps a reference, as of all that wait, of those for a peer that does not acknowledge, and of
 * a small one that finds no room.
 * One thread at a time.
 */
#ifndef WR_IPC_WINDOW_H
#define WR_IPC_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "ipc/byte_ring.h"
#include "ipc/channel.h"
#include "weir/message.h"

/* The most messages and bytes that may be sent and not acknowledged (but one message at least). Few
 * bytes, so that what is on its way stays in the processor's cache. */
#define WR_WINDOW_MESSAGES 16384u
#define WR_WINDOW_BYTES (2u * 1024u * 1024u)
/* With shared memory a large message takes less time than waking a thread. So there it may be more
 * bytes, while the messages are few. */
#define WR_WINDOW_BYTES_SHARED (8u * 1024u * 1024u)
#define WR_WINDOW_FEW 128u
/* The most bytes of released messages that are remembered: they are no longer in use, and the cache
 * is for those that are. */
#define WR_WINDOW_KEPT_BYTES (256u * 1024u)
/* Images up to this size are copied, see above. */
#define WR_WINDOW_COPY_MAX 1024u

/* The size is asked once and kept here: the message itself is then only touched to be sent. */
typedef struct wr_window_place {
    union {
        weir_message *msg; /* one reference */
        uint64_t copy_at;  /* the place in `copies` */
    };
    uint32_t size; /* of the image, in bytes */
    bool copied;
} wr_window_place;

typedef struct wr_window {
    wr_window_place *ring; /* the message numbered n is at n & (capacity - 1) */
    size_t capacity;       /* 0 or a power of two */
    uint64_t keep_last;    /* how many released messages to remember; set once, 0: none */
    uint64_t kept;
    uint64_t base;
    uint64_t next;
    uint64_t end;
    uint64_t acknowledged;  /* by the peer: what is below it is released by and by */
    uint64_t told;          /* the peer's last word on it, which may be over `next` */
    uint64_t sent;          /* the highest `next` ever: numbers below it may reach the peer twice */
    uint64_t bytes;         /* of the images base..next */
    uint64_t bytes_waiting; /* next..end */
    uint64_t bytes_kept;    /* kept..base: these count for no other limit */
    bool keep;              /* this connection acknowledges */
    bool shared;            /* its channel has shared memory */
    bool waits;             /* the peer can see that it is full */
    wr_byte_ring copies;    /* frames of small messages that were sent */
} wr_window;

/* Are so many messages of so many bytes a whole window, or (`part` 4) a quarter of one? */
static inline bool wr_window_is_part(uint64_t messages, uint64_t bytes, unsigned part, bool shared)
{
    bool few = shared && messages * part < WR_WINDOW_FEW;
    return messages * part >= WR_WINDOW_MESSAGES ||
           bytes * part >= (few ? WR_WINDOW_BYTES_SHARED : WR_WINDOW_BYTES);
}

/* Were so many processed that a peer may wait to be told, whose window is of `window` messages (0:
 * it does not say)? A quarter of it, or of ours. */
static inline bool wr_window_is_due(uint64_t messages, uint64_t bytes, uint32_t window, bool shared)
{
    bool small = window != 0 && messages * 4 >= window;
    return small || wr_window_is_part(messages, bytes, 4, shared);
}

WR_SHARED void wr_window_deinit(wr_window *window);
/* Append a message; takes a reference of its own. Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_put(wr_window *window, weir_message *msg);
/* Append and send a message, while none waits and the window is not full. The caller keeps its
 * reference. Errors: as wr_channel_send. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_give(wr_window *window, wr_channel *channel,
                                                  weir_message *msg);
/*
 * The same for several, while none waits: as many of the first of `count` as the window, the
 * channel and `limit` (bytes of one image) allow; takes over the caller's references to those.
 * Returns how many. `*err`: what the channel said to the next one (WEIR_OK: it was not asked), or
 * MEMORY.
 */
WR_SHARED size_t wr_window_send(wr_window *window, wr_channel *channel, weir_message **msgs,
                                size_t count, uint64_t limit, weir_err *err);
/* The image of the next message to send, borrowed; NULL: none waits. */
WR_SHARED const void *wr_window_peek(const wr_window *window, size_t *size);
/* Send the next message, which waits. Errors: as wr_channel_send. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_send_next(wr_window *window, wr_channel *channel);
/* The next message was sent. */
WR_SHARED void wr_window_pass(wr_window *window);
/* The next message is given up, because the peer would not take it; those after it move up. */
WR_SHARED void wr_window_drop(wr_window *window);
/* The same for all that wait and are over `limit` (bytes of one image). Returns how many. */
WR_SHARED uint64_t wr_window_drop_over(wr_window *window, uint64_t limit);
/* As much is sent and unacknowledged as may be. */
static inline bool wr_window_full(const wr_window *window)
{
    return wr_window_is_part(window->next - window->acknowledged, window->bytes, 1, window->shared);
}
/* The same, as seen by who wants to send through `channel`: what the peer can be seen to have
 * processed counts as acknowledged, and if that is not enough, it can see that somebody waits.
 * Where this says false, what waits must be sent: nobody else may come to do so. */
WR_SHARED bool wr_window_blocked(wr_window *window, wr_channel *channel);
/* How many wait to be sent. */
static inline uint64_t wr_window_waiting(const wr_window *window)
{
    return window->end - window->next;
}
/* Where memory is shared: as far as the peer can be seen to be, the same as below. */
WR_SHARED void wr_window_look(wr_window *window, const wr_channel *channel);
/* The peer says on this connection that it has processed all below `count`. The messages are
 * released later, by wr_window_release or by the next that are put, on the thread that puts them:
 * it has use for their memory. Errors: PROTOCOL (more than was ever sent). */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_acknowledge(wr_window *window, uint64_t count);
/* Release all that is acknowledged, but for what is to be remembered. */
WR_SHARED void wr_window_release(wr_window *window);
/* Give back memory that what is held does not need. False: not now, as frames wait to be written.
 */
WR_SHARED bool wr_window_shrink(wr_window *window, const wr_channel *channel);
/* Before wr_window_rewind: the peer has processed all below `count`, and expects that next. Errors:
 * as wr_window_acknowledge. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_skip(wr_window *window, uint64_t count);
/* A new connection, which acknowledges if `keep`: everything that is not acknowledged waits again.
 */
WR_SHARED void wr_window_rewind(wr_window *window, bool keep);

/* A message that the peer was given: one that it acknowledged (or that was sent to a peer that does
 * not acknowledge) or one that was sent on the present connection. */
typedef struct wr_window_given {
    weir_message *msg; /* a reference of its own */
    uint64_t number;
    bool acknowledged;
} wr_window_given;

/* How many messages wr_window_get_given gives. */
WR_SHARED size_t wr_window_given_count(const wr_window *window);
/* All of them, oldest first, into `out` with room for so many; unref each. Errors: MEMORY, and
 * there are none. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_window_get_given(const wr_window *window,
                                                       wr_window_given *out);

#endif
