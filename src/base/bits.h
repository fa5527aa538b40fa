/* SPDX-License-Identifier: MIT
 *
 * Bits of a word.
 */
#ifndef WR_BASE_BITS_H
#define WR_BASE_BITS_H

#include <stdint.h>

/* The number of the lowest bit that is set; `word` is not 0. */
static inline unsigned wr_lowest_bit(uint64_t word)
{
#if defined(__GNUC__) || defined(__clang__)
    return (unsigned)__builtin_ctzll(word);
#else
    unsigned bit = 0;
    while ((word >> bit & 1u) == 0) {
        bit++;
    }
    return bit;
#endif
}

#endif
