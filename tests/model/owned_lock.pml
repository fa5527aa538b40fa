/* SPDX-License-Identifier: MIT
 *
 * Model of the lock with an owner (src/proxy/owned_lock.c): the owner, and two others, of whom the
 * first disowns it while it has the lock.
 *
 * The owner's stores wait in its store buffer (turn_written is ahead of turn; odd: inside) until
 * the processor drains it, the owner does an atomic operation, or somebody has every thread pass a
 * fence.
 *
 * Verified: one at a time has the lock, and nobody waits for ever.
 *
 * Mutations, each of which must be found:
 *   NO_FENCE    the others have no fence in the owner's thread
 *   EARLY_FENCE they have it before they say that they want the lock
 *   NO_LOOK     the owner does not look once more whether it still is the owner
 *   NO_BACK_OFF the owner goes in where others want the lock
 *   NO_SIGNAL   the owner that leaves does not wake who waits
 */
#define ROUNDS 3

bool owned = true;
byte turn;         /* as others see it */
byte turn_written; /* as the owner does */
byte wanted;
bool locked;       /* the mutex */
byte sleeping;     /* threads in wr_cond_wait */
byte inside;       /* threads that have the lock */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline drain() { atomic { turn = turn_written } }
inline critical() { inside++; assert(inside == 1); inside-- }

proctype store_buffer() {
end:
    do
    :: atomic { turn != turn_written -> turn++ }
    od
}

inline leave() {
    turn_written++;
#ifndef NO_SIGNAL
    if
    :: wanted > 0 -> atomic { !locked -> drain(); locked = true }; sleeping = 0; unlock()
    :: else
    fi
#endif
}

proctype owner() {
    byte round = 0;
    bool mine;
    bool entered;
    do
    :: round == ROUNDS -> break
    :: else ->
        mine = owned;
        entered = false;
        if
        :: mine ->
            turn_written++;
            entered = true;
#ifndef NO_BACK_OFF
            if
            :: wanted > 0 -> entered = false
            :: else
            fi;
#endif
#ifndef NO_LOOK
            if
            :: !owned -> entered = false
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
        :: else ->
            atomic { drain(); wanted++ };
            atomic { !locked -> drain(); locked = true };
            critical();
            unlock();
            atomic { drain(); wanted-- }
        fi;
        round++
    od
}

proctype other(bool disowns) {
    bool was_owned;
#ifdef EARLY_FENCE
    drain();
#endif
    wanted++;
    lock();
    was_owned = owned;
    if
    :: was_owned ->
#if !defined(NO_FENCE) && !defined(EARLY_FENCE)
        drain();
#endif
        do
        :: turn % 2 == 0 -> break
        :: else ->
            atomic { sleeping = sleeping | (1 << disowns); locked = false } /* wr_cond_wait */
            (sleeping & (1 << disowns)) == 0;
            lock()
        od;
        if
        :: disowns -> owned = false
        :: else
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
        run other(true);
        run other(false);
        run store_buffer()
    }
}
