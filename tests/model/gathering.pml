/* SPDX-License-Identifier: MIT
 *
 * Model of a node that its publishers run, as a proxy's: wr_link_put with run_batch of link.c;
 * wr_node_add_pending, gather, run_from, wr_node_run_gathered, wr_node_run_here, run_and_settle,
 * wr_node_wake of node_run.c; wr_node_ready of node.c; gather and wr_proxy_on_alarm of the proxy's
 * send.c. Two publishers, a pool thread, the control loop with the alarm, and a consumer that
 * pauses once and is made ready by the loop, as when the socket was full.
 *
 * The mailbox is a count; that of a message is exact in pending.pml. `hand` is what the consumer did
 * not take. A run takes one message at the most. A publisher's run goes on ONWARD times.
 *
 * Verified: no two threads run the node at once, the link is in the node's lists once, and when
 * everything has come to rest all messages are consumed and the node is idle.
 *
 * Mutations, each of which must be found:
 *   PLAIN_RUN       a thread that sees the node gathering runs it without compare-and-swap
 *   NO_WAKE         a publisher that finds the node neither idle nor gathering does not wake it
 *   NO_AGAIN        a wake-up of a running node is ignored
 *   NO_RECHECK      settle clears `pending` without looking at the mailbox again
 *   LOST_READY      ready is set without running or waking the node
 *   LATE_GATHERING  the consumer is asked before the state says that the node gathers
 *   NO_ALARM        the consumer says that it waits and sets no alarm
 *   KEPT_ALARM      the alarm counts as set until what it runs has been run
 *   LATE_RUNNING    a run that goes on takes back the wake-ups of its time at its end
 */
#define FIRST 2 /* messages of the first publisher */
#define SECOND 1
#define BATCH 2
#ifndef ONWARD
#define ONWARD 1
#endif

#define IDLE 0
#define GATHERING 1
#define QUEUED 2
#define RUNNING 3
#define AGAIN 4

byte queued; /* in the mailbox */
byte hand;   /* taken out of it, and not taken by the consumer */
byte consumed;
bool pending;
byte stacked;
byte listed;
byte state = IDLE;
byte runnable; /* the node is in the executor's queue so often */
byte running;
bool ready = true;
bool paused_once;
bool socket_full;
bool alarm_set;
bool alarm_rings;
bool busy_once;

inline enqueue() { atomic { runnable++; assert(runnable == 1) } }

inline wake() {
    atomic { /* pending.pml has it step by step */
        yes = false;
        if
        :: state == IDLE || state == GATHERING -> state = QUEUED; yes = true
#ifndef NO_AGAIN
        :: state == RUNNING -> state = AGAIN
#endif
        :: else
        fi
    }
    if
    :: yes -> enqueue()
    :: else
    fi
}

/* One message to the consumer, which may be full once. */
inline consume() {
    if
    :: !paused_once ->
        paused_once = true; ready = false; socket_full = true /* takes none, and pauses */
    :: true ->
        hand--; consumed++
    fi
}

inline settle() {
    listed--;
    pending = false;
#ifndef NO_RECHECK
    if
    :: queued > 0 ->
        atomic { yes = pending; pending = true }
        if
        :: !yes -> listed++
        :: else
        fi
    :: else
    fi
#endif
}

inline run_some() {
    if
    :: ready ->
        if
        :: hand > 0 -> consume()
        :: else ->
            if
            :: stacked > 0 -> atomic { listed = listed + stacked; stacked = 0 }
            :: else
            fi;
            assert(listed <= 1);
            if
            :: listed > 0 ->
                atomic {
                    yes = queued > 0;
                    if
                    :: yes -> queued--; hand++
                    :: else
                    fi
                }
                if
                :: yes -> consume()
                :: else -> settle()
                fi
            :: else
            fi
        fi
    :: else
    fi;
    more = (listed > 0 || hand > 0 || stacked > 0) && ready
}

