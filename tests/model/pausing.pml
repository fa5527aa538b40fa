/* SPDX-License-Identifier: MIT
 *
 * Model of what a proxy's node pauses for and who lets it go on: a full window, a full socket, a
 * channel that is closed and opened anew, congestion of the node's own links. wr_proxy_consume,
 * wait_for_acknowledgement, wr_proxy_direct, wr_proxy_flush, wr_proxy_acknowledge of send.c;
 * on_writable, wr_proxy_on_write_task, on_greeted, wr_proxy_close_channel of transfer.c; wr_link_pass
 * of link.c; may_go_on, wr_node_run_here and the end of a run of node_run.c, wr_node_ready and
 * wr_node_uncongest of node.c. One publisher, which owns its node and tries the direct way first, a
 * pool thread, the loop, the remote module, and a sink of what that publishes.
 *
 * Everything is written at once: that what is gathered is written in time is proved in
 * gathering.pml, that a sink is woken in pending.pml. What is done under tx_lock is one step, but
 * where it meets what the loop does without it. Messages are counts.
 *
 * Verified: no two threads run the node at once, messages keep their order, and when everything has
 * come to rest the remote module has them all and the node is idle.
 *
 * Mutations, each of which must be found:
 *   NO_LOOK       who waits for an acknowledgement does not look whether it has come meanwhile
 *   EARLY_LOOK    the loop looks whether somebody waits before it notes the acknowledgement
 *   LATE_PAUSE    the node is paused after tx_lock was given up
 *   NO_POST       the loop is not told that the socket is full
 *   NO_FLUSH      an acknowledgement lets the node go on without sending what waits in the window
 *   NO_ACK_WAITS  who leaves something waiting in the window does not wait for an acknowledgement
 *   NO_GREETING   a new channel does not let the node go on
 *   NO_HELD       a run that ends because of congestion, with work left, does not say so
 *   UNSETTLED     the direct way is taken past what waits in the mailbox
 *   PAST_WINDOW   ... and past what waits in the window
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef WINDOW
#define WINDOW 2 /* messages that may be sent and not acknowledged */
#endif
#define SOCKET 1 /* messages that it holds; the channel's buffer holds one, too */

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define AGAIN 3

/* The node and its link. */
byte queued; /* in the mailbox */
byte hand;   /* taken out of it, and not taken by the consumer */
bool pending;
byte state = IDLE;
bool runnable;
byte running;
bool ready = true;
bool held;
bool congested;

/* The window: what is below `window_acked` is released, what is from `next` on waits. */
byte given, next, window_acked;
bool tx_lock;

byte acknowledged; /* as the loop noted it */
bool ack_waits;

bool open = true;
bool tx_waits;
bool posted;  /* the write task */
bool watched; /* the socket is, until it can be written */
byte unsent;  /* in the channel's buffer */
byte in_socket;
byte processed; /* by the remote module */

byte published;
bool will_close; /* else what it lets go on would hide that nobody else did */
bool closed_once;

inline lock() { atomic { !tx_lock -> tx_lock = true; window_acked = acknowledged } }
inline unlock() { tx_lock = false }

/* The second channel has no shared memory, and its window is smaller. */
#define FULL (next - window_acked >= WINDOW - closed_once)
#define MAY_RUN (ready && !congested)

inline wake() {
    atomic { /* pending.pml has it step by step */
        if
        :: state == IDLE -> state = QUEUED; assert(!runnable); runnable = true
        :: state == RUNNING -> state = AGAIN
        :: else
        fi
    }
}

inline write() {
    if
    :: unsent > 0 && in_socket < SOCKET -> unsent--; in_socket++
    :: else
    fi
}

/* The socket is full. */
inline wait_for_socket() {
    tx_waits = true;
#ifndef NO_POST
    posted = true
#endif
}

/* Flush, and what it said. */
inline flush() {
    write();
    if
    :: unsent > 0 -> wait_for_socket()
    :: else
    fi
}

/* Put the next message into the channel. */
inline send() {
    write();
    sent = unsent == 0;
    if
    :: sent -> unsent++; next++
    :: else
    fi
}

/* One message; it leaves `hand` if it is taken. */
inline consume() {
    lock();
    taken = false;
    if
    :: open && !tx_waits && given == next && FULL ->
        ack_waits = true;
#ifndef NO_LOOK
        window_acked = acknowledged;
#endif
        if
        :: !FULL -> ack_waits = false
        :: else
        fi
    :: else
    fi;
    atomic {
        if
        :: open && !tx_waits && given == next && !FULL ->
            send();
            taken = sent;
            if
            :: sent -> given++; hand--
            :: else
            fi
        :: else
        fi;
        if /* pause_node */
        :: !taken ->
#ifndef LATE_PAUSE
            ready = false;
#endif
            if
            :: open && !tx_waits && !FULL -> wait_for_socket()
            :: else
            fi
        :: else
        fi;
        sent = false;
        unlock()
    }
#ifdef LATE_PAUSE
    if
    :: !taken -> ready = false
    :: else
    fi;
#endif
    taken = false
}

inline drained() {
    atomic {
        lock();
        if
        :: open && !tx_waits -> flush()
        :: else
        fi;
        unlock()
    }
}

inline run_some() {
    do
    :: MAY_RUN && hand > 0 -> consume()
    :: MAY_RUN && hand == 0 && pending ->
        atomic { /* take, or settle */
            if
            :: queued > 0 -> queued--; hand++
            :: else -> pending = false
            fi
        }
    :: else -> break
    od;
    drained()
}

