/* SPDX-License-Identifier: MIT
 *
 * A node: a module's place in the broker. It has the links in and out, decides when the module may
 * run, and hands it its messages.
 *
 * A node runs when something is pending for it and it is started, ready and not congested:
 *   started    the module's start returned
 *   ready      the consumer has not asked for a pause (a proxy whose socket is full)
 *   congested  the number of links out that are over their limit ("block"); 0: may run
 *
 * Schedule: IDLE -> QUEUED -> RUNNING -> IDLE. QUEUED is in the executor's queue, or collected by a
 * reading thread (see wr_node_collect). What happens while it runs makes it RUNNING_AGAIN, so that
 * it is queued once more at the end, or its run goes on: wr_node_wake never gets lost. Closing
 * makes it CLOSED, from IDLE or GATHERING only.
 *
 * Where the consumer allows it, publishers run an idle node themselves: IDLE -> GATHERING ->
 * RUNNING; and wr_node_ready does, IDLE -> RUNNING. The publisher that makes something pending
 * takes the first step and asks the consumer's `gather` whether to wait for more. If not, it takes
 * the second step at once. If so, the second step is taken by the publisher that makes it a batch,
 * or by the consumer, which has set itself an alarm and calls wr_node_run_gathered when it rings;
 * or wr_node_wake makes it QUEUED. The first step comes before the question, so the alarm that the
 * consumer counts on rings after it and finds GATHERING. Whoever leaves GATHERING collects what is
 * pending after that, so nothing needs to be done by those who made something pending before and
 * saw it (tests/model/gathering.pml).
 */
#ifndef WR_BROKER_NODE_H
#define WR_BROKER_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/executor.h"
#include "broker/link.h"
#include "module/host.h"
#include "platform/thread.h"

typedef struct wr_node wr_node;

/* The most messages of one consume, and of one run before other nodes get their turn. */
#define WR_NODE_BATCH 64u
#define WR_NODE_RUN_MAX 256u

/* How a node hands over messages. All are called by the executor or, with `gather`, by publishers,
 * one at a time for one node, with no lock held, and must not destroy the node. */
typedef struct wr_consumer {
    /* Take the first of `count` messages, borrowed (but see `takes`), in order; returns how many. A
     * consumer that takes fewer has called wr_node_pause before, and calls wr_node_ready when it
     * can go on; or it has seen that the node is closing, and what it leaves is dropped. */
    size_t (*consume)(void *self, weir_message **msgs, size_t count);
    /* At the end of a run in which `count` messages were consumed, at least one. NULL allowed. */
    void (*drained)(void *self, size_t count);
    /* Any thread, may not block: a publisher that does not wait may go on. NULL allowed. */
    void (*uncongested)(void *self);
    /* The node is freed: nothing calls the consumer any more. Any thread. NULL allowed. */
    void (*release)(void *self);
    bool may_pause; /* consume may take fewer than offered, even when the node is not closing */
    bool takes;     /* consume takes over the references to the messages that it takes */
    /* Not NULL: consume and drained are quick and do not publish, and publishers run an idle node
     * on their own threads. Says whether the messages that have begun to come may wait until they
     * are a batch; wr_node_run_gathered will then be called a moment later. Any thread, may not
     * block. */
    bool (*gather)(void *self);
    /* A bulk message is being published that goes to this node alone: say with wr_message_place_set
     * where this thread should build its next one. For each such message; any thread, several at a
     * time, until release; may not block. NULL: in the process's own memory. */
    void (*place)(void *self);
    /* With `gather`: take one message, borrowed, from the link with this number (as
     * wr_node_consuming says it), while nothing waits for the node on that link; the publisher's
     * thread, without the right to run the node. It counts as delivered. False: not now; it goes
     * the other way, by the mailbox. Several threads at a time; may not block. NULL allowed. */
    bool (*direct)(void *self, uint64_t link, weir_message *msg);
} wr_consumer;

/* What a publisher does while the node is congested. */
typedef enum wr_publish_mode {
    WR_PUBLISH_WAIT, /* wait for room, unless inside a callback */
    WR_PUBLISH_TRY,  /* FULL, unless inside a callback */
    WR_PUBLISH_OVER  /* go over the limit; look at wr_node_congested afterwards */
} wr_publish_mode;

