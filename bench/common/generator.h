/* SPDX-License-Identifier: MIT
 *
 * The sender's loop, the same for Weir and for what it is compared with: as fast as the receiver
 * lets it, or at a rate, for a given time, and then the stream's end.
 */
#ifndef BENCH_GENERATOR_H
#define BENCH_GENERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

#include "payload.h"

#define BENCH_NS_PER_S UINT64_C(1000000000)
/* Without a rate, the clock is read after so many bytes. */
#define BENCH_BYTES_PER_LOOK 65536u
#define BENCH_LOOK_MAX 256u
/* A sleep is at least this long: above 20000 messages/s they are sent in small groups. */
#define BENCH_PACE_NS 50000u

typedef struct bench_plan {
    uint64_t duration_ns;
    uint64_t rate; /* messages per second; 0: no limit */
    size_t size;
    unsigned stream;
    bool stamps; /* the second word is the time of sending */
} bench_plan;

/* Both may wait. False: give up. */
typedef struct bench_sender {
    bool (*emit)(void *arg, uint64_t id, uint64_t second);
    bool (*flush)(void *arg);
    void *arg;
} bench_sender;

static inline void bench_sleep_until(uint64_t at_ns)
{
    struct timespec at = {(time_t)(at_ns / BENCH_NS_PER_S), (long)(at_ns % BENCH_NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {
    }
}

static inline bool bench_pause(const bench_plan *plan, const bench_sender *sender, uint64_t start,
                               uint64_t sent)
{
    if (!sender->flush(sender->arg)) {
        return false;
    }
    uint64_t next = start + sent * BENCH_NS_PER_S / plan->rate;
    uint64_t soonest = bench_now_ns() + BENCH_PACE_NS;
    bench_sleep_until(next > soonest ? next : soonest);
    return true;
}

static inline bool bench_emit_data(const bench_plan *plan, const bench_sender *sender, uint64_t n)
{
    uint64_t id = bench_id(BENCH_DATA, plan->stream, n);
    return sender->emit(sender->arg, id, plan->stamps ? bench_now_ns() : bench_check(id));
}

/* Returns whether everything was sent. */
static inline bool bench_generate(const bench_plan *plan, const bench_sender *sender)
{
    uint64_t look = BENCH_BYTES_PER_LOOK / plan->size + 1;
    look = look > BENCH_LOOK_MAX ? BENCH_LOOK_MAX : look;
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    uint64_t start = bench_now_ns();
    uint64_t sent = 0;
    for (uint64_t now = start; now - start < plan->duration_ns; now = bench_now_ns()) {
        uint64_t due =
            plan->rate == 0 ? sent + look : (now - start) * plan->rate / BENCH_NS_PER_S + 1;
        for (; sent < due; sent++) {
            if (!bench_emit_data(plan, sender, sent)) {
                return false;
            }
        }
        if (plan->rate != 0 && !bench_pause(plan, sender, start, sent)) {
            return false;
        }
    }
    return sender->emit(sender->arg, bench_id(BENCH_END, plan->stream, sent), sent) &&
           sender->flush(sender->arg);
}

#endif
