/* SPDX-License-Identifier: MIT
 *
 * What a hostile peer says: frames of random and of mutated messages, all well-formed but the last.
 * Which that is, is known here by the same decoders that the victim uses.
 */
#ifndef WR_HOSTILE_BURSTS_H
#define WR_HOSTILE_BURSTS_H

#include "../fuzz/fuzz.h"
#include "base/buffer.h"

typedef struct burst {
    wr_buffer bytes;   /* frames, without a greeting */
    uint64_t counted;  /* frames that the victim surely takes: up to the first that ends it all */
    uint64_t accepted; /* of those, well-formed ones */
} burst;

void burst_deinit(burst *b);
/* Messages; the last frame ends the connection. */
void burst_messages(burst *b, fuzz_random *random);
/* Control messages as a remote module, or as a gateway, sends them; the last ends the connection.
 * `uri`, `args`: what a create of a gateway has before it is mutated. */
void burst_replies(burst *b, fuzz_random *random);
void burst_orders(burst *b, fuzz_random *random, const char *uri, const char *args);

#endif
