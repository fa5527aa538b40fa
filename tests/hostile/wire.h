/* SPDX-License-Identifier: MIT
 *
 * Blocking talk of a hostile peer over its two connections: it waits for events, and takes what the
 * victim sends meanwhile. A minute without any event is a failure.
 */
#ifndef WR_HOSTILE_WIRE_H
#define WR_HOSTILE_WIRE_H

#include "../fuzz/peer.h"

#define WIRE_PATIENCE_MS 60000

typedef struct wire {
    fuzz_peer control;
    fuzz_peer messages;
    wr_control_message last; /* the last create or reply that came; its texts are gone */
    char uri[128];           /* of the last create */
    uint64_t creates;        /* how many creates or replies came on this connection */
    uint64_t starts;
    uint64_t told;   /* the last acknowledgement */
    uint64_t good;   /* number of the good session, 0: none */
    uint64_t echoed; /* its messages that came back, in their order */
} wire;

/* Take the connection, which begins anew. */
void wire_open_control(wire *w, wr_stream *stream);
void wire_open_messages(wire *w, wr_stream *stream);
void wire_close(wire *w);

/* Write all of it. False: `to` has ended. */
bool wire_send(wire *w, fuzz_peer *to, const void *data, size_t size);
bool wire_send_control(wire *w, const wr_control_message *message);
/* Wait until something came, or one has ended, or for so long, and take it. */
void wire_wait(wire *w, int timeout_ms);
/* Until `peer`, one of the two, has ended. */
void wire_wait_end(wire *w, fuzz_peer *peer);
/* Until `*count` is at least so much. False: the control connection has ended. */
bool wire_wait_count(wire *w, const uint64_t *count, uint64_t least);

#endif
