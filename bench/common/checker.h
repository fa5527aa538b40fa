/* SPDX-License-Identifier: MIT
 *
 * The receiver's side, the same for Weir and for what it is compared with: counts, times, and finds
 * what is lost, out of order, repeated or damaged.
 */
#ifndef BENCH_CHECKER_H
#define BENCH_CHECKER_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "histogram.h"
#include "payload.h"
#include "report.h"

#define BENCH_REPORT_SIZE 1024u

typedef struct bench_checker {
    /* Set before the first message. */
    const char *name;
    const char *report; /* the harness's socket */
    unsigned streams;
    bool stamps;
    bool gaps; /* find the longest time between two messages */

    unsigned probes;
    unsigned ends;
    uint64_t next[BENCH_STREAMS_MAX];
    uint64_t first_ns;
    uint64_t before_ns;
    uint64_t gap_ns;
    uint64_t count;
    uint64_t lost;
    uint64_t repeated; /* seen before: out of order, or twice */
    uint64_t damaged;
    bench_histogram latency;
} bench_checker;

static inline void bench_checker_say(const bench_checker *of, const char *event, uint64_t now)
{
    char text[BENCH_REPORT_SIZE];
    const bench_histogram *times = &of->latency;
    (void)snprintf(
        text, sizeof(text),
        "{\"event\":\"%s\",\"name\":\"%s\",\"pid\":%ld,\"at_ns\":%" PRIu64 ",\"ns\":%" PRIu64
        ",\"count\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"damaged\":%" PRIu64
        ",\"gap_ns\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p999\":%" PRIu64
        ",\"max\":%" PRIu64 "}",
        event, of->name, (long)getpid(), now, now - of->first_ns, of->count, of->lost, of->repeated,
        of->damaged, of->gap_ns, bench_histogram_quantile(times, 500),
        bench_histogram_quantile(times, 990), bench_histogram_quantile(times, 999), times->max);
    bench_report(of->report, text);
}

static inline void bench_checker_end(bench_checker *to, unsigned stream, uint64_t total)
{
    if (to->next[stream] < total) {
        to->lost += total - to->next[stream];
    }
    if (++to->ends == to->streams) {
        bench_checker_say(to, "done", bench_now_ns());
    }
}

static inline void bench_checker_special(bench_checker *to, uint64_t id, uint64_t second)
{
    unsigned stream = (unsigned)(id >> BENCH_STREAM_SHIFT) & BENCH_STREAM_MASK;
    if (id >> BENCH_KIND_SHIFT == BENCH_END && stream < BENCH_STREAMS_MAX) {
        bench_checker_end(to, stream, second);
    } else if (id >> BENCH_KIND_SHIFT == BENCH_PROBE && ++to->probes == to->streams) {
        bench_checker_say(to, "ready", bench_now_ns());
    }
}

/* The times, where they are asked for. */
static inline void bench_checker_time(bench_checker *to, uint64_t stamp)
{
    uint64_t now = bench_now_ns();
    if (to->stamps) {
        bench_histogram_add(&to->latency, now > stamp ? now - stamp : 0);
    }
    if (to->gaps && to->before_ns != 0 && now - to->before_ns > to->gap_ns) {
        to->gap_ns = now - to->before_ns;
    }
    to->before_ns = now;
}

static inline void bench_checker_order(bench_checker *to, unsigned stream, uint64_t sequence)
{
    if (sequence < to->next[stream]) {
        to->repeated++;
        return;
    }
    to->lost += sequence - to->next[stream];
    to->next[stream] = sequence + 1;
}

static inline void bench_checker_take(bench_checker *to, const void *content, size_t size)
{
    uint64_t id;
    uint64_t second;
    if (size < BENCH_SIZE_MIN) {
        to->damaged++;
        return;
    }
    memcpy(&id, content, BENCH_WORD);
    memcpy(&second, (const unsigned char *)content + BENCH_WORD, BENCH_WORD);
    if (id >> BENCH_KIND_SHIFT != BENCH_DATA) {
        bench_checker_special(to, id, second);
        return;
    }
    unsigned stream = (unsigned)(id >> BENCH_STREAM_SHIFT) & BENCH_STREAM_MASK;
    if (stream >= BENCH_STREAMS_MAX || !bench_intact(content, size, id) ||
        (!to->stamps && second != bench_check(id))) {
        to->damaged++;
        return;
    }
    if (to->count++ == 0) {
        to->first_ns = bench_now_ns();
    }
    bench_checker_order(to, stream, id & BENCH_SEQUENCE_MASK);
    if (to->stamps || to->gaps) {
        bench_checker_time(to, second);
    }
}

static inline bool bench_checker_finished(const bench_checker *of)
{
    return of->ends >= of->streams;
}

#endif
