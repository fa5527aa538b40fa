/* SPDX-License-Identifier: MIT
 *
 * Model of a session that goes on over lost connections (docs/wire-protocol.md, 5.1): window.c in
 * both processes; agree, agree_received, on_acknowledge, lose, wr_proxy_tell of the proxy's
 * create.c, control.c and connect.c; wr_session_agree, on_create, on_acknowledge, tell of the
 * remote's agreement.c and session.c, fill_batch and connect_channel of intake.c,
 * wr_transmit_agree of transmit.c, and marks.c as far as it tells what may be acknowledged.
 *
 * A gateway sends MESSAGES messages; the module publishes one result for each. The environment cuts
 * control and message connections, kills the module's process or the gateway's, which a new one
 * follows, or has another gateway visit the module meanwhile: FAULTS such events in all. What a cut
 * connection holds may be lost, its newest first; what a process wrote that died is not. Each side
 * notices in its own time, after it has read what is left. A new gateway has the messages that the
 * one before had never sent.
 *
 * A message is its content; where it counts as which number each side finds by itself, as in the
 * code. A window's `base` is its `acknowledged` here: when memory is released is of no interest.
 * The gateway's messages are all there from the start: when one is published, and when it is sent,
 * is one choice.
 * A message is received, processed and marked in one step, for what lies in a batch when a
 * connection ends might as well be lost with it. Connecting is one step of both sides, as neither
 * goes on before the other's greeting; but the gateway may read that later.
 *
 * Verified: each process of the module gets the messages one after the other, none left out and
 * none twice, but after a visit; the gateway gets the results so, too, where no process died; where
 * one died and no message connection was cut, none is left out. With a gateway only that is lost
 * which it had not sent on its last connection, or that was cut or killed with it. Nobody
 * acknowledges what was not sent, and nothing is released that was not processed. At rest
 * everything is processed, and all is acknowledged.
 *
 * Mutations, each of which must be found:
 *   SKIP_EARLY     what is acknowledged before it is sent again is not sent again
 *   IGNORE_EARLY   an acknowledgement is ignored until the message channel's greeting was read
 *   IGNORE_LATE    what is acknowledged before it is sent again counts never
 *   NO_KNOWN_END   the remote gives the module again what it had processed before
 *   COUNT_FIRST    the remote counts what comes from where it stands, not from what it replied
 *   TELL_UNWRITTEN the reply says that messages are done whose results are not written
 *   MARK_UNWRITTEN so does an acknowledgement
 *   NO_POSITION    the remote begins with its oldest, whatever the create says
 *   OLD_RECEIVED   the gateway goes on counting when a new process begins
 *   COUNT_ON       the gateway counts on from what it received, wherever the module begins
 *   NO_DRAIN       the remote does not read what the message channel before a create still holds
 *   SAME_SESSION   the remote goes on counting where a new gateway begins
 *   NO_REST        the gateway does not read what the lost message channel still holds
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define RESULTS (2 * MESSAGES) /* a visit makes some come twice */
#ifndef FAULTS
#define FAULTS 3
#endif
#define VISITOR 100 /* its session */
#ifndef WINDOW
#define WINDOW 2 /* messages that a side keeps unacknowledged */
#endif

mtype = { CREATE, CREATED, ACKNOWLEDGE };
mtype = { WAITING, CREATING, ATTACHING, RUNNING };

#define OWES ((state == ATTACHING || state == RUNNING) && told != received)
#define LEAST(a, b) ((a) < (b) -> (a) : (b))
#define MOST(a, b) ((a) > (b) -> (a) : (b))

typedef window_t {
    byte acknowledged;
    byte told;
    byte next;
    byte sent;
    byte end
}

/* The connections: type, received, first, instance, session; and contents. */
chan control_out = [3] of { mtype, byte, byte, byte, byte };
chan control_in = [3] of { mtype, byte, byte, byte, byte };
chan messages_out = [WINDOW] of { byte };
chan messages_in = [WINDOW] of { byte };
bool control_open;
bool control_cut; /* what it holds may be lost */
bool messages_open;
bool messages_cut;

