/* SPDX-License-Identifier: MIT
 *
 * The check of UTF-8, by the table of well-formed byte sequences: what a first byte allows decides
 * how many bytes follow and in which range the second one lies.
 */
#include "base/utf8.h"

#include <stdint.h>

typedef struct sequence {
    uint8_t first_low, first_high;
    uint8_t second_low, second_high;
    uint8_t length;
} sequence;

/* The narrower second bytes keep out overlong forms, surrogates, and what is over U+10FFFF. */
static const sequence sequences[] = {
    {0x00, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static const sequence *sequence_of(uint8_t first)
{
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (first >= sequences[i].first_low && first <= sequences[i].first_high) {
            return &sequences[i];
        }
    }
    return NULL;
}

size_t wr_utf8_character(const char *text, size_t left)
{
    const uint8_t *at = (const uint8_t *)text;
    const sequence *seq = sequence_of(at[0]);
    if (seq == NULL || seq->length > left) {
        return 0;
    }
    if (seq->length > 1 && (at[1] < seq->second_low || at[1] > seq->second_high)) {
        return 0;
    }
    for (size_t i = 2; i < seq->length; i++) {
        if ((at[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    return seq->length;
}

bool wr_utf8_valid(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = wr_utf8_character(text + at, size - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}
