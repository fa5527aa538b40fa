/* SPDX-License-Identifier: MIT
 *
 * Model of the watchdog's sleep (src/gateway/watchdog.c): modules' threads that begin and end calls,
 * and the watchdog, which sleeps without a timer when nobody was active since its last look.
 *
 * One module stays in its last call for ever. A timer is a step that may always be taken, so "the
 * watchdog looks again" is the model's word for "it finds the overrun in time".
 *
 * Verified: when everything has come to rest, the watchdog has found the module that stays.
 *
 * Mutations, each of which must be found:
 *   NO_RECHECK   the watchdog does not look for calls after it said that it is asleep
 *   LATE_INSIDE  a thread looks whether the watchdog is asleep before it says that it is inside
 *   NO_WAKE      a thread that finds the watchdog asleep does not wake it
 */
#define MODULES 2
#define CALLS 2 /* of each module; the last one of module 0 does not return */

byte calls[MODULES]; /* odd: inside */
byte seen[MODULES];
bool asleep;
bool sleeping; /* in wr_cond_wait without a timer */
bool locked;
bool found;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

proctype module(byte id) {
    byte count = 0;
    bool saw;
    do
    :: count == CALLS -> break
    :: else ->
#ifdef LATE_INSIDE
        saw = asleep;
        calls[id]++;
#else
        calls[id]++;
        saw = asleep;
#endif
#ifndef NO_WAKE
        if
        :: saw -> lock(); asleep = false; sleeping = false; unlock()
        :: else
        fi;
#endif
        count++;
        if
        :: id == 0 && count == CALLS -> break /* stays inside */
        :: else -> calls[id]++
        fi
    od
}

proctype watchdog() {
    byte i;
    byte now;
    bool busy;
    lock();
    do
    :: found -> break
    :: else ->
        busy = false; /* look */
        i = 0;
        do
        :: i == MODULES -> break
        :: else ->
            now = calls[i];
            if
            :: now % 2 == 1 && now == seen[i] && i == 0 && now == 2 * CALLS - 1 -> found = true
            :: else
            fi;
            if
            :: now != seen[i] || now % 2 == 1 -> busy = true
            :: else
            fi;
            seen[i] = now;
            i++
        od;
        if
        :: found -> break
        :: busy -> unlock(); lock() /* a period; nobody wakes it before that */
        :: else ->
            asleep = true;
#ifndef NO_RECHECK
            i = 0;
            do
            :: i == MODULES -> break
            :: else ->
                if
                :: calls[i] % 2 == 1 -> asleep = false
                :: else
                fi;
                i++
            od;
#endif
            do
            :: !asleep -> break
            :: else ->
                atomic { sleeping = true; locked = false } /* wr_cond_wait */
end:            !sleeping;
                lock()
            od
        fi
    od;
    unlock()
}

init {
    atomic {
        run module(0);
        run module(1);
        run watchdog()
    }
    timeout; /* nothing can happen any more */
    assert(found)
}
