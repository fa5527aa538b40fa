/* SPDX-License-Identifier: MIT
 *
 * A module that requires the contract of weir/module.h: the order of its calls, one at a time, no
 * message of a connection lost or twice. It publishes numbers, counted from 0 over all its lives.
 */
#ifndef WR_FUZZ_PROBE_H
#define WR_FUZZ_PROBE_H

#include "fuzz.h"
#include "weir/module.h"

/* How it behaves. */
#define FUZZ_PROBE_ECHO 1u /* publishes for each message */
#define FUZZ_PROBE_FAIL_CREATE 2u
#define FUZZ_PROBE_FAIL_START 4u
#define FUZZ_PROBE_SPEAK_CREATE 8u /* publishes in create */
#define FUZZ_PROBE_SPEAK_START 16u
#define FUZZ_PROBE_SPEAK_DESTROY 32u

/* The first number in what is sent to it is that of a connection, from here on; what it publishes
 * itself has smaller ones. */
#define FUZZ_PROBE_CONNECTIONS ((uint64_t)1 << 32)

typedef enum fuzz_probe_state {
    FUZZ_PROBE_NONE,
    FUZZ_PROBE_CREATED,
    FUZZ_PROBE_STARTED
} fuzz_probe_state;

typedef struct fuzz_probe {
    unsigned behaviour;
    fuzz_probe_state state;
    bool inside; /* one of its functions */
    weir_host *host;
    uint64_t created, destroyed; /* times */
    uint64_t published;          /* messages, the next number */
    uint64_t received;           /* with numbers: (connection, place in it) */
    uint64_t connection;         /* of the last one */
    uint64_t place;
} fuzz_probe;

/* There is one. */
extern fuzz_probe fuzz_probe_module;
extern const weir_module_api fuzz_probe_api;

/* Publish `count` numbers from outside its functions, where a module exists. */
void fuzz_probe_publish(size_t count, size_t extra);

#endif
