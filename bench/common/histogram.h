/* SPDX-License-Identifier: MIT
 *
 * Counts of times in buckets that are at most 1/64 of their value wide.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_STEPS_LOG2 6u
#define BENCH_STEPS (1u << BENCH_STEPS_LOG2)
#define BENCH_OCTAVES 36u /* up to an hour */

typedef struct bench_histogram {
    uint64_t count;
    uint64_t max;
    uint32_t buckets[BENCH_OCTAVES * BENCH_STEPS];
} bench_histogram;

static inline uint32_t bench_bucket_of(uint64_t value)
{
    if (value < BENCH_STEPS) {
        return (uint32_t)value;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - BENCH_STEPS_LOG2;
    uint32_t bucket = (shift << BENCH_STEPS_LOG2) + (uint32_t)(value >> shift);
    uint32_t last = BENCH_OCTAVES * BENCH_STEPS - 1;
    return bucket < last ? bucket : last;
}

static inline uint64_t bench_bucket_value(uint32_t bucket)
{
    if (bucket < 2 * BENCH_STEPS) {
        return bucket;
    }
    uint32_t shift = (bucket >> BENCH_STEPS_LOG2) - 1;
    return ((uint64_t)bucket - ((uint64_t)shift << BENCH_STEPS_LOG2)) << shift;
}

static inline void bench_histogram_add(bench_histogram *to, uint64_t value)
{
    to->count++;
    to->max = value > to->max ? value : to->max;
    to->buckets[bench_bucket_of(value)]++;
}

/* The value that `per_mille` of 1000 are not above; 0 where nothing was counted. */
static inline uint64_t bench_histogram_quantile(const bench_histogram *of, uint64_t per_mille)
{
    uint64_t wanted = (of->count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BENCH_OCTAVES * BENCH_STEPS; i++) {
        seen += of->buckets[i];
        if (seen >= wanted && seen > 0) {
            return bench_bucket_value(i);
        }
    }
    return 0;
}

#endif