/* The links out, as publishers read them without a lock. Never changed once published. */
typedef struct wr_fanout {
    size_t count;
    wr_link *links[]; /* one reference each */
} wr_fanout;

struct wr_node {
    weir_host host; /* first: the module's weir_host is its node */

    /* Here, as it is looked at for each message: what others write all the time is a cache line
     * away. True from start to close. */
    atomic_bool started;

    /* Set once, before the node is started. */
    char *name;
    const wr_consumer *consumer;
    void *self;
    bool blocking; /* it has an executor of its own, or had */

    wr_executor *executor;
    bool own_executor; /* to be destroyed with the node; who created, then who closes the node */

    /* How long it stays away from the reading thread: only hints, relaxed. */
    _Atomic uint32_t shy_for;  /* so many more times it goes to the pool */
    _Atomic uint32_t shy_next; /* and so many the next time that it is slow */

    size_t order; /* scratch of wr_order_nodes; under the broker's lock */

    _Atomic uint32_t refs;

    /* Schedule: any thread, by the transitions above. */
    _Atomic int state;
    wr_node *next_queued; /* in the executor's queue: under its lock */
    atomic_bool ready;
    atomic_bool closing;      /* publishers wait no longer */
    atomic_bool absent;       /* the consumer cannot make progress: do not wait for it to drain */
    atomic_bool held;         /* a run ended with work left: see may_go_on */
    _Atomic int congested;    /* may be -1 for a moment: a link cleared before it was counted */
    _Atomic uint32_t waiters; /* threads that wait: somebody must signal `changed` */

    /* Pending links: publishers push on the stack, the running thread moves it to its list. */
    _Atomic(wr_link *) pending;
    wr_link *active_first; /* the running thread, or who closed the node */
    wr_link *active_last;

    /* What a consumer did not take: the running thread, or who closed the node. */
    wr_link *rest_link;  /* one reference, while rest_count > 0 */
    weir_message **rest; /* WR_NODE_BATCH places; NULL: this consumer always takes all */
    size_t rest_first;
    size_t rest_count;
    size_t left;       /* and dropped, as the node is closing; likewise */
    size_t refused;    /* by wr_node_refuse in this consume; the running thread */
    uint64_t from;     /* the number of the link that this consume's messages are from; likewise */
    atomic_bool sweep; /* a link in was closed: drop what it holds, even when not allowed to run */

    /* Links out: `out` is replaced by the broker under its lock; readers count themselves in one of
     * two counters, so that the broker can wait until nobody reads the old one. The thread that
     * publishes first counts by itself, without a read-modify-write: see reader_enter. */
    _Atomic(wr_fanout *) out;
    wr_fanout *spare_out; /* with as many places as `out` or more; under the broker's lock */
    _Atomic unsigned epoch;
    _Atomic uint32_t readers[2];
    bool may_own;                /* set once: the system has what the owner's counting needs */
    _Atomic(const char *) owner; /* set once: the thread's own_mark; NULL: nobody published yet */
    _Atomic uint64_t owner_turn; /* odd: it reads the links now; written by the owner */

    wr_mutex lock;   /* guards nothing but the waiting on `changed` */
    wr_cond changed; /* congested, closing, state, absent, readers or owner_turn changed */
};

/* `blocking`: the consumer gets a thread of its own, else `pool` runs it. The name is copied. The
 * caller owns one reference. `name` is borrowed by the host until the node is freed.
 * Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_node_create(const char *name, wr_executor *pool, bool blocking,
                                        wr_node **out);
/* Say who consumes. Before start. Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_node_set_consumer(wr_node *node, const wr_consumer *consumer,
                                              void *self);
wr_node *wr_node_ref(wr_node *node);
void wr_node_unref(wr_node *node); /* NULL is allowed */

