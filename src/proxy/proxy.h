/* SPDX-License-Identifier: MIT
 *
 * The proxy: the gateway's side of a remote module. To the broker it is the consumer of a node; the
 * control loop connects it, creates and starts the remote module, and reads what it publishes.
 *
 * States and what leads from one to the next (the control loop's thread):
 *
 *   waiting     nobody listens at the control id         a connection           -> connecting
 *   connecting  waits for the peer's greeting            greeting               -> creating
 *   creating    create was sent                          reply created          -> attaching
 *                                                        reply failed           -> failed
 *   attaching   connects the message channel             its greeting           -> running
 *   running     messages flow (after start was sent)
 *   failed      the remote could not create the module   connection lost        -> waiting
 *   stopping    destroy was sent; waits for the end      connection, process gone -> stopped
 *   stopped
 *   any but the last two: connection lost or detached -> waiting; stop -> stopping
 */
#ifndef WR_PROXY_PROXY_H
#define WR_PROXY_PROXY_H

#include "broker/node.h"
#include "ipc/peer.h"
#include "loop/loop.h"
#include "proxy/supervisor.h"

typedef enum wr_proxy_state {
    WR_PROXY_WAITING,
    WR_PROXY_CONNECTING,
    WR_PROXY_CREATING,
    WR_PROXY_ATTACHING,
    WR_PROXY_RUNNING,
    WR_PROXY_FAILED,
    WR_PROXY_STOPPING,
    WR_PROXY_STOPPED
} wr_proxy_state;

typedef struct wr_proxy_options {
    const char *control_path;
    const char *message_path; /* NULL: a fresh one for each create, in `folder` */
    const char *folder;       /* private to this user; NULL: use the control path's */
    const char *args;         /* JSON text */
    uint32_t timeout_ms;      /* for the reply to create */
    uint64_t message_limit;   /* bytes; 0: what the peer says, or an old peer's */
    wr_users allowed;         /* whose processes are accepted, beside this user's and root's */
    const wr_launch *launch;  /* NULL: somebody else starts the process */
} wr_proxy_options;

typedef struct wr_proxy wr_proxy;

/*
 * Make the proxy the consumer of `node`, which owns it from then on, and begin to connect. `options`
 * and all it points to must outlive the node. A process that cannot be launched is logged, and is no
 * error: the gateway runs on. Errors: MEMORY, IO.
 */
WEIR_MUST_CHECK weir_err wr_proxy_create(wr_node *node, wr_loop *loop,
                                         const wr_proxy_options *options, wr_proxy **out);
/* All links exist: start the remote module as soon as it is there. Any thread. */
void wr_proxy_start(wr_proxy *proxy);
/* Send what is on its way, destroy the remote module, take what it still publishes until it lets go
 * or the deadline (wr_clock_ns) passes; end a launched process. Returns when all is done. Any thread
 * but the loop's. Call it once, after the node was closed. */
void wr_proxy_stop(wr_proxy *proxy, uint64_t deadline_ns);

/* Any thread. */
wr_proxy_state wr_proxy_get_state(const wr_proxy *proxy);
const char *wr_proxy_state_name(wr_proxy_state state);
/* Messages that were sent to the remote module, or came from it, once more; since the start. */
uint64_t wr_proxy_redelivered(const wr_proxy *proxy);
/* Messages that were sent and are not acknowledged. */
uint64_t wr_proxy_unacknowledged(wr_proxy *proxy);
int64_t wr_proxy_pid(const wr_proxy *proxy); /* of the launched process; 0: none */

#endif
