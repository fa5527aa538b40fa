/* SPDX-License-Identifier: MIT
 *
 * The process under attack: started, its log read (so that it never waits for a reader) and
 * counted, and looked at from outside.
 */
#ifndef WR_HOSTILE_VICTIM_H
#define WR_HOSTILE_VICTIM_H

#include "../fuzz/fuzz.h"
#include "platform/process.h"

typedef struct victim {
    wr_process *process;
    FILE *log; /* a copy of what it says */
    uint64_t log_lines;
    uint64_t log_bytes;
} victim;

/* How it is. */
typedef struct health {
    uint64_t rss_kb;
    uint64_t descriptors;
    uint64_t cpu_ms;
} health;

/* `args` as for wr_process_spawn; the log goes to `log_path`. */
void victim_start(victim *v, const char *program, const char *const *args, const char *folder,
                  const char *log_path);
/* Read what it said, waiting for at most so long; required to live. */
void victim_watch(victim *v, int timeout_ms);
void victim_check(const victim *v, health *now);
/* SIGTERM; required to end with status 0. */
void victim_stop(victim *v);

#endif
