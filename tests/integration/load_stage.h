/* SPDX-License-Identifier: MIT
 *
 * What the files of load_test share: the modules on the stage, what is known of the links between
 * them, and whether the gateway's counters agree with it.
 */
#ifndef LOAD_STAGE_H
#define LOAD_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "modules/load.h"
#include "weir/gateway.h"

#define TEXT_MAX 2048
#define MODULES 11

/* What a module is. Links go from lower to higher kinds only: no cycle that could block. */
typedef enum kind { SOURCE, PASS, HOSTED, ISOLATED, SINK } kind;

typedef struct role {
    const char *name;
    kind kind;
} role;

extern const role cast[MODULES];
/* A link as the test knows it. */
typedef struct line {
    bool exists;
    uint64_t accepted; /* at the last agreement, or 0 for a new one; likewise: */
    uint64_t delivered;
} line;

typedef struct stage {
    char folder[64];
    char library[TEXT_MAX];
    weir_gateway *gateway;
    uint64_t random;
    load_book *books[MODULES]; /* NULL: it runs in a process of its own */
    pid_t hosts[MODULES];      /* processes of HOSTED modules; 0: none */
    line lines[MODULES][MODULES];

    /* Since the last agreement. */
    uint64_t published[MODULES];
    uint64_t received[MODULES];
    bool out_changed[MODULES]; /* links out were changed under load, so that nothing is known of */
    bool in_changed[MODULES];  /* likewise: a link in was removed */

    uint64_t gone;   /* delivered by removed links to modules in other processes */
    bool gone_known; /* else it is learned at the next agreement, and at least so much */

    /* The last look; a link that does not exist has no name. */
    weir_link_info now[MODULES][MODULES];
    uint64_t now_published[MODULES];
    uint64_t now_received[MODULES];

    pthread_t checker; /* runs check_always, where `checking` says so */
    bool checking;
    atomic_bool finished;
    atomic_bool failed; /* found by a thread that is not cmocka's */
} stage;

bool is_remote(size_t module); /* it runs in a process of its own */
weir_stats get_stats(stage *s);
/* Fill in `now`. */
void list_links(stage *s);
void pause_a_moment(void);

/* What must hold at any moment, until `finished`. For a thread of its own; the argument is a stage.
 */
void *check_always(void *arg);
/* The totals against the books; NULL: they agree. */
const char *check_totals(stage *s);
/* Wait until everything is as it must be when nothing moves. The sources are held. */
void wait_for_agreement(stage *s);
/* The last look was agreed on. */
void begin_anew(stage *s);

#endif
