/* SPDX-License-Identifier: MIT
 *
 * Model of the way of a message to its sink: wr_link_put, wr_node_add_pending and wr_node_wake on
 * the publishers' side; wr_node_run, run_link and wr_link_settle on the sink's. One link, two
 * publishers, two threads of the pool; ring, claimed positions and overflow as in mailbox.c.
 *
 * Verified: no two threads run the node at once, the link is in the sink's lists once, a publisher's
 * messages keep their order, and when everything has come to rest nothing is queued (a thread that
 * waits for work is a valid end, a message in a mailbox is not).
 *
 * Mutations, each of which must be found:
 *   NO_RECHECK     settle clears `pending` without looking at the mailbox again
 *   NO_AGAIN       a wake-up of a running node is ignored
 *   OVERTAKE       the overflow is taken past a position that is claimed and not filled
 */
#define PUBLISHERS 2
#define PER 2 /* messages of each publisher */
#define LIMIT 2
#define CAPACITY 2
#define OVER 4

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define AGAIN 3

/* 0: no message; else 10 * (publisher + 1) + number */
byte cells[CAPACITY];
byte head, tail;
byte over[OVER];
byte over_first, over_count;

bool pending;       /* link.pending */
byte stacked;       /* the link is on node.pending so often */
byte listed;        /* ... and in the running thread's list */
byte state = IDLE;
byte runnable;      /* the node is in the executor's queue so often */
byte running;       /* threads inside wr_node_run */
byte delivered;
byte last[PUBLISHERS];

inline wake() {
    seen = state;
    do
    :: seen == IDLE ->
        atomic {
            if
            :: state == IDLE -> state = QUEUED; seen = 100
            :: else -> seen = state
            fi
        }
        if
        :: seen == 100 -> atomic { runnable++; assert(runnable == 1) }; break
        :: else
        fi
    :: seen == RUNNING ->
#ifdef NO_AGAIN
        break
#else
        atomic {
            if
            :: state == RUNNING -> state = AGAIN; seen = AGAIN
            :: else -> seen = state
            fi
        }
        if
        :: seen == AGAIN -> break
        :: else
        fi
#endif
    :: else -> break
    od
}

inline ring_put(msg, done) {
    done = false;
    atomic { /* the compare-and-swap of tail */
        if
        :: tail - head < LIMIT -> at = tail; tail++; done = true
        :: else
        fi
    }
    if
    :: done -> assert(cells[at % CAPACITY] == 0); cells[at % CAPACITY] = msg
    :: else
    fi
}

proctype publisher(byte id) {
    byte number = 1;
    byte msg;
    byte at;
    byte seen;
    bool done;
    bool was;
    do
    :: number > PER -> break
    :: else ->
        msg = 10 * (id + 1) + number;
        done = false;
        if
        :: over_count == 0 -> ring_put(msg, done)
        :: else
        fi;
        if
        :: !done -> atomic { over[(over_first + over_count) % OVER] = msg; over_count++ } /* lock */
        :: else
        fi;
        if
        :: !pending ->
            atomic { was = pending; pending = true }
            if
            :: !was -> atomic { stacked++; assert(stacked == 1) }; wake()
            :: else
            fi
        :: else
        fi;
        number++
    od
}

/* What the consumer gets. */
inline consume(msg) {
    assert(msg % 10 == last[msg / 10 - 1] + 1);
    last[msg / 10 - 1] = msg % 10;
    delivered++
}

/* One message; `msg` 0: none. The head moves after the cell is free. */
inline take(msg) {
    msg = cells[head % CAPACITY];
    if
    :: msg != 0 ->
        cells[head % CAPACITY] = 0;
        head++
    :: else ->
        if
        :: over_count > 0 ->
            atomic { /* under the lock; the ring is looked at again */
                if
                :: cells[head % CAPACITY] != 0 ->
                    msg = cells[head % CAPACITY]; cells[head % CAPACITY] = 0; head++
#ifdef OVERTAKE
                :: cells[head % CAPACITY] == 0 ->
#else
                :: cells[head % CAPACITY] == 0 && head == tail ->
#endif
                    msg = over[over_first]; over_first = (over_first + 1) % OVER; over_count--
                :: else
                fi
            }
        :: else
        fi
    fi
}

inline has_message(yes) {
    yes = false;
    if
    :: cells[head % CAPACITY] != 0 -> yes = true
    :: else ->
        if
        :: over_count > 0 ->
            if
            :: tail == head -> yes = true
            :: else
            fi
        :: else
        fi
    fi
}

proctype pool_thread() {
    byte msg;
    bool more;
    bool was;
end:
    do
    :: atomic { runnable > 0 -> runnable-- } /* take_node */
        running++;
        assert(running == 1);
        state = RUNNING;
        if
        :: stacked > 0 -> atomic { listed = listed + stacked; stacked = 0 }
        :: else
        fi;
        assert(listed <= 1);
        if
        :: listed > 0 ->
            listed--;
            take(msg);
            if
            :: msg != 0 -> consume(msg); listed++
            :: else -> /* settle */
                pending = false;
#ifndef NO_RECHECK
                has_message(more);
                if
                :: more ->
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
        fi;
        running--;
        if
        :: listed > 0 -> state = QUEUED; atomic { runnable++; assert(runnable == 1) }
        :: else ->
            atomic {
                if
                :: state == RUNNING -> state = IDLE; more = false
                :: else -> more = true
                fi
            }
            if
            :: more -> state = QUEUED; atomic { runnable++; assert(runnable == 1) }
            :: else
            fi
        fi
    od
}

init {
    atomic {
        run publisher(0);
        run publisher(1);
        run pool_thread();
        run pool_thread()
    }
    timeout; /* nothing can happen any more */
    assert(delivered == PUBLISHERS * PER);
    assert(head == tail && over_count == 0);
    assert(!pending && stacked == 0 && listed == 0 && state == IDLE)
}
