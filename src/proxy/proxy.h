/* SPDX-License-Identifier: MIT
 *
 * The proxy: the gateway's side of a remote module. To the broker it is the consumer of a node; the
 * control loop connects it, creates and starts the remote module, and reads what it publishes.
 *
 * Its states, and what leads from one to the next, are in state.h and docs/architecture.md.
 */
#ifndef WR_PROXY_PROXY_H
#define WR_PROXY_PROXY_H

#include "broker/broker.h"
#include "ipc/peer.h"
#include "loop/loop.h"
#include "proxy/crash_report.h"
#include "proxy/heartbeat.h"
#include "proxy/restart.h"
#include "proxy/state.h"
#include "proxy/supervisor.h"

typedef struct wr_proxy_options {
    const char *control_path;
    const char *message_path;  /* NULL: a fresh one for each create, in `folder` */
    const char *folder;        /* private to this user; NULL: use the control path's */
    const char *args;          /* JSON text */
    uint32_t timeout_ms;       /* for the reply to create */
    uint64_t message_limit;    /* bytes; 0: what the peer says, or an old peer's */
    bool shared_memory;        /* offered, if the process is this user's */
    wr_users allowed;          /* whose processes are accepted, beside this user's and root's */
    const wr_launch *launch;   /* NULL: somebody else starts the process */
    wr_restart_config restart; /* of a launched process */
    wr_heartbeat_config heartbeat;
    const wr_crash_settings *crash; /* NULL: no crash reports, and no message is set aside */
    wr_broker *broker;              /* the node's; counts what is set aside */
} wr_proxy_options;

typedef struct wr_proxy wr_proxy;

/*
 * Make the proxy the consumer of `node`, which owns it from then on, and begin to connect.
 * `options` and all it points to must outlive the node. A process that cannot be launched is
 * logged, and is no error: the gateway runs on. Errors: MEMORY, IO.
 */
WEIR_MUST_CHECK weir_err wr_proxy_create(wr_node *node, wr_loop *loop,
                                         const wr_proxy_options *options, wr_proxy **out);
/* All links exist: start the remote module as soon as it is there. Any thread. */
void wr_proxy_start(wr_proxy *proxy);
/* Begin to send what is on its way, destroy the remote module, and take what it still publishes
 * until it lets go or the deadline (wr_clock_ns) passes. Then a launched process begins to
 * end. Any thread but the loop's. Call it once, after the node was closed. */
void wr_proxy_stop(wr_proxy *proxy, uint64_t deadline_ns);
/* After stop: wait until nothing more comes from the remote module. As join. */
void wr_proxy_wait_let_go(wr_proxy *proxy);
/* After stop: wait for the end of a launched process. Any thread but the loop's. */
void wr_proxy_join(wr_proxy *proxy);

/* Start a launched process again, whatever it is at: one that runs is ended first, and one that has
 * failed gets its restarts back. False: this gateway does not launch it. Any thread. */
bool wr_proxy_restart(wr_proxy *proxy);
/* The same, but only if it has no process and is not about to get one. */
bool wr_proxy_revive(wr_proxy *proxy);

/* Any thread. */
wr_proxy_state wr_proxy_get_state(const wr_proxy *proxy);
/* Messages that were sent to the remote module, or came from it, once more; since the start. */
uint64_t wr_proxy_redelivered(const wr_proxy *proxy);
/* Messages that were sent and are not acknowledged. */
uint64_t wr_proxy_unacknowledged(wr_proxy *proxy);
/* How often the process was started again, and how often it was found to hang. */
uint64_t wr_proxy_restarts(const wr_proxy *proxy);
uint64_t wr_proxy_hangs(const wr_proxy *proxy);
int64_t wr_proxy_pid(const wr_proxy *proxy); /* of the launched process; 0: none */

#endif
