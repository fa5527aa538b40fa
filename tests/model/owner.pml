/* SPDX-License-Identifier: MIT
 *
 * Model of the links out of a node as its owner reads them (reader_enter of node.c; other
 * publishers: readers.pml). The broker replaces them and frees the old ones, twice.
 *
 * The owner's stores wait in its store buffer (turn_written is ahead of turn) until the processor
 * drains it, the owner does an atomic operation, or the broker has every thread pass a fence. The
 * owner becomes it while the broker may have begun already.
 *
 * Verified: nobody reads freed links, and the broker never waits for ever.
 *
 * Mutations, each of which must be found:
 *   NO_FENCE     the broker has no fence in the owner's thread
 *   EARLY_FENCE  it has it before it counts itself as waiting
 *   EARLY_LOOK   the broker looks whether there is an owner before it replaces the links
 *   ENTER_LATE   the owner takes its turn after it read the pointer
 *   NO_SIGNAL    the owner that leaves does not wake the broker
 */
#define ROUNDS 3 /* publishes */
#define SWAPS 2

byte out;              /* index of the links in use */
bool freed[SWAPS + 1]; /* by index */

bool owned;        /* there is an owner */
byte turn;         /* as others see it; odd: the owner reads the links */
byte turn_written; /* as the owner does */

byte waiters;
bool sleeping;
bool locked;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline drain() { atomic { turn = turn_written } }

proctype store_buffer() {
end:
    do
    :: atomic { turn != turn_written -> turn++ }
    od
}

proctype owner() {
    byte round = 0;
    byte mine;
    atomic { owned = true; drain() }
    do
    :: round == ROUNDS -> break
    :: else ->
#ifdef ENTER_LATE
        mine = out;
        turn_written++;
#else
        turn_written++;
        mine = out;
#endif
        assert(!freed[mine]); /* wr_link_put, first and last look */
        assert(!freed[mine]);
        turn_written++;
#ifndef NO_SIGNAL
        if
        :: waiters > 0 -> atomic { !locked -> drain(); locked = true }; sleeping = false; unlock()
        :: else
        fi;
#endif
        round++
    od
}

/* wait_owner */
inline wait_for_owner() {
#ifdef EARLY_FENCE
    drain();
#endif
    waiters++;
    lock();
#if !defined(NO_FENCE) && !defined(EARLY_FENCE)
    drain();
#endif
    seen = turn;
    do
    :: seen % 2 == 0 || turn != seen -> break
    :: else ->
        atomic { sleeping = true; locked = false } /* wr_cond_wait */
        !sleeping;
        lock()
    od;
    unlock();
    waiters--
}

proctype broker() {
    byte swaps = 0;
    byte seen;
    byte old;
    bool look;
    do
    :: swaps == SWAPS -> break
    :: else ->
#ifdef EARLY_LOOK
        look = owned;
#endif
        atomic { old = out; out = swaps + 1 }
#ifndef EARLY_LOOK
        look = owned;
#endif
        if
        :: look -> wait_for_owner()
        :: else
        fi;
        freed[old] = true;
        swaps++
    od
}

init {
    atomic {
        run broker();
        run owner();
        run store_buffer()
    }
}
