/* SPDX-License-Identifier: MIT
 *
 * Model of the executor's queue and its threads' sleep (src/broker/executor.c): two threads that
 * enqueue nodes, two threads that run them, and one that ends the executor when all has been run.
 *
 * A condition is a count of threads that wait in it; a signal releases one of them if there is one,
 * a broadcast all, and neither is remembered.
 *
 * Verified: every node is run once, and after the end no thread sleeps.
 *
 * Mutations, each of which must be found:
 *   NO_SIGNAL     a node is enqueued without waking anybody
 *   EARLY_LOOK    whoever enqueues looks for idle threads before it holds the lock
 *   LATE_IDLE     a thread counts itself as idle after it gave up the lock to wait
 *   NO_LOOP       a woken thread takes a node without looking whether there is one
 *   ONE_END       the end wakes one thread only
 */
#define THREADS 2
#define PRODUCERS 2
#define PER 2 /* nodes of each */

byte queued;
byte ran;
byte idle;
bool ending;
bool locked;
byte waiting;  /* in wr_cond_wait, not woken */
byte released; /* woken, not yet out of it */
byte ended;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline signal() {
    atomic {
        if
        :: waiting > 0 -> waiting--; released++
        :: else
        fi
    }
}

proctype producer() {
    byte count = 0;
    bool anybody;
    do
    :: count == PER -> break
    :: else ->
#ifdef EARLY_LOOK
        anybody = idle > 0;
        lock();
        queued++;
#else
        lock();
        queued++;
        anybody = idle > 0;
#endif
#ifndef NO_SIGNAL
        if
        :: anybody -> signal()
        :: else
        fi;
#endif
        unlock();
        count++
    od
}

inline wait_for_work() {
#ifdef LATE_IDLE
    atomic { waiting++; locked = false }
    idle++;
#else
    idle++;
    atomic { waiting++; locked = false }
#endif
    atomic { released > 0 -> released-- }
    lock();
    idle--
}

proctype thread() {
    bool done = false;
    do
    :: done -> break
    :: else ->
        lock();
#ifdef NO_LOOP
        if
        :: queued == 0 && !ending -> wait_for_work()
        :: else
        fi;
#else
        do
        :: queued == 0 && !ending -> wait_for_work()
        :: else -> break
        od;
#endif
        if
        :: ending -> done = true
        :: else -> assert(queued > 0); queued--; ran++
        fi;
        unlock()
    od;
    ended++
}

/* Destroying an executor: everything was run, as its nodes were closed before. */
proctype closer() {
    ran == PRODUCERS * PER;
    lock();
    ending = true;
#ifdef ONE_END
    signal();
#else
    atomic { released = released + waiting; waiting = 0 }
#endif
    unlock()
}

init {
    atomic {
        run producer();
        run producer();
        run thread();
        run thread();
        run closer()
    }
    timeout; /* nothing can happen any more */
    assert(ran == PRODUCERS * PER && queued == 0);
    assert(ended == THREADS && idle == 0)
}
