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

#define DOTS "..."

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

/* How many bytes of a control character stand at `at`: one, two (U+0080 to U+009F), or none. */
static size_t control_length(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7F) {
        return 1;
    }
    bool upper = at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F;
    return upper ? 2 : 0;
}

void wr_text_escape(char *out, size_t size, const char *text)
{
    assert(size >= sizeof(DOTS));
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *from = (const unsigned char *)text;
    size_t controls = 0;
    size_t used = 0;
    for (; *from != '\0'; from++) {
        if (controls == 0) {
            controls = control_length(from);
        }
        size_t need = controls > 0 ? 4 : 1;
        if (used + need >= size) {
            out[used] = '\0';
            end_in_dots(out, size, used);
            return;
        }
        if (controls > 0) {
            const char shown[4] = {'\\', 'x', digits[*from >> 4], digits[*from & 0x0F]};
            memcpy(out + used, shown, sizeof(shown));
            controls--;
        } else {
            out[used] = (char)*from;
        }
        used += need;
    }
    out[used] = '\0';
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
