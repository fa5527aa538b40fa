/* SPDX-License-Identifier: MIT
 *
 * An input of a session fuzzer: a script of steps, four bytes each. What a step does is its
 * target's business; mutations here keep steps whole, so that a script that got deep stays one.
 */
#ifndef WR_FUZZ_SCRIPT_H
#define WR_FUZZ_SCRIPT_H

#include "fuzz.h"

#define FUZZ_STEP_SIZE 4u
/* What is longer is cut: one input must not take long. */
#define FUZZ_STEPS_MAX 32u

typedef struct fuzz_step {
    uint8_t op;
    uint8_t slot;   /* which of several */
    uint8_t kind;   /* which sort of it */
    uint8_t number; /* how many, how far */
} fuzz_step;

/* Returns how many steps. A rest of less than a step is dropped. */
size_t fuzz_script_read(const uint8_t *data, size_t size, fuzz_step steps[FUZZ_STEPS_MAX]);
/* As LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver; there are `ops` operations. */
size_t fuzz_script_mutate(uint8_t *data, size_t size, size_t max_size, unsigned int seed,
                          uint8_t ops);
size_t fuzz_script_cross(const uint8_t *first, size_t first_size, const uint8_t *second,
                         size_t second_size, uint8_t *out, size_t max_size, unsigned int seed);

#endif
