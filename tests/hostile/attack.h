/* SPDX-License-Identifier: MIT
 *
 * The attacks: until so many frames, or control messages, were surely taken by the victim. Each
 * runs on a thread of its own.
 */
#ifndef WR_HOSTILE_ATTACK_H
#define WR_HOSTILE_ATTACK_H

#include <stdatomic.h>

#include "../fuzz/fuzz.h"
#include "platform/thread.h"

/* What all attackers of a phase share. */
typedef struct attack_plan {
    uint64_t wanted; /* frames */
    atomic_uint_fast64_t counted;
    atomic_uint_fast64_t accepted; /* of those, well-formed ones */
    atomic_uint_fast64_t connections;
    atomic_uint_fast64_t served; /* good sessions in between, of attacks on a remote */
    atomic_uint running;         /* attackers */
} attack_plan;

typedef struct attacker {
    attack_plan *plan;
    fuzz_random random;
    char control_path[108];
    char folder[64];
    const char *args; /* of the module to create, by attacks on a remote */
    wr_thread thread;
} attacker;

/* On a gateway, as a remote module: frames on message channels, control messages. */
void attack_gateway_messages(void *attacker);
void attack_gateway_control(void *attacker);
/* On a remote module, as a gateway. */
void attack_remote_messages(void *attacker);
void attack_remote_control(void *attacker);

static inline bool attack_is_over(const attack_plan *plan)
{
    return atomic_load(&plan->counted) >= plan->wanted;
}

#endif