/* The state is RUNNING. */
inline run_and_settle(onward) {
    atomic { running++; assert(running == 1); left = onward }
    do
    :: true ->
        run_some();
#ifdef LATE_RUNNING
        if
        :: left < onward -> state = RUNNING
        :: else
        fi;
#endif
        atomic {
            if
            :: !more && state == RUNNING -> state = IDLE; running--
            :: else -> more = true
            fi
        }
        if
        :: !more -> break
        :: more && left > 0 ->
            left--;
#ifndef LATE_RUNNING
            state = RUNNING
#endif
        :: else ->
            running--;
            state = QUEUED;
            enqueue();
            break
        fi
    od;
    atomic { left = 0; more = false } /* of no use any more, and states less */
}

inline run_from(from) {
#ifdef PLAIN_RUN
    yes = state == from;
    if
    :: yes -> state = RUNNING
    :: else
    fi;
#else
    atomic {
        yes = state == from;
        if
        :: yes -> state = RUNNING
        :: else
        fi
    }
#endif
    if
    :: yes -> run_and_settle(ONWARD)
    :: else
    fi
}

/* The consumer, under its lock. */
inline ask() {
    atomic {
        if
        :: wait = false
        :: wait = true;
#ifndef NO_ALARM
            if
            :: !alarm_set -> alarm_set = true; alarm_rings = true
            :: else
            fi
#endif
        fi
    }
}

inline gather() {
#ifdef LATE_GATHERING
    ask();
#endif
    atomic {
        seen = state;
        if
        :: seen == IDLE -> state = GATHERING
        :: else
        fi
    }
    if
    :: seen == IDLE ->
#ifndef LATE_GATHERING
        ask();
#endif
        if
        :: !wait -> run_from(GATHERING)
        :: else
        fi
    :: seen == GATHERING
    :: else ->
#ifndef NO_WAKE
        wake()
#endif
    fi
}

proctype publisher(byte messages) {
    byte count = 0;
    byte seen;
    byte left;
    bool wait;
    bool yes;
    bool more;
    do
    :: count == messages -> break
    :: else ->
        queued++;
        if
        :: !pending ->
            atomic { yes = pending; pending = true }
            if
            :: !yes ->
                atomic { stacked++; assert(stacked == 1) }
                gather()
            :: else
            fi
        :: else
        fi;
        if /* run_batch */
        :: queued >= BATCH -> run_from(GATHERING)
        :: else
        fi;
        atomic { count++; seen = 0; wait = false; yes = false }
    od
}

proctype pool_thread() {
    byte left;
    bool yes;
    bool more;
end:
    do
    :: atomic { runnable > 0 -> runnable-- }
        state = RUNNING;
        run_and_settle(0);
        yes = false
    od
}

/* The control loop: the alarm rings, or the socket can be written again. */
proctype loop() {
    byte left;
    bool yes;
    bool more;
    bool busy;
end:
    do
    :: alarm_rings ->
        alarm_rings = false;
        atomic { /* under the consumer's lock */
            busy = false;
#ifndef KEPT_ALARM
            alarm_set = false;
#endif
            if
            :: !busy_once -> busy_once = true; busy = true; alarm_set = true; alarm_rings = true
            :: true
            fi
        }
        if
        :: !busy ->
            run_from(GATHERING);
#ifdef KEPT_ALARM
            alarm_set = false
#endif
        :: else
        fi;
        atomic { yes = false; busy = false }
    :: socket_full ->
        socket_full = false;
        ready = true;
#ifndef LOST_READY
        run_from(IDLE);
        if
        :: !yes -> run_from(GATHERING)
        :: else
        fi;
        if
        :: !yes -> wake()
        :: else
        fi;
        yes = false
#endif
    od
}

init {
    atomic {
        run publisher(FIRST);
        run publisher(SECOND);
        run pool_thread();
        run loop()
    }
    timeout; /* nothing can happen any more */
    assert(consumed == FIRST + SECOND);
    assert(queued == 0 && hand == 0 && listed == 0 && stacked == 0 && !pending && state == IDLE)
}
