/* SPDX-License-Identifier: MIT
 *
 * One run of a gateway: it is created, some messages go through it, it is destroyed. Whatever call
 * fails on the way, the run comes to its end, and what went wrong was said or counted.
 */
#ifndef FAULTS_PLAY_H
#define FAULTS_PLAY_H

#include <stdbool.h>
#include <stddef.h>

#define PLAY_TEXT_SIZE 8192u

typedef enum play_end {
    PLAY_DELIVERED, /* every message that was accepted arrived */
    PLAY_REFUSED,   /* something said that it failed, and why */
    PLAY_WRONG      /* what may not be; `text` says what */
} play_end;

/* In memory that outlives the process. */
typedef struct play_result {
    play_end end;
    char text[256];
    char log[PLAY_TEXT_SIZE]; /* the first lines of the log */
    size_t log_size;
    unsigned problems; /* errors and warnings that somebody was told */
} play_result;

typedef struct play_plan {
    const char *name;
    const char *config; /* with @ for the folder of the modules */
    bool remote;        /* a remote module of ours attaches at `control` */
    bool changes;       /* modules and links come and go */
} play_plan;

/* In an empty working folder. `modules` is the folder of the modules. Between its begin and its end
 * calls fail as failing_begin was told. */
void play(const play_plan *plan, const char *modules, play_result *result);

#endif
