/* SPDX-License-Identifier: MIT
 *
 * Model of a node that its publishers may run (run_by_publisher: run_here, run_and_settle and
 * wr_node_wake of node_run.c): two publishers, a pool thread, and a consumer that pauses once and is
 * made ready by another thread, as a proxy whose socket was full.
 *
 * The mailbox is a count; that of a message is exact in pending.pml. `hand` is what the consumer did
 * not take.
 *
 * Verified: no two threads run the node at once, the link is in the node's lists once, and when
 * everything has come to rest all messages are consumed and the node is idle.
 *
 * Mutations, each of which must be found:
 *   PLAIN_RUN    a publisher that sees the node idle runs it without compare-and-swap
 *   NO_WAKE      a publisher that cannot run the node does not wake it
 *   NO_AGAIN     a wake-up of a running node is ignored
 *   NO_RECHECK   settle clears `pending` without looking at the mailbox again
 *   LOST_READY   ready is set without waking the node
 */
#define PUBLISHERS 2
#define PER 2 /* messages of each publisher */

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define AGAIN 3

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

inline enqueue() { atomic { runnable++; assert(runnable == 1) } }

inline wake() {
    atomic { /* pending.pml has it step by step */
        woken = false;
        if
        :: state == IDLE -> state = QUEUED; woken = true
#ifndef NO_AGAIN
        :: state == RUNNING -> state = AGAIN
#endif
        :: else
        fi
    }
    if
    :: woken -> enqueue()
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

/* The state is RUNNING. */
inline run_and_settle() {
    atomic { running++; assert(running == 1) }
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
                    found = queued > 0;
                    if
                    :: found -> queued--; hand++
                    :: else
                    fi
                }
                if
                :: found -> consume()
                :: else -> /* settle */
                    listed--;
                    pending = false;
#ifndef NO_RECHECK
                    if
                    :: queued > 0 ->
                        atomic { was = pending; pending = true }
                        if
                        :: !was -> listed++
                        :: else
                        fi
                    :: else
                    fi
#endif
                fi
            :: else
            fi
        fi
    :: else
    fi;
    more = (listed > 0 || hand > 0) && ready;
    atomic { running--;
        if
        :: more
        :: !more && state == RUNNING -> state = IDLE
        :: else -> more = true
        fi
    }
    if
    :: more -> state = QUEUED; enqueue()
    :: else
    fi
}

proctype publisher() {
    byte count = 0;
    bool was;
    bool woken;
    bool found;
    bool more;
    do
    :: count == PER -> break
    :: else ->
        queued++;
        if
        :: !pending ->
            atomic { was = pending; pending = true }
            if
            :: !was ->
                atomic { stacked++; assert(stacked == 1) }
#ifdef PLAIN_RUN
                if
                :: state == IDLE -> state = RUNNING; run_and_settle()
                :: else -> wake()
                fi
#else
                atomic { /* run_here */
                    found = state == IDLE;
                    if
                    :: found -> state = RUNNING
                    :: else
                    fi
                }
                if
                :: found -> run_and_settle()
                :: else ->
#ifndef NO_WAKE
                    wake()
#endif
                fi
#endif
            :: else
            fi
        :: else
        fi;
        count++
    od
}

proctype pool_thread() {
    bool was;
    bool woken;
    bool found;
    bool more;
end:
    do
    :: atomic { runnable > 0 -> runnable-- }
        state = RUNNING;
        run_and_settle()
    od
}

/* The control loop: the socket can be written again. */
proctype loop() {
    bool woken;
end:
    socket_full;
    ready = true;
#ifndef LOST_READY
    wake()
#endif
}

init {
    atomic {
        run publisher();
        run publisher();
        run pool_thread();
        run loop()
    }
    timeout; /* nothing can happen any more */
    assert(consumed == PUBLISHERS * PER);
    assert(queued == 0 && hand == 0 && listed == 0 && stacked == 0 && !pending && state == IDLE)
}
