/* SPDX-License-Identifier: MIT
 *
 * What every benchmark sends: words of eight bytes, of which none is left unwritten or unread.
 *
 *     id (kind, stream, sequence number) | stamp or check | check + 2 | check + 3 ...
 *
 * The check is made from the id, so that a message that is lost, swapped, repeated or damaged is
 * noticed. A stamp is the time of sending in nanoseconds, the same clock in all processes.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define BENCH_WORD 8u
#define BENCH_SIZE_MIN 16u
#define BENCH_STREAMS_MAX 64u

/* END: the stream's last; its second word is the number of data messages before it. */
typedef enum bench_kind { BENCH_DATA = 0, BENCH_PROBE = 1, BENCH_END = 2 } bench_kind;

#define BENCH_KIND_SHIFT 60u
#define BENCH_STREAM_SHIFT 48u
#define BENCH_STREAM_MASK 0xfffu
#define BENCH_SEQUENCE_MASK ((UINT64_C(1) << BENCH_STREAM_SHIFT) - 1)

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t bench_id(bench_kind kind, unsigned stream, uint64_t sequence)
{
    return (uint64_t)kind << BENCH_KIND_SHIFT | (uint64_t)stream << BENCH_STREAM_SHIFT | sequence;
}

static inline uint64_t bench_check(uint64_t id)
{
    return (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void bench_fill(void *to, size_t size, uint64_t id, uint64_t second)
{
    unsigned char *at = to;
    uint64_t check = bench_check(id);
    memcpy(at, &id, BENCH_WORD);
    memcpy(at + BENCH_WORD, &second, BENCH_WORD);
    for (size_t i = 2; i < size / BENCH_WORD; i++) {
        uint64_t word = check + i;
        memcpy(at + i * BENCH_WORD, &word, BENCH_WORD);
    }
}

/* All words but the first two. */
static inline bool bench_intact(const void *from, size_t size, uint64_t id)
{
    const unsigned char *at = from;
    uint64_t check = bench_check(id);
    uint64_t wrong = 0;
    for (size_t i = 2; i < size / BENCH_WORD; i++) {
        uint64_t word;
        memcpy(&word, at + i * BENCH_WORD, BENCH_WORD);
        wrong |= word ^ (check + i);
    }
    return wrong == 0;
}

#endif
