/* SPDX-License-Identifier: MIT
 *
 * Structure for mutated bytes: after a blind mutation the lengths, counts and headers of an image
 * are set right, so that what changed lies deeper than the first check; or one of them, found this
 * way, is set wrong.
 */
#ifndef WR_FUZZ_REPAIR_H
#define WR_FUZZ_REPAIR_H

#include "fuzz.h"

#define FUZZ_FIELDS_MAX 64u

/* Where the numbers that hold an image together are. */
typedef struct fuzz_fields {
    size_t count;
    struct fuzz_field {
        size_t at;
        size_t width; /* 1, 2, 4 or 8 bytes */
    } list[FUZZ_FIELDS_MAX];
} fuzz_fields;

/* Make `size` bytes a message image, or a control message, as far as that is possible by changing
 * its lengths; too few bytes are left alone. `fields` starts empty and is added to. */
void fuzz_repair_message(uint8_t *data, size_t size, fuzz_fields *fields);
void fuzz_repair_control(uint8_t *data, size_t size, fuzz_fields *fields);
/* Make `size` bytes a greeting and frames; the last one may be cut. `messages`: of message images.
 */
void fuzz_repair_stream(uint8_t *data, size_t size, bool messages, fuzz_fields *fields);

void fuzz_note_field(fuzz_fields *fields, size_t at, size_t width);
/* Set one of the fields to a value that is probably wrong. */
void fuzz_break_field(uint8_t *data, size_t size, const fuzz_fields *fields, fuzz_random *random);

/* A mutator that makes mostly whole images with other contents, and often with one thing wrong. For
 * targets only: others have no LLVMFuzzerMutate to link. */
static inline size_t fuzz_mutate_image(uint8_t *data, size_t size, size_t max_size,
                                       unsigned int seed,
                                       void (*repair)(uint8_t *data, size_t size,
                                                      fuzz_fields *fields))
{
    fuzz_random random = fuzz_random_from(seed);
    fuzz_fields fields = {0};
    size = LLVMFuzzerMutate(data, size, max_size);
    if (fuzz_one_in(&random, 8)) {
        return size;
    }
    repair(data, size, &fields);
    if (fuzz_one_in(&random, 3)) {
        fuzz_break_field(data, size, &fields, &random);
    }
    return size;
}

#endif
