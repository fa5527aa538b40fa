/* SPDX-License-Identifier: MIT
 *
 * The limit inside a process: Vyukov's queue (many producers, one consumer) between two threads,
 * bounded to what a link is bounded to, with the same messages as Weir's, with malloc and free for
 * each, or with a fixed set of blocks that is used in turn.
 *
 * usage: queue_limit ALLOCATION SIZE SECONDS RATE STAMPS - REPORT GO
 *     ALLOCATION: message, malloc or none
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../common/checker.h"
#include "../common/generator.h"
#include "../common/report.h"
#include "weir/message.h"

#define LIMIT 1024u  /* as a link's */
#define BLOCKS 2048u /* over the limit by enough that none is in use when its turn comes */
#define REPORT_EVERY 64u
#define LINE 64

typedef struct node {
    _Atomic(struct node *) next;
    weir_message *msg;
    unsigned char content[];
} node;

typedef enum allocation { AS_MESSAGE, AS_MALLOC, AS_NONE } allocation;

static allocation how;
static bench_plan plan;
static bench_checker checker;
static node *blocks[BLOCKS];

static _Alignas(LINE) _Atomic(node *) head; /* producers */
static uint64_t sent;
static uint64_t seen_consumed;
static _Alignas(LINE) node *tail; /* the consumer */
static _Alignas(LINE) _Atomic uint64_t consumed;

static node *node_get(void)
{
    node *got = NULL;
    if (how == AS_NONE) {
        return blocks[sent % BLOCKS];
    }
    if (how == AS_MALLOC) {
        return malloc(sizeof(node) + plan.size);
    }
    weir_message *msg;
    void *content;
    if (weir_message_reserve(NULL, 0, sizeof(node) + plan.size + 2, &content, &msg) == WEIR_OK) {
        got = (node *)(void *)((unsigned char *)content + 2); /* to a multiple of eight */
        got->msg = msg;
    }
    return got;
}

static void node_put(node *used)
{
    if (how == AS_MALLOC) {
        free(used);
    } else if (how == AS_MESSAGE) {
        weir_message_unref(used->msg);
    }
}

static bool emit(void *arg, uint64_t id, uint64_t second)
{
    (void)arg;
    while (sent - seen_consumed >= LIMIT) {
        seen_consumed = atomic_load_explicit(&consumed, memory_order_acquire);
        if (sent - seen_consumed >= LIMIT) {
            (void)sched_yield();
        }
    }
    node *fresh = node_get();
    if (fresh == NULL) {
        return false;
    }
    sent++;
    atomic_store_explicit(&fresh->next, NULL, memory_order_relaxed);
    bench_fill(fresh->content, plan.size, id, second);
    node *before = atomic_exchange_explicit(&head, fresh, memory_order_acq_rel);
    atomic_store_explicit(&before->next, fresh, memory_order_release);
    return true;
}

static bool flush(void *arg)
{
    (void)arg;
    return true;
}

/* Vyukov's queue keeps the node taken last as its stub. */
static void *consume(void *arg)
{
    (void)arg;
    uint64_t count = 1; /* with the stub */
    while (!bench_checker_finished(&checker)) {
        node *next = atomic_load_explicit(&tail->next, memory_order_acquire);
        if (next == NULL) {
            atomic_store_explicit(&consumed, count, memory_order_release);
            (void)sched_yield();
            continue;
        }
        bench_checker_take(&checker, next->content, plan.size);
        node_put(tail);
        tail = next;
        if (++count % REPORT_EVERY == 0) {
            atomic_store_explicit(&consumed, count, memory_order_release);
        }
    }
    return NULL;
}

static bool make_blocks(void)
{
    for (unsigned i = 0; how == AS_NONE && i < BLOCKS; i++) {
        blocks[i] = malloc(sizeof(node) + plan.size);
        if (blocks[i] == NULL) {
            return false;
        }
        memset(blocks[i], 0, sizeof(node) + plan.size); /* the system gives the memory now */
    }
    tail = node_get();
    if (tail == NULL) {
        return false;
    }
    sent++; /* the stub's place in the set of blocks */
    seen_consumed = 1;
    atomic_store(&consumed, 1);
    atomic_store(&tail->next, NULL);
    atomic_store(&head, tail);
    return true;
}

int main(int argc, char **argv)
{
    pthread_t consumer;
    if (argc != 9) {
        (void)fprintf(stderr, "usage: queue_limit ALLOCATION SIZE SECONDS RATE STAMPS - "
                              "REPORT GO\n");
        return 2;
    }
    how = argv[1][1] == 'e' ? AS_MESSAGE : argv[1][1] == 'a' ? AS_MALLOC : AS_NONE;
    plan = (bench_plan){.duration_ns = (uint64_t)(strtod(argv[3], NULL) * 1e9),
                        .rate = strtoull(argv[4], NULL, 10),
                        .size = strtoul(argv[2], NULL, 10),
                        .stamps = argv[5][0] == '1'};
    checker.name = "sink";
    checker.report = argv[7];
    checker.streams = 1;
    checker.stamps = plan.stamps;
    int go = bench_listen(argv[8]);
    if (go < 0 || plan.size < BENCH_SIZE_MIN || !make_blocks() ||
        pthread_create(&consumer, NULL, consume, NULL) != 0) {
        (void)fprintf(stderr, "queue_limit: cannot start\n");
        return 1;
    }
    bench_sender sender = {emit, flush, NULL};
    if (!emit(NULL, bench_id(BENCH_PROBE, 0, 0), 0) || !bench_wait_for_go(go) ||
        !bench_generate(&plan, &sender)) {
        return 1;
    }
    (void)pthread_join(consumer, NULL);
    pause(); /* until the harness has read what this process used */
    return 0;
}
