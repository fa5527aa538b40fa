/* SPDX-License-Identifier: MIT
 *
 * Memory that runs out where the test says. The program is linked so that each call of malloc and
 * the like, and of pthread_create, in Weir's own code comes here first (--wrap); jansson's calls,
 * too.
 *
 * Between failing_begin and failing_end calls are counted. Where a call stands in the code is its
 * site. Processes are forked from one, so that a site's address is the same in all of them.
 */
#ifndef FAULTS_FAILING_H
#define FAULTS_FAILING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAILING_SITES 512u
#define FAILING_DEPTH 16

typedef struct failing_site {
    _Atomic uintptr_t address; /* 0: not used */
    _Atomic uint64_t calls;
    _Atomic uint64_t failures;
} failing_site;

/* Which call fails: the one with this number, counted from 1, or the first from this site. */
typedef struct failing_plan {
    uint64_t number;
    uintptr_t site;
} failing_plan;

/* In memory that the processes share. */
typedef struct failing_state {
    failing_site sites[FAILING_SITES];
    failing_plan plan;
    atomic_bool armed;
    _Atomic uint64_t calls;
    atomic_bool hit;
    void *trace[FAILING_DEPTH]; /* who made the call that failed */
    int depth;
} failing_state;

/* Once, before the first fork. */
void failing_init(failing_state *shared);
void failing_begin(const failing_plan *plan);
void failing_end(void);

#endif
