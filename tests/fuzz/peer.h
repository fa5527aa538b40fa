/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's end of one connection: it writes whatever it likes, and takes what comes apart,
 * requiring that at least Weir's side keeps to the protocol.
 */
#ifndef WR_FUZZ_PEER_H
#define WR_FUZZ_PEER_H

#include "base/buffer.h"
#include "fuzz.h"
#include "ipc/control.h"
#include "lender.h"
#include "platform/stream.h"
#include "weir/message.h"

typedef struct fuzz_peer {
    wr_stream *stream; /* NULL: there is no connection */
    bool jammed;       /* the socket took a part only: what follows would be something else */
    bool ended;        /* by the other side */
    bool greeted;      /* its greeting is read */
    wr_buffer in;      /* read and not yet taken */
    size_t taken;      /* of that */
    bool shares;       /* memory was agreed on: large numbers go and come by reference */
    fuzz_lender lender;
} fuzz_peer;

/* Takes the stream. */
void fuzz_peer_open(fuzz_peer *peer, wr_stream *stream);
void fuzz_peer_close(fuzz_peer *peer);
/* From now on with shared memory, before anything is read. */
void fuzz_peer_share(fuzz_peer *peer);

/* All of these are harmless without a connection, and do not wait. */
void fuzz_peer_write(fuzz_peer *peer, const void *data, size_t size);
void fuzz_peer_greet(fuzz_peer *peer);
/* A frame that is odd or wrong, one of several, and only its first bytes. */
void fuzz_peer_raw(fuzz_peer *peer, size_t which, size_t size);
void fuzz_peer_frame(fuzz_peer *peer, const void *data, size_t size);
void fuzz_peer_control(fuzz_peer *peer, const wr_control_message *message);
/* A message whose content is the two numbers and `extra` bytes. */
void fuzz_peer_numbers(fuzz_peer *peer, uint64_t first, uint64_t second, size_t extra);

/* Read what is there. */
void fuzz_peer_read(fuzz_peer *peer);
/* The next whole frame of what was read; valid until the next read. False: none. */
bool fuzz_peer_take(fuzz_peer *peer, const uint8_t **frame, size_t *size);
/* The next control message, likewise. */
bool fuzz_peer_take_control(fuzz_peer *peer, wr_control_message *message);
/* The numbers in the next message of fuzz_numbers_new. */
bool fuzz_peer_take_numbers(fuzz_peer *peer, uint64_t *first, uint64_t *second);

/* A private folder for sockets, made at the first call and removed at the program's end. */
const char *fuzz_folder(void);

/* The caller's reference. */
weir_message *fuzz_numbers_new(uint64_t first, uint64_t second, size_t extra);
/* False: another kind of message. */
bool fuzz_numbers_of(const weir_message *msg, uint64_t *first, uint64_t *second);

#endif
