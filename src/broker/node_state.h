/* SPDX-License-Identifier: MIT
 *
 * What node.c and node_run.c share, and nobody else uses.
 */
#ifndef WR_BROKER_NODE_STATE_H
#define WR_BROKER_NODE_STATE_H

#include "broker/node.h"

enum {
    WR_NODE_IDLE = 0,
    WR_NODE_GATHERING, /* something waits for more to come; see wr_node_run_gathered */
    WR_NODE_QUEUED,
    WR_NODE_RUNNING,
    WR_NODE_RUNNING_AGAIN, /* woken while it ran */
    WR_NODE_CLOSED         /* nobody runs it any more */
};

/* Something that a waiting thread may wait for has changed. */
void wr_node_signal(wr_node *node);

/* This thread is about to call `next`'s module, which must not build its messages where those of
 * another one go. */
void wr_node_leave_place(const wr_node *next);

/* Run it on this thread if it is idle or gathering. False: it is not, and still has to be woken. */
bool wr_node_run_here(wr_node *node);

#endif