/* The state is RUNNING. */
inline run_node() {
    atomic { running++; assert(running == 1) }
    run_some();
    yes = pending || hand > 0;
    if
    :: yes && !MAY_RUN ->
#ifndef NO_HELD
        held = true;
#endif
        yes = MAY_RUN
    :: else
    fi;
    atomic {
        running--;
        if
        :: !yes && state == RUNNING -> state = IDLE
        :: else -> state = QUEUED; assert(!runnable); runnable = true
        fi;
        yes = false
    }
}

/* On this thread if it is idle. */
inline run_or_wake() {
    atomic {
        yes = state == IDLE;
        if
        :: yes -> state = RUNNING
        :: else
        fi
    }
    if
    :: yes -> run_node()
    :: else -> wake()
    fi
}

inline node_ready() {
    ready = true;
    run_or_wake()
}

/* The message goes into window and channel if nothing is before it. */
inline direct() {
    atomic {
        lock();
        taken = false;
#ifdef PAST_WINDOW
        if
        :: open && !tx_waits && !FULL ->
#else
        if
        :: open && !tx_waits && !FULL && given == next ->
#endif
            send();
            taken = sent;
            if
            :: sent -> assert(given == next - 1 && published == given); given++; flush()
            :: else
            fi
        :: else
        fi;
        sent = false;
        unlock()
    }
}

proctype publisher() {
    bool yes, taken, sent;
    do
    :: published == MESSAGES -> break
    :: else ->
        taken = false;
        if
#ifdef UNSETTLED
        :: MAY_RUN -> direct()
#else
        :: queued == 0 && hand == 0 && MAY_RUN -> direct()
#endif
        :: else
        fi;
        if
        :: taken -> published++
        :: else ->
            atomic { queued++; published++; yes = pending; pending = true }
            if
            :: !yes -> run_or_wake()
            :: else
            fi
        fi;
        atomic { yes = false; taken = false }
    od
}

proctype pool_thread() {
    bool yes, taken, sent;
end:
    do
    :: atomic { runnable -> runnable = false; state = RUNNING }
        run_node()
    od
}

/* wr_proxy_flush; `all`: the socket took all of it. */
inline flush_window() {
    atomic {
        lock();
        if
        :: open ->
            tx_waits = false;
            do
            :: given > next && !FULL && !tx_waits ->
                send();
                if
                :: !sent -> wait_for_socket()
                :: else
                fi
            :: else -> break
            od;
            flush();
#ifndef NO_ACK_WAITS
            if
            :: given > next -> ack_waits = true
            :: else
            fi;
#endif
            watched = tx_waits
        :: else
        fi;
        all = unsent == 0;
        sent = false;
        unlock()
    }
}

inline acknowledge_now() {
    atomic {
        lock();
        go_on = (ack_waits || given > next) && !FULL;
        if
        :: go_on -> ack_waits = false
        :: else
        fi;
        unlock()
    }
    if
    :: go_on ->
        go_on = false;
#ifdef NO_FLUSH
        all = true;
#else
        flush_window();
#endif
        if
        :: all -> node_ready()
        :: else
        fi
    :: else
    fi;
    all = false
}

/* The remote module says how far it is. */
inline acknowledge() {
#ifdef EARLY_LOOK
    go_on = ack_waits;
    acknowledged = processed;
#else
    acknowledged = processed;
    go_on = ack_waits;
#endif
    if
    :: go_on -> acknowledge_now()
    :: else
    fi
}

inline close() {
    atomic {
        lock();
        will_close = false; closed_once = true; open = false; tx_waits = false; ready = false;
        watched = false; unsent = 0; in_socket = 0;
        unlock()
    }
}

/* It says how far it is, and what it has not processed waits again. */
inline reconnect() {
    acknowledge();
    atomic { lock(); next = window_acked; ack_waits = false; unlock() }
    atomic { lock(); open = true; tx_waits = false; unlock() }
    flush_window(); /* it has greeted */
#ifndef NO_GREETING
    if
    :: all -> node_ready()
    :: else
    fi;
#endif
    all = false
}

proctype loop() {
    bool yes, taken, sent, all, go_on;
end:
    do
    :: open && processed != acknowledged -> acknowledge()
    :: posted -> atomic { posted = false; watched = watched || (open && tx_waits) }
    :: open && watched && in_socket < SOCKET ->
        flush_window();
        if
        :: all -> node_ready()
        :: else
        fi;
        all = false
    :: open && will_close -> close()
    :: !open -> reconnect()
    od
}

proctype remote() {
end:
    do
    :: atomic { in_socket > 0 -> in_socket--; processed++ }
    od
}

/* What the remote module publishes is too much for its sink, once, and then it is not. */
proctype sink() {
    bool yes;
    congested = true;
    congested = false;
    if
    :: held ->
        atomic { yes = held; held = false }
        if
        :: yes -> wake()
        :: else
        fi
    :: else
    fi
}

init {
    atomic {
        if
        :: will_close = true
        :: will_close = false
        fi;
        run publisher();
        run pool_thread();
        run loop();
        run remote();
        run sink()
    }
    timeout; /* nothing can happen any more */
    assert(published == MESSAGES && processed == MESSAGES && acknowledged == MESSAGES);
    assert(queued == 0 && hand == 0 && !pending && state == IDLE && given == next)
}
