/* SPDX-License-Identifier: MIT
 *
 * A lock for what one thread, its owner, uses a million times a second and others hardly ever: the
 * owner takes and gives it with plain stores, and every other thread pays a fence in all threads
 * for that (wr_thread_fence_others, microseconds). Without an owner it is a mutex.
 *
 * The first thread that takes it often (wr_owned_lock_take_often), so many times with nobody else
 * in between, becomes the owner; no other one ever does. Where others come so often that their
 * fences cost more than the owner saves, it loses that, until it comes so often again. Not
 * recursive.
 */
#ifndef WR_PROXY_OWNED_LOCK_H
#define WR_PROXY_OWNED_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "platform/thread.h"

/* So many times between two others are worth a fence: about 10 ns are saved each time. */
#define WR_OWNED_LOCK_WORTH 1024u
/* So many fences in a row that were not worth it unmake the owner. */
#define WR_OWNED_LOCK_VAIN_MAX 8u

typedef struct wr_owned_lock {
    wr_mutex mutex; /* held by whoever has the lock, but the owner; guards the changes of `owner` */
    wr_cond left;   /* the owner has left, and somebody waits for that */
    _Atomic(const char *) owner; /* its mark; NULL: nobody now */
    atomic_bool inside;          /* the owner has the lock by this, or is about to see `wanted` */
    _Atomic uint32_t wanted;     /* threads that have the lock by the mutex, or wait for it */

    /* Guarded by the lock. */
    bool may_own;          /* the system has the fence */
    bool by_owner;         /* it is held without the mutex */
    const char *candidate; /* the last one that took it often; for ever, once it was the owner */
    bool chosen;           /* it was */
    uint32_t times;        /* that the candidate, or the owner, took it since somebody else did */
    uint32_t vain;         /* fences in a row that were not worth it */
} wr_owned_lock;

void wr_owned_lock_init(wr_owned_lock *lock);
void wr_owned_lock_deinit(wr_owned_lock *lock);
void wr_owned_lock_take(wr_owned_lock *lock);
/* The same for one who comes often. */
void wr_owned_lock_take_often(wr_owned_lock *lock);
void wr_owned_lock_give(wr_owned_lock *lock);

#endif
