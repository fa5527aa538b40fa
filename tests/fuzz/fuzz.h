/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets share: libFuzzer's entry points, an assertion that stays in every build,
 * random numbers for mutators, and the wish for silence in the log.
 */
#ifndef WR_FUZZ_FUZZ_H
#define WR_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/log.h"

/* A target defines the first; the second and third if it has a mutator of its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max_size,
                                 unsigned int seed);
/* libFuzzer's, and in builds without it replay.c's: change the bytes somehow; their new number. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Unlike assert in every build. */
#define REQUIRE(truth)                                                                             \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

typedef struct fuzz_random {
    uint64_t state;
} fuzz_random;

static inline fuzz_random fuzz_random_from(unsigned int seed)
{
    return (fuzz_random){seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du};
}

/* xorshift64* */
static inline uint64_t fuzz_next(fuzz_random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1du;
}

/* Below `end`, which is not 0. */
static inline size_t fuzz_below(fuzz_random *random, size_t end)
{
    return (size_t)(fuzz_next(random) >> 16) % end;
}

static inline bool fuzz_one_in(fuzz_random *random, size_t count)
{
    return fuzz_below(random, count) == 0;
}

static inline void fuzz_drop_line(void *user, weir_log_level level, const char *who,
                                  const char *text)
{
    (void)user;
    (void)level;
    (void)who;
    (void)text;
}

/* A million complaints a minute are of no use; WEIR_FUZZ_LOG in the environment shows them. */
static inline void fuzz_silence(void)
{
    if (getenv("WEIR_FUZZ_LOG") == NULL) {
        weir_log_set_sink(fuzz_drop_line, NULL);
    }
}

#endif
