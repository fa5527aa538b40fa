/* SPDX-License-Identifier: MIT
 *
 * The states of a proxy, and the one table of what leads from one to the next. docs/architecture.md
 * shows the same table; a unit test compares them.
 */
#ifndef WR_PROXY_STATE_H
#define WR_PROXY_STATE_H

#include <stdbool.h>
#include <stddef.h>

/*   state        name            means */
#define WR_PROXY_STATES(X)                                                                         \
    X(WAITING, "waiting", "nobody listens at the control id")                                      \
    X(CONNECTING, "connecting", "the peer's greeting is awaited")                                  \
    X(CREATING, "creating", "create was sent")                                                     \
    X(ATTACHING, "attaching", "the message channel is being connected, once all links exist")      \
    X(RUNNING, "running", "messages flow")                                                         \
    X(ENDING, "ending", "the process hangs or could not make its module, and is being ended")      \
    X(BACKING_OFF, "backing off", "the process ended, and is started again after a while")         \
    X(FAILED, "failed", "nothing more is tried until a change or an order from outside")           \
    X(ENDED, "ended", "the process ended by itself, and need not be started again")                \
    X(STOPPING, "stopping", "destroy was sent, what is on its way is awaited")                     \
    X(STOPPED, "stopped", "all is over")

/*   event       what happened */
#define WR_PROXY_EVENTS(X)                                                                         \
    X(CONNECTED, "a connection")                                                                   \
    X(GREETED, "the greeting")                                                                     \
    X(CREATED, "reply created")                                                                    \
    X(REFUSED, "reply not created or not started")                                                 \
    X(RETRIED, "a second later")                                                                   \
    X(ATTACHED, "the message channel's greeting")                                                  \
    X(LOST, "connection lost, goodbye")                                                            \
    X(GIVEN_UP, "given up")                                                                        \
    X(DIED, "process died")                                                                        \
    X(DIED_TOO_OFTEN, "process died too often")                                                    \
    X(DONE, "process ended well")                                                                  \
    X(LAUNCHED, "process started")                                                                 \
    X(STOP, "stop")                                                                                \
    X(OVER, "connection and process gone")

#define WR_PROXY_STATE_ENUM(state, name, means) WR_PROXY_##state,
typedef enum wr_proxy_state {
    WR_PROXY_STATES(WR_PROXY_STATE_ENUM) WR_PROXY_STATE_COUNT
} wr_proxy_state;
#undef WR_PROXY_STATE_ENUM

#define WR_PROXY_EVENT_ENUM(event, what) WR_PROXY_EVENT_##event,
typedef enum wr_proxy_event {
    WR_PROXY_EVENTS(WR_PROXY_EVENT_ENUM) WR_PROXY_EVENT_COUNT
} wr_proxy_event;
#undef WR_PROXY_EVENT_ENUM

const char *wr_proxy_state_name(wr_proxy_state state);
const char *wr_proxy_state_meaning(wr_proxy_state state);
const char *wr_proxy_event_text(wr_proxy_event event);
/* Where the event leads. False: it cannot happen in this state. */
bool wr_proxy_next_state(wr_proxy_state from, wr_proxy_event event, wr_proxy_state *to);

#endif
