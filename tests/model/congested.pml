/* SPDX-License-Identifier: MIT
 *
 * Model of back-pressure: a source node S with two "block" links to two sinks; congest and uncongest
 * of link.c, wr_link_relieve, wr_node_congest, wr_node_uncongest with the flag `held`, the end of
 * run_some and run_once in node_run.c, and a publisher on a thread of its own that waits for room as
 * wait_for_room does. S is a sink, too: what it has to forward is its work, and nobody but
 * wr_node_uncongest wakes it while some is left.
 *
 * The mailboxes are counts, and the wake-up of a sink is "its mailbox is not empty" (pending.pml is
 * about that one). A forwarding run of S takes one of WORK messages and puts it on both links.
 *
 * Verified: at rest all messages are forwarded and consumed, the waiting publisher is through, no
 * link is congested and the source's count is 0.
 *
 * Mutations, each of which must be found:
 *   NO_RECHECK   congest does not look for room after it set the flag
 *   NO_SIGNAL    the last uncongest does not signal waiting publishers
 *   NO_WAKE      the last uncongest does not wake the source
 *   NO_HELD      a run that ends with work left does not say so
 *   HELD_FIRST   ... or says so only if it was congested before the look that ends the run
 *   HELD_LATE    ... or says so after that look
 *   LATE_COUNT   a waiting publisher looks for room before it counts itself as a waiter
 */
#define LINKS 2
#define LIMIT 1
#define ROOM (LIMIT / 2)
#ifndef WORK
#define WORK 1 /* messages that the source forwards; 2 take ten times as long */
#endif
#ifndef OWN
#define OWN 1 /* messages of the waiting publisher */
#endif

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define AGAIN 3

byte queued[LINKS];
bool congested_flag[LINKS];
short congested; /* node.congested of the source */
byte consumed[LINKS];

byte state = QUEUED;
bool runnable = true;
byte work = WORK;
bool held;    /* node.held: a run ended with work left */
bool through; /* the waiting publisher has published everything */

byte waiters;
bool sleeping; /* the waiting publisher is in wr_cond_wait */
bool locked;   /* node.lock */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline signal() {
#ifndef NO_SIGNAL
    if
    :: waiters > 0 -> lock(); sleeping = false; unlock()
    :: else
    fi;
#endif
    skip
}

inline wake() {
#ifndef NO_WAKE
    atomic { /* pending.pml has it step by step */
        if
        :: state == IDLE -> state = QUEUED; runnable = true
        :: state == RUNNING -> state = AGAIN
        :: else
        fi
    };
#endif
    skip
}

inline uncongest(link) {
    atomic { was = congested_flag[link]; congested_flag[link] = false }
    if
    :: was ->
        atomic { before = congested; congested-- }
        if
        :: before <= 1 ->
            signal();
            if
            :: held ->
                atomic { was = held; held = false }
                if
                :: was -> wake()
                :: else
                fi
            :: else
            fi
        :: else
        fi
    :: else
    fi
}

inline put(link) {
    atomic { queued[link]++; at_limit = queued[link] >= LIMIT }
    if
    :: at_limit && !congested_flag[link] ->
        atomic { was = congested_flag[link]; congested_flag[link] = true }
        if
        :: !was ->
            congested++;
#ifndef NO_RECHECK
            if
            :: queued[link] <= ROOM -> uncongest(link)
            :: else
            fi
#endif
        :: else
        fi
    :: else
    fi
}

proctype sink(byte link) {
    bool was;
    short before;
end:
    do
    :: queued[link] > 0 ->
        atomic { consumed[link] = consumed[link] + queued[link]; queued[link] = 0 } /* take */
        if /* relieve */
        :: congested_flag[link] ->
            if
            :: queued[link] <= ROOM -> uncongest(link)
            :: else
            fi
        :: else
        fi
    od
}

/* The thread that runs the source. */
proctype source() {
    bool was;
    bool at_limit;
    short before;
    bool more;
end:
    do
    :: atomic { runnable -> runnable = false }
        state = RUNNING;
        if
        :: congested <= 0 && work > 0 -> work--; put(0); put(1)
        :: else
        fi;
        more = work > 0;
        if
        :: more ->
#ifdef HELD_FIRST
            if
            :: congested > 0 -> held = true
            :: else
            fi;
            more = congested <= 0
#else
            more = congested <= 0;
            if
            :: !more ->
#ifndef NO_HELD
#ifdef HELD_LATE
                more = congested <= 0;
                held = true
#else
                held = true;
                more = congested <= 0
#endif
#endif
            :: else
            fi
#endif
        :: else
        fi;
        atomic {
            if
            :: !more && state == RUNNING -> state = IDLE
            :: else -> more = true
            fi
        }
        if
        :: more -> state = QUEUED; runnable = true
        :: else
        fi
    od
}

proctype publisher() {
    bool was;
    bool at_limit;
    short before;
    byte count = 0;
    do
    :: count == OWN -> break
    :: else ->
        if
        :: congested > 0 ->
#ifdef LATE_COUNT
            lock();
            do
            :: congested <= 0 -> break
            :: else ->
                waiters++;
                atomic { sleeping = true; locked = false }
                !sleeping;
                lock();
                waiters--
            od;
            unlock()
#else
            waiters++;
            lock();
            do
            :: congested <= 0 -> break
            :: else ->
                atomic { sleeping = true; locked = false } /* wr_cond_wait */
                !sleeping;
                lock()
            od;
            unlock();
            waiters--
#endif
        :: else
        fi;
        put(0);
        put(1);
        count++
    od;
    through = true
}

init {
    atomic {
        run sink(0);
        run sink(1);
        run source();
        run publisher()
    }
    timeout; /* nothing can happen any more */
    assert(through);
    assert(work == 0 && state == IDLE);
    assert(consumed[0] == WORK + OWN && consumed[1] == WORK + OWN);
    assert(congested == 0 && !congested_flag[0] && !congested_flag[1] && waiters == 0)
}