mtype state = WAITING;
byte session = 1;
window_t out;   /* the gateway's window */
byte out_base;  /* content of its number 0 */
bool channel; /* the gateway has its end of the message channel */
byte received;
byte told;
byte instance; /* of the process that it knows */

/* The remote process. */
byte process = 1;
window_t results;
bool remote_control; /* it has its end of it */
bool remote_channel;
bool listens; /* for a message channel */
bool agreed;
byte known_session;
byte processed;
byte remote_told;
byte number;
byte known_end;
byte settled;
byte mark_processed; /* the oldest mark; each later one is one message and one result more */
byte mark_end;
byte content_of[RESULTS]; /* its results */

/* What has happened. */
byte faults;
bool died;
bool visited;
bool gateway_died;
bool message_cut_once;
bool lost; /* some messages went with a gateway */
byte done;    /* messages below it were processed, by some process */
byte got;     /* results below it have reached the gateway */
byte expected; /* content of the process's next message */
bool begun;    /* it has had one */

inline count_acknowledged(w) {
    w.acknowledged = MOST(w.acknowledged, LEAST(w.told, w.next))
}

inline acknowledge(w, count) {
    assert(count <= w.sent);
#ifdef SKIP_EARLY
    w.next = MOST(w.next, count);
#endif
    w.told = MOST(w.told, count);
    count_acknowledged(w)
}

inline skip_to(w, count) {
    assert(count <= w.sent);
    w.next = MOST(w.next, count);
    acknowledge(w, count)
}

inline rewind(w) {
    w.told = w.acknowledged;
    w.next = w.acknowledged
}

inline pass(w) {
    w.next++;
#ifndef IGNORE_LATE
    count_acknowledged(w);
#endif
    w.sent = MOST(w.sent, w.next)
}

inline empty_out(connection) {
    do
    :: nempty(connection) -> connection?_
    :: empty(connection) -> break
    od
}

inline empty_control(connection) {
    do
    :: nempty(connection) -> connection?_, _, _, _, _
    :: empty(connection) -> break
    od
}

/* The gateway. */

inline on_result() {
    messages_in?content;
    received++;
    if
    :: !died && !gateway_died && !visited -> assert(content == got)
    :: (!died || !message_cut_once) && !lost -> assert(content <= got)
    :: else
    fi;
    got = MOST(got, content + 1)
}

inline tell() {
    if
    :: OWES && nfull(control_out) ->
        told = received;
        if
        :: control_open -> control_out!ACKNOWLEDGE, received, 0, 0, 0
        :: else
        fi
    :: !OWES || full(control_out)
    fi
}

inline agree_with_remote() {
    skip_to(out, a);
    if
    :: instance != c ->
        instance = c;
#ifndef OLD_RECEIVED
        received = b
#endif
    :: else ->
        assert(b == received || visited && b < received);
#ifndef COUNT_ON
        received = b
#endif
    fi;
    told = received;
    rewind(out);
    state = ATTACHING
}

inline on_control() {
    control_in?type, a, b, c, d;
    if
    :: type == CREATED && state == CREATING -> agree_with_remote()
#ifndef IGNORE_EARLY
    :: type == ACKNOWLEDGE && state == ATTACHING -> acknowledge(out, a)
#endif
    :: type == ACKNOWLEDGE && state == RUNNING -> acknowledge(out, a)
    :: else
    fi;
    assert(out.acknowledged == 0 || out_base + out.acknowledged <= done)
}

inline lose() {
#ifndef NO_REST
    do
    :: channel && nempty(messages_in) -> on_result()
    :: !channel || empty(messages_in) || messages_cut -> break
    od;
#endif
    do
    :: channel && nempty(control_in) -> on_control()
    :: !channel || empty(control_in) || control_cut -> break
    od;
    tell();
    empty_out(messages_in);
    empty_control(control_in);
    control_open = false;
    messages_open = messages_open && !channel;
    channel = false;
    state = WAITING
}

