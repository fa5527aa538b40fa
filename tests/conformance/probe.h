/* SPDX-License-Identifier: MIT
 *
 * The probe: a module that does what its args say and writes down every call that it gets.
 *
 *   probe.c          the module
 *   probe_publish.c  what it publishes, in its calls and on threads of its own
 *   probe_trace.c    what it writes down
 *
 * The args, where they are an object; anything else is fine, too:
 *
 *   "trace":   the file that the lines are appended to; without it, PROBE_TRACE in the environment
 *   "name":    what its messages begin with
 *   "publish": {"create": N, "start": N, "receive": N, "destroy": N}   messages, in each call
 *   "echo":    true: publish what is received; "try": by weir_try_publish
 *   "threads": {"from": "create" or "start", "count": N, "messages": N, 0: until destroy,
 *               "try": true: by weir_try_publish}
 *   "sizes":   [N...]   the threads' messages have contents of these sizes in turn, and properties
 *   "gate":    a FIFO; each receive waits until somebody has opened it for writing
 *   "start gate": likewise, for start
 *   "fail":    {"in": "create" or "start", "text": why}
 *   "end":     {"in": a call, "how": "abort", or "exit" with "status": N}
 */
#ifndef CONFORMANCE_PROBE_H
#define CONFORMANCE_PROBE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "weir/module.h"

#define PROBE_TRACE "PROBE_TRACE"
#define PROBE_THREADS_MAX 8

/* Lines of several threads, each written whole and at once: what follows may be a crash. */
typedef struct probe_trace {
    FILE *file;
    pthread_mutex_t mutex;
} probe_trace;

typedef struct probe_thread {
    struct probe *probe;
    pthread_t thread;
    bool started;
    int number;
} probe_thread;

typedef struct probe {
    weir_host *host;
    json_t *args;
    const char *name; /* in its messages */
    probe_trace trace;
    atomic_bool in_call; /* no two calls at once */
    atomic_bool stopping;
    probe_thread threads[PROBE_THREADS_MAX];
} probe;

bool probe_trace_open(probe_trace *trace, const char *path);
void probe_trace_close(probe_trace *trace);
void probe_write(probe_trace *trace, const char *format, ...) WEIR_PRINTF(2, 3);
/* `receive` and the message: its content, or size and checksum, and its properties. */
void probe_write_message(probe_trace *trace, const weir_message *msg);

/* What "publish" says for this call. */
void probe_publish_in(probe *self, const char *call);
/* Start the threads that "threads" wants from this call on. */
void probe_start_threads(probe *self, const char *call);
/* Let them end, and wait for that. */
void probe_join_threads(probe *self);

/* "in" of this object of the args: is it this call? */
bool probe_wants(const probe *self, const char *object, const char *call);
long probe_number(const json_t *object, const char *key);

#endif
