/* SPDX-License-Identifier: MIT
 *
 * A place for the images of bulk messages, other than the process's own memory: where their reader
 * will be needing them. Each thread has at most one, which weir_message_reserve, _new and _with
 * build in; where the place has no room, and for all other messages, wr_pool serves as ever.
 *
 * A place is a guess where the thread's next bulk message will go. A wrong one costs a copy.
 */
#ifndef WR_MESSAGE_PLACE_H
#define WR_MESSAGE_PLACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"

typedef struct wr_message_place wr_message_place;

/* All may be called by any thread, and at the same time. */
typedef struct wr_message_place_ops {
    /* Memory for an image, at a multiple of 8. It stays valid until put, whoever gives up the
     * place. NULL: no room. Never waits for room. */
    void *(*get)(wr_message_place *place, size_t size);
    void (*put)(wr_message_place *place, const void *image, size_t size);
    void (*ref)(wr_message_place *place);
    void (*unref)(wr_message_place *place);
} wr_message_place_ops;

/* To be embedded. */
struct wr_message_place {
    const wr_message_place_ops *ops;
    atomic_bool
        closed; /* never again does it have room: threads give it up. Relaxed: only a hint */
};

/* This thread's place from now on, until its end or another call; NULL: none. Adds a reference. To
 * set what is set already costs a comparison. */
WR_SHARED void wr_message_place_set(wr_message_place *place);
/* This thread's, borrowed; NULL: none. */
WR_SHARED wr_message_place *wr_message_place_now(void);

#endif
