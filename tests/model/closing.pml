/* SPDX-License-Identifier: MIT
 *
 * Model of the end of a link: wr_broker_unlink (remove_link, wr_link_close, wr_node_sweep) and
 * wr_broker_close (wr_link_close, wr_node_close with take_run_right, give_up) of broker.c, link.c and
 * node.c; sweep, drop_closed and run_link of node_run.c; wr_link_put and the last wr_link_unref of
 * link.c. One link, two publishers of its source, a thread of the pool, and one that unlinks, closes
 * the sink, or does one after the other. The sink may be paused for good.
 *
 * That wr_node_wait_publishers waits for all who began before is proved in readers.pml; here they
 * are counted.
 *
 * Verified: one thread at a time takes from the mailbox, nobody uses a freed link, and at rest every
 * message is delivered or dropped, and the link is freed if it was removed.
 *
 * Mutations, each of which must be found:
 *   UNLINK_NO_WAIT  unlinking does not wait for publishers that may still use the link
 *   CLOSE_NO_WAIT   closing gives up what is queued while publishers may still use the link
 *   NO_SWEEP        unlinking does not wake the sink, which may be paused
 *   SWEEP_LATE      ... or says what to do only after it woke it
 *   NO_RIGHT        closing gives up what is queued while a thread may run the sink
 *   NO_REFUSE       a publisher does not look whether the link is closed
 *   RUN_CLOSED      a closed sink is run
 */
#define PER 2 /* messages of each publisher */

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define AGAIN 3
#define CLOSED 4

bool linked = true; /* the source's links out, as publishers read them */
byte readers;
byte refs = 2;      /* of the link: the source's fanout, the broker's list; pending ones */
bool link_closed;
bool pending;
byte stacked;
byte listed;
bool do_sweep;
bool paused;
bool removed;
byte state = IDLE;
byte runnable;
byte takers; /* threads that take from the mailbox */

byte queued;
byte accepted;
byte delivered;
byte dropped;

inline use_link() { assert(refs > 0) }
inline unref() { atomic { assert(refs > 0); refs-- } }

inline wake() {
    atomic { /* pending.pml has it step by step */
        yes = false;
        if
#ifdef RUN_CLOSED
        :: state == IDLE || state == CLOSED -> state = QUEUED; yes = true
#else
        :: state == IDLE -> state = QUEUED; yes = true
#endif
        :: state == RUNNING -> state = AGAIN
        :: else
        fi
    }
    if
    :: yes -> runnable++
    :: else
    fi
}

inline purge() {
    atomic { takers++; assert(takers == 1) }
    use_link();
    atomic { dropped = dropped + queued; queued = 0 }
    takers--
}

inline drop_closed() { purge(); unref() }

proctype publisher() {
    byte count = 0;
    bool yes;
    do
    :: count == PER -> break
    :: else ->
        atomic { readers++; yes = linked }
        if
        :: yes ->
            use_link();
#ifdef NO_REFUSE
            yes = false;
#else
            yes = link_closed;
#endif
            if
            :: yes -> atomic { accepted++; dropped++ }
            :: else ->
                atomic { use_link(); accepted++; queued++ }
                if
                :: !pending ->
                    atomic { use_link(); yes = pending; pending = true }
                    if
                    :: !yes -> refs++; stacked++; wake()
                    :: else
                    fi
                :: else
                fi
            fi
        :: else
        fi;
        atomic { readers--; count++; yes = false }
    od
}

inline collect_pending() { atomic { listed = listed + stacked; stacked = 0; assert(listed <= 1) } }

inline sweep() {
    atomic { yes = do_sweep; do_sweep = false }
    if
    :: yes ->
        collect_pending();
        if
        :: listed > 0 && link_closed -> listed--; drop_closed()
        :: else
        fi
    :: else
    fi
}

inline run_link() {
    collect_pending();
    if
    :: listed > 0 ->
        if
        :: link_closed -> listed--; drop_closed()
        :: else ->
            atomic { takers++; assert(takers == 1) }
            atomic {
                yes = queued > 0;
                if
                :: yes -> queued--; delivered++
                :: else
                fi
            }
            takers--;
            if
            :: !yes -> /* settle */
                listed--;
                pending = false;
                if
                :: queued > 0 ->
                    atomic { yes = pending; pending = true }
                    if
                    :: !yes -> listed++
                    :: else -> unref()
                    fi
                :: else -> unref()
                fi
            :: else
            fi
        fi
    :: else
    fi
}

proctype pool_thread() {
    bool yes;
    bool more;
end:
    do
    :: atomic { runnable > 0 -> runnable-- }
        state = RUNNING;
        sweep();
        if
        :: !paused -> run_link()
        :: else
        fi;
        more = (listed > 0 || stacked > 0) && !paused;
        atomic {
            if
            :: !more && state == RUNNING -> state = IDLE
            :: else -> more = true
            fi
        }
        if
        :: more -> state = QUEUED; runnable++
        :: else
        fi;
        atomic { yes = false; more = false }
    od
}

inline unlink() {
    linked = false;
#ifndef UNLINK_NO_WAIT
    readers == 0;
#endif
    removed = true;
    unref(); /* the fanout's */
    link_closed = true;
#ifdef SWEEP_LATE
    wake();
    do_sweep = true;
#else
#ifndef NO_SWEEP
    do_sweep = true;
    wake();
#endif
#endif
    unref()
}

inline close() {
    atomic {
        held = !removed;
        if
        :: held -> refs++ /* get_links_in */
        :: else
        fi
    }
    if
    :: held -> link_closed = true
    :: else
    fi;
#ifdef NO_RIGHT
    state = CLOSED;
#else
    atomic { state == IDLE -> state = CLOSED } /* take_run_right */
#endif
#ifndef CLOSE_NO_WAIT
    readers == 0;
#endif
    collect_pending();
    if
    :: listed > 0 -> listed--; unref()
    :: else
    fi;
    if
    :: held -> purge(); unref()
    :: else
    fi;
    if /* the last wr_link_unref */
    :: refs == 0 -> dropped = dropped + queued; queued = 0
    :: else
    fi
}

proctype changer() {
    bool yes;
    bool held;
    if
    :: unlink()
    :: close()
    :: unlink(); close()
    :: close(); unlink()
    fi
}

init {
    atomic {
        if
        :: paused = true
        :: paused = false
        fi;
        run publisher();
        run publisher();
        run pool_thread();
        run changer()
    }
    timeout; /* nothing can happen any more */
    assert(accepted == delivered + dropped && queued == 0);
    assert(!removed || refs == 0);
    assert(state == IDLE || state == CLOSED)
}
