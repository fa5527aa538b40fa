/* SPDX-License-Identifier: MIT
 *
 * Formatting and escaping into a fixed space. Invariant: the result is NUL-terminated, and where it
 * was cut it ends in "..." and holds no part of a UTF-8 character.
 */
#include "base/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define DOTS "..."
#define HEX_SIZE 4u /* of \xNN */

/* `out` holds `length` bytes of a longer text, `length` < size. */
static void end_in_dots(char *out, size_t size, size_t length)
{
    size_t room = size - sizeof(DOTS);
    size_t at = length < room ? length : room;
    while (at > 0 && ((unsigned char)out[at] & 0xC0u) == 0x80u) {
        at--;
    }
    memcpy(out + at, DOTS, sizeof(DOTS));
}

void wr_text_formatv(char *out, size_t size, const char *format, va_list args)
{
    assert(size >= sizeof(DOTS));
    int wanted = vsnprintf(out, size, format, args);
    if (wanted < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)wanted >= size) {
        end_in_dots(out, size, size - 1);
    }
}

/* U+0000 to U+001F, U+007F to U+009F. */
static bool is_control(const char *character)
{
    unsigned char first = (unsigned char)character[0];
    return first < 0x20 || first == 0x7F || (first == 0xC2 && (unsigned char)character[1] < 0xA0);
}

/* `count` bytes as \xNN. */
static void put_hex(char *out, const char *from, size_t count)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)from[i];
        const char shown[HEX_SIZE] = {'\\', 'x', digits[byte >> 4], digits[byte & 0x0F]};
        memcpy(out + i * HEX_SIZE, shown, HEX_SIZE);
    }
}

void wr_text_escape(char *out, size_t size, const char *text)
{
    assert(size >= sizeof(DOTS));
    size_t used = 0;
    for (size_t left = strlen(text); left > 0;) {
        size_t length = wr_utf8_character(text, left);
        bool plain = length > 0 && !is_control(text);
        length = length > 0 ? length : 1;
        size_t need = plain ? length : length * HEX_SIZE;
        if (used + need >= size) {
            out[used] = '\0';
            end_in_dots(out, size, used);
            return;
        }
        if (plain) {
            memcpy(out + used, text, length);
        } else {
            put_hex(out + used, text, length);
        }
        used += need;
        text += length;
        left -= length;
    }
    out[used] = '\0';
}

const char *wr_text_plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

char *wr_text_copy(const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}