/* From now on it may run. */
void wr_node_start(wr_node *node);
/* Look again whether it can run. Any thread. */
void wr_node_wake(wr_node *node);
/* Run what waits for more to come, on this thread; nothing if there is no such. Any thread. */
void wr_node_run_gathered(wr_node *node);
/* Not ready, from the consumer; ready again, from any thread. */
void wr_node_pause(wr_node *node);
void wr_node_ready(wr_node *node);
/* The consumer cannot make progress (its remote is away), or can again. Any thread. */
void wr_node_set_absent(wr_node *node, bool absent);
/* Inside consume: `count` of the messages that it takes could never be delivered; they are counted
 * as dropped. */
void wr_node_refuse(wr_node *node, size_t count);

/* Inside consume: this is its last run, and is to end soon. */
static inline bool wr_node_is_closing(const wr_node *node)
{
    return !atomic_load_explicit(&node->started, memory_order_relaxed);
}

/* Inside consume: the number of the link that its messages are from, for wr_broker_count_late. */
uint64_t wr_node_consuming(const wr_node *node);

/* Send a message to every link out; the caller keeps its reference. Errors: FULL, CLOSED, MEMORY.
 */
WEIR_MUST_CHECK weir_err wr_node_publish(wr_node *node, weir_message *msg, wr_publish_mode mode);
/* The same for several, in order, over the limit; takes the references. Errors: MEMORY, FULL. */
WEIR_MUST_CHECK weir_err wr_node_publish_many(wr_node *node, weir_message **msgs, size_t count);
bool wr_node_congested(const wr_node *node);
/* Does anybody get what it publishes? Any thread. */
bool wr_node_has_sinks(wr_node *node);

/* Mark this thread as being inside a callback of a module: publishing does not wait. Returns what
 * to give to leave. */
bool wr_node_enter_callback(void);
void wr_node_leave_callback(bool outer);

/* Wait until nothing is queued on the `count` links `in` and the node does not run, or it is
 * absent, or the deadline (wr_clock_ns). True: nothing is left. */
bool wr_node_wait_drained(wr_node *node, wr_link *const *in, size_t count, uint64_t deadline_ns);
/* Publishers wait no longer. */
void wr_node_stop_waiting(wr_node *node);
/* It never runs again. Returns when it does not run.
 * Errors: TIMEOUT (it is still running; it does not run another time, but is not to be freed). */
WEIR_MUST_CHECK weir_err wr_node_close(wr_node *node, uint64_t deadline_ns);
/* Give up a closed node's pending links, and drop and count what its consumer did not take. Nobody
 * publishes to it any more. Returns how many messages were dropped. */
size_t wr_node_give_up(wr_node *node);

/*
 * A thread that reads messages from elsewhere collects the nodes that its publishing makes pending,
 * instead of waking a thread of the pool for each: between collect(true) and collect(false). It
 * runs them itself, soon, with wr_node_run_collected, where a module may keep it as long as it
 * likes: another thread then leaves the rest to the pool. Nodes with a thread of their own are not
 * collected, nor such as kept the reading thread long lately.
 */
typedef struct wr_collected wr_collected;
void wr_node_collect(bool on);
/* This thread's collected nodes; NULL: none. */
wr_collected *wr_node_get_collected(void);
/* Run them: the thread that has collected them. */
void wr_node_run_collected(wr_collected *collected);
/* Leave to the pool what has not been run yet. The same thread, or another one while that runs
 * them. */
void wr_node_put_collected(wr_collected *collected);

/* For links: see link.h. */
/* It is started, ready and not congested. A moment's value. */
bool wr_node_may_run(const wr_node *node);
void wr_node_congest(wr_node *node);
void wr_node_uncongest(wr_node *node);
void wr_node_add_pending(wr_node *node, wr_link *link);
/* A link in was closed and no publisher uses it any more: drop what it holds. */
void wr_node_sweep(wr_node *node);

/* For the broker, under its lock: replace the links out; returns when nobody reads the old ones. */
wr_fanout *wr_node_swap_out(wr_node *node, wr_fanout *out);
/* The same without replacing: returns when all publishing that had begun before is over. */
void wr_node_wait_publishers(wr_node *node);

/* For the executor: run once. Returns how many messages were handed over. */
size_t wr_node_run(wr_node *node);

#endif
