/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's shared memory on one message connection (docs/wire-protocol.md, 5.2): its pool,
 * what it lends, what it was lent. Numbers (peer.h) it sends and takes as it should; all else may
 * be wrong, and then brings no numbers.
 */
#ifndef WR_FUZZ_LENDER_H
#define WR_FUZZ_LENDER_H

#include "ipc/shared_frame.h"
#include "ipc/shared_pool.h"
#include "script.h"
#include "weir/message.h"

#define FUZZ_BLOCKS_MAX 64u
#define FUZZ_LENT_MAX 32u
/* How many ways fuzz_lender_play knows. */
#define FUZZ_LENDER_WAYS 16u

struct fuzz_peer;

typedef struct fuzz_block {
    void *bytes;
    wr_shared_frame frame; /* that stands for it */
} fuzz_block;

typedef struct fuzz_lender {
    wr_shared_pool *pool; /* NULL: not yet */
    bool told;
    fuzz_block blocks[FUZZ_BLOCKS_MAX];
    size_t block_count;
    wr_peer_pool *theirs;        /* NULL: it has not come */
    bool wild;                   /* it returned what it was not to: what it is lent may change */
    bool keeps;                  /* what it is lent, as far as there is room to note it */
    wr_lent lent[FUZZ_LENT_MAX]; /* what it keeps */
    size_t lent_count;
} fuzz_lender;

/* The connection is gone. */
void fuzz_lender_close(fuzz_lender *lender);
/* Send such a message by reference. False: not by reference, for want of room. */
bool fuzz_lender_send(fuzz_lender *lender, struct fuzz_peer *peer, const weir_message *msg);
/* Understand a frame of Weir's that wr_shared_frame_is accepts, required to be right; the message
 * that it stands for, copied, or NULL. */
weir_message *fuzz_lender_take(fuzz_lender *lender, struct fuzz_peer *peer, const uint8_t *frame,
                               size_t size);
/* Say in the pool how many messages are processed, and whether more are waited for. */
void fuzz_lender_say(fuzz_lender *lender, struct fuzz_peer *peer, uint64_t count, bool waits);
/* Something that is odd, or wrong. */
void fuzz_lender_play(fuzz_lender *lender, struct fuzz_peer *peer, const fuzz_step *step);

#endif