active proctype gateway() {
    mtype type;
    byte a;
    byte b;
    byte c;
    byte d;
    byte content;
end:
    do
    :: atomic {
            state == WAITING && !remote_control ->
            control_open = true;
            control_cut = false;
            remote_control = true;
            control_out!CREATE, received, out.acknowledged, instance, session;
            state = CREATING
        }
    :: atomic {
            state != WAITING && nempty(control_in) ->
            on_control();
            type = 0; a = 0; b = 0; c = 0; d = 0
        }
    :: atomic {
            state == ATTACHING && !channel && listens ->
            channel = true;
            messages_open = true;
            messages_cut = false;
            listens = false;
            remote_channel = true;
            rewind(results)
        }
    :: atomic { state == ATTACHING && channel -> state = RUNNING }
    :: atomic {
            state == RUNNING && out.next < out.end && out.next - out.acknowledged < WINDOW &&
                (nfull(messages_out) || !messages_open) ->
            if
            :: messages_open -> messages_out!out_base + out.next
            :: else
            fi;
            pass(out);
            assert(out.acknowledged == 0 || out_base + out.acknowledged <= done)
        }
    :: atomic { channel && nempty(messages_in) -> on_result(); content = 0 }
    :: atomic { OWES && nfull(control_out) -> tell() }
    :: atomic {
            state != WAITING && !control_open && (empty(control_in) || control_cut) ||
                channel && !messages_open && (empty(messages_in) || messages_cut) ->
            lose();
            type = 0; a = 0; b = 0; c = 0; d = 0; content = 0
        }
    od
}

/* The remote. */

inline process_one() {
    assert(!begun || (lost -> content >= expected : content == expected));
    assert(content <= done || lost);
    content_of[results.end] = content;
    begun = true;
    expected = content + 1;
    done = MOST(done, expected);
    processed++;
    results.end++
#ifdef MARK_UNWRITTEN
    ; settled = processed
#endif
}

inline take_message() {
    messages_out?content;
    number++;
    if
#ifndef NO_KNOWN_END
    :: number <= known_end
#endif
    :: else -> process_one()
    fi
}

inline close_remote_channel() {
    remote_channel = false;
    empty_out(messages_out)
}

inline agree_with_gateway() {
    if
#ifdef SAME_SESSION
    :: known_session == 0 || processed < b -> processed = b
#else
    :: known_session != d || processed < b -> processed = b
#endif
    :: else
    fi;
#ifndef NO_POSITION
    if
    :: known_session == d && c == process -> skip_to(results, a)
    :: else
    fi;
#endif
    known_session = d;
    rewind(results);
    settled = processed;
    mark_processed = processed;
    mark_end = results.end;
#ifndef TELL_UNWRITTEN
    if
    :: results.end > results.next && b < processed -> settled = b
    :: else
    fi;
#endif
    remote_told = settled;
#ifdef COUNT_FIRST
    number = processed;
#else
    number = settled;
#endif
    known_end = processed;
    agreed = true;
    listens = true;
    if
    :: control_open -> control_in!CREATED, remote_told, results.acknowledged, process, session
    :: else
    fi
}

inline on_create() {
#ifndef NO_DRAIN
    do
    :: remote_channel && nempty(messages_out) -> take_message()
    :: !remote_channel || empty(messages_out) || messages_cut -> break
    od;
#endif
    close_remote_channel();
    agree_with_gateway()
}

inline read_control() {
    control_out?type, a, b, c, d;
    if
    :: type == CREATE -> on_create()
    :: type == ACKNOWLEDGE && agreed ->
        acknowledge(results, a);
        assert(results.acknowledged == 0 || content_of[results.acknowledged - 1] < got)
    :: else
    fi
}

