/* SPDX-License-Identifier: MIT
 *
 * Model of a drop.oldest mailbox: ring_put, ring_take, take_oldest, put_or_drop_oldest and
 * wr_mailbox_take of mailbox.c. Two publishers, and a consumer that takes batches; that it is woken
 * is proved in pending.pml. Positions count on for ever, as there.
 *
 * Verified: every message is delivered or dropped, once; a publisher's messages keep their order; an
 * oldest one is dropped only where the mailbox was full meanwhile; and a message is dropped itself
 * only where another publisher was on its way, so the newest one of all is delivered.
 *
 * Mutations, each of which must be found:
 *   GIVE_UP     a publisher that finds nothing to drop drops its own, though there may be room now
 *   NO_LOCK     a publisher takes the oldest while the consumer takes
 *   HEAD_FIRST  the head moves before the cell is empty
 *   NO_SIGN     a head that passed the tail that was read before it looks like a full mailbox
 */
#define PUBLISHERS 2
#define PER 3 /* messages of each publisher */
#define LIMIT 2
#define BATCH 2

/* 0: no message; else 10 * (publisher + 1) + number */
byte cells[LIMIT];
byte head, tail;
bool locked;
byte delivered, dropped;

/* For the properties. */
byte last[PUBLISHERS];          /* of what left the ring */
bool inside[PUBLISHERS];        /* in put_or_drop_oldest */
bool alone[PUBLISHERS];         /* nobody else was since this one came */
bool full_meanwhile[PUBLISHERS];

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline begin(id) {
    atomic {
        inside[id] = true;
        alone[id] = !inside[1 - id];
        alone[1 - id] = false;
        full_meanwhile[id] = tail - head >= LIMIT
    }
}

inline note_full() {
    if
    :: tail - head >= LIMIT -> full_meanwhile[0] = true; full_meanwhile[1] = true
    :: else
    fi
}

/* Up to `max`; `count` of them. The head moves when their cells are empty. */
inline ring_take(max) {
    at = head;
    do
    :: count == max -> break
    :: else ->
        msg = cells[at % LIMIT];
        if
        :: msg == 0 -> break
        :: else ->
            assert(msg % 10 > last[msg / 10 - 1]);
            last[msg / 10 - 1] = msg % 10;
            at++;
#ifdef HEAD_FIRST
            head = at;
#endif
            cells[(at - 1) % LIMIT] = 0;
            count++
        fi
    od;
    head = at;
    atomic { msg = 0; at = 0 } /* of no use any more, and states less */
}

inline ring_put(msg, done) {
    done = false;
    do
    :: seen = tail;
        left = LIMIT - (seen - head);
#ifdef NO_SIGN
        if
        :: left > LIMIT -> left = 0
        :: else
        fi;
#endif
        if
        :: left <= 0 -> break
        :: else ->
            atomic { /* compare-and-swap */
                if
                :: tail == seen -> tail++; done = true; note_full()
                :: else
                fi
            }
            if
            :: done -> break
            :: else
            fi
        fi
    od;
    if
    :: done -> assert(cells[seen % LIMIT] == 0); cells[seen % LIMIT] = msg
    :: else
    fi;
    atomic { seen = 0; left = 0 }
}

inline take_oldest() {
#ifndef NO_LOCK
    lock();
#endif
    ring_take(1);
    possible = count > 0;
#ifndef GIVE_UP
    if
    :: !possible -> possible = tail - head < LIMIT
    :: else
    fi;
#endif
#ifndef NO_LOCK
    unlock()
#endif
}

proctype publisher(byte id) {
    byte number = 0;
    byte seen;
    short left;
    byte msg;
    byte at;
    byte count; /* of what take_oldest took */
    bool done;
    bool possible;
    do
    :: number == PER -> break
    :: else ->
        number++;
        begin(id);
        do
        :: ring_put(10 * (id + 1) + number, done);
            if
            :: done -> break
            :: else
            fi;
            take_oldest();
            if
            :: !possible ->
                assert(!alone[id]);
                dropped++;
                break
            :: count > 0 ->
                assert(full_meanwhile[id]);
                dropped++;
                count = 0
            :: else
            fi
        od;
        atomic { inside[id] = false; done = false; possible = false }
    od
}

proctype consumer() {
    byte msg;
    byte at;
    byte count;
end:
    do
    :: cells[head % LIMIT] != 0 ->
        lock();
        ring_take(BATCH);
        atomic { delivered = delivered + count; count = 0; locked = false }
    od
}

init {
    atomic {
        run publisher(0);
        run publisher(1);
        run consumer()
    }
    timeout; /* nothing can happen any more */
    assert(delivered + dropped == PUBLISHERS * PER);
    assert(head == tail && cells[0] == 0 && cells[1] == 0)
}
