/* SPDX-License-Identifier: MIT
 *
 * Model of the links out of a node: publishers read them between reader_enter and reader_leave, the
 * broker replaces them with wr_node_swap_out and frees the old ones. Two publishers, two
 * replacements one after the other (the broker's lock keeps them apart).
 *
 * Verified: nobody reads freed links, and the broker never waits for ever.
 *
 * Mutations, each of which must be found:
 *   ONE_PASS    the broker waits for one of the two counters only
 *   LATE_ENTER  a publisher counts itself after it read the pointer
 *   NO_SIGNAL   a publisher that leaves does not wake the broker
 */
#define PUBLISHERS 2
#define ROUNDS 2 /* publishes of each publisher */
#define SWAPS 2

byte epoch;
byte readers[2];
byte out;              /* index of the links in use */
bool freed[SWAPS + 1]; /* by index */

byte waiters;
bool sleeping;
bool locked;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

proctype publisher() {
    byte round = 0;
    byte slot;
    byte mine;
    byte before;
    do
    :: round == ROUNDS -> break
    :: else ->
        slot = epoch % 2;
#ifdef LATE_ENTER
        mine = out;
        readers[slot]++;
#else
        readers[slot]++;
        mine = out;
#endif
        assert(!freed[mine]); /* wr_link_put, first and last look */
        assert(!freed[mine]);
        atomic { before = readers[slot]; readers[slot]-- }
#ifndef NO_SIGNAL
        if
        :: before == 1 ->
            if
            :: waiters > 0 -> lock(); sleeping = false; unlock()
            :: else
            fi
        :: else
        fi;
#endif
        round++
    od
}

inline wait_for(slot) {
    waiters++;
    lock();
    do
    :: readers[slot] == 0 -> break
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
    byte old;
    byte slot;
    do
    :: swaps == SWAPS -> break
    :: else ->
        atomic { old = out; out = swaps + 1 }
        atomic { slot = epoch % 2; epoch++ }
        wait_for(slot);
#ifndef ONE_PASS
        atomic { slot = epoch % 2; epoch++ }
        wait_for(slot);
#endif
        freed[old] = true;
        swaps++
    od
}

init {
    atomic {
        run broker();
        run publisher();
        run publisher()
    }
}
