/* SPDX-License-Identifier: MIT
 *
 * What a remote module may acknowledge while it goes on working. A message that it received is done
 * for good when all that was published until its receive returned is written: then the gateway gets
 * it even if this process dies. A mark remembers one such moment: how much was processed, and the
 * number of the last message published by then. It is settled when that message is written.
 *
 * So acknowledgements flow while the socket is never empty. One thread at a time.
 */
#ifndef WR_REMOTE_MARKS_H
#define WR_REMOTE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many moments as are told apart; beyond that the newest moves on. */
#define WR_MARKS_MAX 64u

/* Of the messages that were received in a session, or since the process began: only differences
 * count. */
typedef struct wr_progress {
    uint64_t count;
    uint64_t bytes;
} wr_progress;

typedef struct wr_mark {
    wr_progress processed;
    uint64_t published; /* all messages below this number belong to it */
    bool given;         /* they are with the channel, whose bytes up to `end` hold them */
    uint64_t end;
} wr_mark;

typedef struct wr_marks {
    wr_mark ring[WR_MARKS_MAX];
    size_t first;
    size_t count;
    wr_progress settled; /* of the newest mark that was */
} wr_marks;

/* Where the sending half stands. */
typedef struct wr_sent {
    uint64_t next;    /* all messages below this number are with the channel */
    uint64_t queued;  /* bytes that the channel was given, from its start */
    uint64_t written; /* how many of them are in the socket */
} wr_sent;

/* `processed` grows from call to call. */
void wr_marks_add(wr_marks *marks, wr_progress processed, uint64_t published);
/* Find out what is settled by now. */
void wr_marks_settle(wr_marks *marks, const wr_sent *sent);
/* A new channel: what it is given begins anew. */
void wr_marks_restart(wr_marks *marks);
/* Begin anew, with so much settled. */
void wr_marks_reset(wr_marks *marks, wr_progress settled);

#endif
