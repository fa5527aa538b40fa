/* SPDX-License-Identifier: MIT
 *
 * Model of the lock with an owner (src/proxy/owned_lock.c): the owner, and two others, each of whom
 * may disown it while it has the lock. An owner that lost the lock may become the owner again when
 * it has it by the mutex.
 *
 * The owner's stores wait in its store buffer until the processor drains it, the owner does an
 * atomic operation, or somebody has every thread pass a fence: turn_written is ahead of turn (odd:
 * inside), and `owning` is its store to `owned`, which comes to an empty buffer and leaves it first.
 *
 * Verified: one at a time has the lock, and nobody waits for ever.
 *
 * Mutations, each of which must be found:
 *   NO_FENCE    the others have no fence in the owner's thread
 *   EARLY_FENCE they have it before they say that they want the lock
 *   FENCE_ONCE  they have it until the first owner was disowned, and not when it came back
 *   EARLY_OWNER they look for an owner before they say that they want the lock
 *   OWN_LATE    the owner comes back only after it gave the mutex
 *   NO_LOOK     the owner does not look once more whether it still is the owner
 *   NO_BACK_OFF the owner goes in where others want the lock
 *   NO_SIGNAL   the owner that leaves does not wake who waits
 */
#define ROUNDS 3
#define OTHERS 2

bool owned = true; /* as others see it */
bool owning;       /* the owner has stored true, and the others do not see it yet */
bool disowned;     /* there was an owner that lost it */
byte turn;         /* as others see it */
byte turn_written; /* as the owner does */
byte wanted;
bool locked;       /* the mutex */
bool sleeping[OTHERS]; /* in wr_cond_wait */
byte inside;       /* threads that have the lock */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline critical() { inside++; assert(inside == 1); inside-- }

inline drain() {
    atomic {
        owned = owned || owning;
        owning = false;
        turn = turn_written
    }
}

proctype store_buffer() {
end:
    do
    :: atomic { owning -> owning = false; owned = true }
    :: atomic { !owning && turn != turn_written -> turn++ }
    od
}

inline wake_all() {
    atomic { sleeping[0] = false; sleeping[1] = false }
}

inline leave() {
    turn_written++;
#ifndef NO_SIGNAL
    if
    :: wanted > 0 -> atomic { !locked -> drain(); locked = true }; wake_all(); unlock()
    :: else
    fi
#endif
}

/* note_often: it is not the owner, and may have come often enough. */
inline come_back() {
    if
    :: !owned && !owning -> owning = true
    :: true
    fi
}

inline take_by_mutex() {
    atomic { drain(); wanted++ };
    atomic { !locked -> drain(); locked = true };
    critical();
#ifdef OWN_LATE
    unlock();
    atomic { drain(); wanted-- };
    come_back()
#else
    come_back();
    atomic { drain(); unlock() };
    atomic { drain(); wanted-- }
#endif
}

proctype owner() {
    byte round = 0;
    bool entered;
    do
    :: round == ROUNDS -> break
    :: else ->
        entered = owned || owning;
        if
        :: entered ->
            turn_written++;
#ifndef NO_BACK_OFF
            if
            :: wanted > 0 -> entered = false
            :: else
            fi;
#endif
#ifndef NO_LOOK
            if
            :: !owned && !owning -> entered = false
            :: else
            fi;
#endif
            if
            :: entered -> critical()
            :: else
            fi;
            leave()
        :: else
        fi;
        if
        :: entered
        :: else -> take_by_mutex()
        fi;
        round++
    od
}

inline fence() {
#ifdef FENCE_ONCE
    if
    :: !disowned -> drain()
    :: else
    fi;
#elif !defined(NO_FENCE) && !defined(EARLY_FENCE)
    drain();
#endif
    skip
}

proctype other(byte id) {
    bool was_owned;
#ifdef EARLY_FENCE
    drain();
#endif
#ifdef EARLY_OWNER
    was_owned = owned;
#endif
    wanted++;
    lock();
#ifndef EARLY_OWNER
    was_owned = owned;
#endif
    if
    :: was_owned ->
        fence();
        do
        :: turn % 2 == 0 -> break
        :: else ->
            atomic { sleeping[id] = true; locked = false } /* wr_cond_wait */
            !sleeping[id];
            lock()
        od;
        if
        :: owned = false; disowned = true /* weigh_owner */
        :: true
        fi
    :: else
    fi;
    critical();
    unlock();
    wanted--
}

init {
    atomic {
        run owner();
        run other(0);
        run other(1);
        run store_buffer()
    }
}
