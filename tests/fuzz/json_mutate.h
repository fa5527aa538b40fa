/* SPDX-License-Identifier: MIT
 *
 * Mutations of a configuration that keep it JSON.
 */
#ifndef WR_FUZZ_JSON_MUTATE_H
#define WR_FUZZ_JSON_MUTATE_H

#include "fuzz.h"

/* Change one value somewhere in the text. 0: it is no JSON, or there is no room. */
size_t fuzz_mutate_json(uint8_t *data, size_t size, size_t max_size, fuzz_random *random);

#endif
