/* SPDX-License-Identifier: MIT
 *
 * The lock with an owner (contract in owned_lock.h).
 *
 * The owner stores `inside` and then looks at `wanted`; another thread adds to `wanted`, has every
 * thread pass a fence, and then looks at `inside`. So one of them sees the other: the owner goes
 * out again and takes the mutex like everybody, or the other waits until it has left. The compiler
 * must keep the owner's order, hence the signal fences (tests/model/owned_lock.pml).
 *
 * `owner` changes under the mutex. A former owner may have found itself there just before; once
 * `wanted` is 0 again it sees the change, so it looks once more after that. Only one thread ever
 * stores `inside`, so nobody else's is overwritten.
 */
#include "proxy/owned_lock.h"

#include <stddef.h>

static WR_THREAD_LOCAL_SMALL char own_mark; /* its address tells this thread from the others */

void wr_owned_lock_init(wr_owned_lock *lock)
{
    *lock = (wr_owned_lock){.may_own = wr_thread_can_fence_others()};
    wr_mutex_init(&lock->mutex);
    wr_cond_init(&lock->left);
}

void wr_owned_lock_deinit(wr_owned_lock *lock)
{
    wr_cond_deinit(&lock->left);
    wr_mutex_deinit(&lock->mutex);
}

static bool is_owner(const wr_owned_lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == &own_mark;
}

/* The owner goes out, and wakes who waits for that. */
static void leave(wr_owned_lock *lock)
{
    atomic_store_explicit(&lock->inside, false, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&lock->wanted, memory_order_relaxed) > 0) {
        wr_mutex_lock(&lock->mutex);
        wr_cond_broadcast(&lock->left);
        wr_mutex_unlock(&lock->mutex);
    }
}

/* Acquire: what those did who had it by the mutex. */
static bool enter(wr_owned_lock *lock)
{
    atomic_store_explicit(&lock->inside, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&lock->wanted, memory_order_acquire) == 0 && is_owner(lock)) {
        return true;
    }
    leave(lock);
    return false;
}

/* Until the owner is out. With the mutex. */
static void wait_for_owner(wr_owned_lock *lock)
{
    wr_thread_fence_others();
    while (atomic_load_explicit(&lock->inside, memory_order_acquire)) {
        wr_cond_wait(&lock->left, &lock->mutex);
    }
}

/* Somebody else than the owner has it. Is it worth the fences? With the mutex. */
static void weigh_owner(wr_owned_lock *lock)
{
    lock->vain = lock->times >= WR_OWNED_LOCK_WORTH ? 0 : lock->vain + 1;
    if (lock->vain >= WR_OWNED_LOCK_VAIN_MAX) {
        atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
    }
}

static void take_by_mutex(wr_owned_lock *lock)
{
    atomic_fetch_add(&lock->wanted, 1);
    wr_mutex_lock(&lock->mutex);
    const char *owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    if (owner != NULL && owner != &own_mark) {
        wait_for_owner(lock);
        weigh_owner(lock);
    }
    lock->by_owner = false;
    if (lock->candidate != &own_mark) {
        lock->times = 0;
    }
}

void wr_owned_lock_take(wr_owned_lock *lock)
{
    if (is_owner(lock) && enter(lock)) {
        lock->by_owner = true;
        lock->times++;
        return;
    }
    take_by_mutex(lock);
}

/* Become the owner, perhaps. With the mutex. */
static void note_often(wr_owned_lock *lock)
{
    if (!lock->may_own || is_owner(lock) || (lock->chosen && lock->candidate != &own_mark)) {
        return;
    }
    lock->candidate = &own_mark;
    if (++lock->times >= WR_OWNED_LOCK_WORTH) {
        lock->chosen = true;
        lock->vain = 0;
        atomic_store_explicit(&lock->owner, &own_mark, memory_order_relaxed);
    }
}

void wr_owned_lock_take_often(wr_owned_lock *lock)
{
    wr_owned_lock_take(lock);
    if (!lock->by_owner) {
        note_often(lock);
    }
}

void wr_owned_lock_give(wr_owned_lock *lock)
{
    if (lock->by_owner) {
        leave(lock);
        return;
    }
    wr_mutex_unlock(&lock->mutex);
    atomic_fetch_sub_explicit(&lock->wanted, 1, memory_order_release);
}
