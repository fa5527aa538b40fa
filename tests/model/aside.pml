/* SPDX-License-Identifier: MIT
 *
 * Model of the control loop's two threads (src/loop/loop.c: step_aside, lead, stand_by,
 * sleep_until_step, wr_loop_step_aside; src/broker/node_run.c: wr_node_run_collected and
 * wr_node_put_collected). The loop turns TURNS times; in a turn it may step aside with two nodes to
 * run, of which the first may stay in its module for ever, once.
 *
 * A wait with a time limit may end at any moment, so that "in time" is no part of the model.
 *
 * Verified: only one thread leads the loop at a time, every node that was to be run is run once or
 * left to the pool once, and when nothing can happen any more the loop has done all its turns and
 * everybody but a thread in a module that stays has left.
 *
 * Mutations, each of which must be found:
 *   LATE_ASLEEP  who goes to sleep says so after it looked at the loop for the last time
 *   NO_LOOK      ... or looks then only whether steps were counted
 *   LATE_VACANT  who steps aside makes the loop vacant after it looked whether anybody sleeps
 *   PLAIN_TAKE   who stands by takes a vacant loop without an exchange
 *   PLAIN_BACK   who comes back takes the loop although it is not vacant any more
 *   NO_RESCUE    who takes the loop over leaves nothing to the pool
 *   PLAIN_PUT    ... leaves to the pool what it saw, without an exchange
 *   NO_END       the end of the loop wakes nobody
 */
#define TURNS 3
#define NODES 2 /* that are run in a step aside */

byte turns;
byte leading;
byte steps;
bool vacant;
bool asleep;
bool standing_by;
bool ended;
byte left_threads;
bool stays;       /* a module has kept a thread for ever */
bool place[NODES]; /* a node that waits to be run */
byte to_run;
byte run_or_put;

bool locked;
bool sleeping; /* in wr_cond_wait without a limit */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* Run what was collected. */
inline run_aside() {
    i = 0;
    do
    :: i == NODES -> break
    :: else ->
        atomic { got = place[i]; place[i] = false }
        if
        :: got ->
            run_or_put++;
            if
            :: i == 0 && !stays ->
                stays = true;
end_inside:     false /* for ever */
            :: true
            fi
        :: else
        fi;
        i++
    od
}

/* `back`: the loop is this thread's again. */
inline step_aside() {
    place[0] = true; place[1] = true; to_run = to_run + NODES;
    leading--;
    steps++;
#ifdef LATE_VACANT
    got = asleep;
    vacant = true;
#else
    vacant = true;
    got = asleep;
#endif
    if
    :: got -> lock(); sleeping = false; unlock()
    :: else
    fi;
    run_aside();
    atomic { back = vacant; vacant = false }
#ifdef PLAIN_BACK
    back = true;
#endif
    if
    :: back -> leading++; assert(leading == 1)
    :: else
    fi
}

/* `more`: another thread leads now. */
inline lead() {
    more = false;
    do
    :: turns == TURNS -> break
    :: turns < TURNS ->
        assert(leading == 1);
        turns++;
        if
        :: standing_by ->
            step_aside();
            if
            :: !back -> more = true; break
            :: else
            fi
        :: true
        fi
    od;
    if
    :: !more ->
        lock();
        ended = true;
#ifndef NO_END
        sleeping = false;
#endif
        unlock();
        leading--
    :: else
    fi
}

inline put_collected() {
#ifndef NO_RESCUE
    i = 0;
    do
    :: i == NODES -> break
    :: else ->
#ifdef PLAIN_PUT
        got = place[i];
        place[i] = false;
#else
        atomic { got = place[i]; place[i] = false }
#endif
        if
        :: got -> run_or_put++
        :: else
        fi;
        i++
    od;
#endif
    skip
}

inline sleep_until_step() {
#ifndef LATE_ASLEEP
    asleep = true;
#endif
    do
#ifdef NO_LOOK
    :: steps != seen || ended -> break
#else
    :: steps != seen || vacant || ended -> break
#endif
    :: else ->
#ifdef LATE_ASLEEP
        asleep = true;
#endif
        atomic { sleeping = true; locked = false } /* wr_cond_wait */
        !sleeping;
        lock()
    od;
    asleep = false
}

/* `taken`: this thread leads. */
inline stand_by() {
    lock();
    taken = false;
    standing_by = true;
    do
    :: taken || ended -> break
    :: else ->
        seen = steps;
        unlock(); /* wr_cond_wait_until: its time is over */
        lock();
        if
        :: steps != seen
        :: else ->
            if
            :: !vacant -> sleep_until_step()
            :: else ->
#ifdef PLAIN_TAKE
                taken = true; vacant = false
#else
                atomic { taken = vacant; vacant = false }
#endif
            fi
        fi
    od;
    standing_by = false;
    unlock();
    if
    :: taken -> leading++; assert(leading == 1); put_collected()
    :: else
    fi
}

proctype thread(bool first) {
    byte i;
    byte seen;
    bool got;
    bool back;
    bool more;
    bool taken = first;
    do
    :: taken ->
        lead();
        if
        :: more -> stand_by()
        :: else -> break
        fi
    :: !taken ->
        if
        :: ended -> break
        :: else -> stand_by()
        fi
    od;
    left_threads--
}

init {
    atomic {
        leading = 1;
        left_threads = 2;
        run thread(true);
        run thread(false)
    }
    timeout; /* nothing can happen any more */
    assert(turns == TURNS && ended && leading == 0);
    assert(left_threads == 0 || (stays && left_threads == 1));
    assert(run_or_put == to_run && !place[0] && !place[1])
}