active proctype remote() {
    mtype type;
    byte a;
    byte b;
    byte c;
    byte d;
    byte content;
end:
    do
    :: atomic {
            remote_control && nempty(control_out) ->
            read_control();
            type = 0; a = 0; b = 0; c = 0; d = 0; content = 0
        }
    :: atomic {
            remote_control && !control_open && (empty(control_out) || control_cut) ->
            remote_control = false;
            agreed = false;
            empty_control(control_out)
        }
    :: atomic { remote_channel && nempty(messages_out) -> take_message(); content = 0 }
    :: atomic {
            remote_channel && !messages_open && (empty(messages_out) || messages_cut) ->
            close_remote_channel()
        }
    :: atomic {
            remote_channel && results.next < results.end &&
                results.next - results.acknowledged < WINDOW &&
                (nfull(messages_in) || !messages_open) ->
            if
            :: messages_open -> messages_in!content_of[results.next]
            :: else
            fi;
            pass(results);
            if
            :: results.next >= mark_end ->
                settled = MOST(settled, mark_processed + results.next - mark_end)
            :: else
            fi
        }
    :: atomic {
            remote_control && agreed && settled > remote_told && nfull(control_in) ->
            remote_told = settled;
            if
            :: control_open -> control_in!ACKNOWLEDGE, remote_told, 0, 0, 0
            :: else
            fi
        }
    od
}

/* The environment. */

inline replace_gateway() {
    gateway_died = true;
    lost = lost || died || message_cut_once || out.next < out.sent;
    control_open = false;
    messages_open = false;
    empty_out(messages_in);
    empty_control(control_in);
    channel = false;
    state = WAITING;
    session++;
    out_base = out_base + out.sent;
    out.acknowledged = 0; out.told = 0; out.next = 0; out.sent = 0;
    out.end = MESSAGES - out_base;
    received = 0; told = 0; instance = 0
}

inline replace_remote() {
    died = true;
    lost = lost || gateway_died;
    control_open = false;
    messages_open = false;
    empty_out(messages_out);
    empty_control(control_out);
    remote_control = false;
    remote_channel = false;
    listens = false;
    agreed = false;
    known_session = 0;
    begun = false;
    process++;
    processed = 0; remote_told = 0; number = 0; known_end = 0;
    settled = 0; mark_processed = 0; mark_end = 0; expected = 0;
    content_of[0] = 0; content_of[1] = 0; content_of[2] = 0;
    content_of[3] = 0; content_of[4] = 0; content_of[5] = 0;
    results.acknowledged = 0; results.told = 0; results.next = 0; results.sent = 0; results.end = 0
}

/* Another gateway comes, gives the module nothing, takes nothing, and goes. */
inline visit() {
    visited = true;
    do
    :: remote_channel && nempty(messages_out) -> take_message()
    :: !remote_channel || empty(messages_out) || messages_cut -> break
    od;
    close_remote_channel();
    known_session = VISITOR;
    processed = 0;
    begun = false /* messages come again */
}

init {
    byte content;
    out.end = MESSAGES;
    do
    :: atomic {
            faults < FAULTS && control_open ->
            control_open = false; control_cut = true; faults++
        }
    :: atomic {
            faults < FAULTS && messages_open ->
            messages_open = false; messages_cut = true; message_cut_once = true; faults++;
            lost = lost || gateway_died
        }
    :: atomic {
            faults < FAULTS && !visited && state == WAITING && !remote_control &&
                known_session == session ->
            faults++;
            visit();
            content = 0
        }
    :: atomic { faults < FAULTS -> faults++; replace_remote() }
    :: atomic { faults < FAULTS -> faults++; replace_gateway() }
    :: break
    od;
    timeout; /* nothing can happen any more */
    assert(state == RUNNING && (done == MESSAGES || lost));
    assert(out.acknowledged == out.end && results.acknowledged == results.end);
    assert(got == MESSAGES || lost || died && message_cut_once)
}
