/* SPDX-License-Identifier: MIT
 *
 * The tokenizer behind array_scan.h: a table of what may come at each place, and one function for
 * each kind of token.
 */
#include "array_scan.h"

#include <ctype.h>
#include <string.h>

#define DEPTH_MAX 64u /* brackets open at once: the bits of array_scan.objects */

/* What may come at each place beside white space; 'w' stands for a number or word. A comma before
 * the last bracket is no JSON, but it is what a write that stopped after one byte leaves. */
static const char *const allowed[] = {
    [PLACE_START] = "[",         [PLACE_FIRST_ENTRY] = "{]", [PLACE_ENTRY] = "{]",
    [PLACE_AFTER_ENTRY] = ",]",  [PLACE_FIRST_NAME] = "\"}", [PLACE_NAME] = "\"",
    [PLACE_COLON] = ":",         [PLACE_VALUE] = "\"{[w",    [PLACE_FIRST_ITEM] = "\"{[w]",
    [PLACE_AFTER_MEMBER] = ",}", [PLACE_AFTER_ITEM] = ",]",  [PLACE_END] = "",
};

static bool is_word_byte(unsigned char byte)
{
    return isalnum(byte) || byte == '+' || byte == '-' || byte == '.';
}

static bool is_space(unsigned char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool in_object(const array_scan *scan)
{
    return (scan->objects & 1u) != 0;
}

static array_place after_value(const array_scan *scan)
{
    return in_object(scan) ? PLACE_AFTER_MEMBER : PLACE_AFTER_ITEM;
}

static bool take_opening(array_scan *scan, bool object)
{
    if (scan->depth == DEPTH_MAX) {
        return false;
    }
    scan->depth++;
    scan->objects = (scan->objects << 1) | object;
    if (scan->depth == 1) {
        scan->end = scan->at + 1;
        scan->place = PLACE_FIRST_ENTRY;
        return true;
    }
    scan->place = object ? PLACE_FIRST_NAME : PLACE_FIRST_ITEM;
    return true;
}

static void take_closing(array_scan *scan)
{
    scan->stray_comma = scan->place == PLACE_ENTRY;
    scan->depth--;
    scan->objects >>= 1;
    if (scan->depth == 0) {
        scan->place = PLACE_END;
        return;
    }
    if (scan->depth == 1) {
        scan->end = scan->at + 1;
        scan->any = true;
        scan->place = PLACE_AFTER_ENTRY;
        return;
    }
    scan->place = after_value(scan);
}

static void take_quote(array_scan *scan)
{
    bool name = scan->place == PLACE_FIRST_NAME || scan->place == PLACE_NAME;
    scan->inside = INSIDE_STRING;
    scan->place = name ? PLACE_COLON : after_value(scan);
}

static void take_comma(array_scan *scan)
{
    if (scan->depth == 1) {
        scan->place = PLACE_ENTRY;
        return;
    }
    scan->place = in_object(scan) ? PLACE_NAME : PLACE_VALUE;
}

static bool take_token(array_scan *scan, unsigned char byte)
{
    char token = is_word_byte(byte) ? 'w' : (char)byte;
    if (token == '\0' || strchr(allowed[scan->place], token) == NULL) {
        return false;
    }
    switch (token) {
    case '[':
    case '{':
        return take_opening(scan, token == '{');
    case ']':
    case '}':
        take_closing(scan);
        return true;
    case '"':
        take_quote(scan);
        return true;
    case ',':
        take_comma(scan);
        return true;
    case ':':
        scan->place = PLACE_VALUE;
        return true;
    default:
        scan->inside = INSIDE_WORD;
        scan->place = after_value(scan);
        return true;
    }
}

static bool take_string_byte(array_scan *scan, unsigned char byte)
{
    if (scan->hex_left > 0) {
        scan->hex_left--;
        return isxdigit(byte);
    }
    if (byte == '"') {
        scan->inside = INSIDE_NOTHING;
    }
    if (byte == '\\') {
        scan->inside = INSIDE_ESCAPE;
    }
    return byte >= 0x20;
}

static bool take_escaped_byte(array_scan *scan, unsigned char byte)
{
    scan->inside = INSIDE_STRING;
    scan->hex_left = byte == 'u' ? 4 : 0;
    return byte != '\0' && strchr("\"\\/bfnrtu", byte) != NULL;
}

static bool take_byte(array_scan *scan, unsigned char byte)
{
    if (scan->inside == INSIDE_STRING) {
        return take_string_byte(scan, byte);
    }
    if (scan->inside == INSIDE_ESCAPE) {
        return take_escaped_byte(scan, byte);
    }
    if (scan->inside == INSIDE_WORD && is_word_byte(byte)) {
        return true;
    }
    scan->inside = INSIDE_NOTHING;
    return is_space(byte) || take_token(scan, byte);
}

bool array_scan_feed(array_scan *scan, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!take_byte(scan, (unsigned char)data[i])) {
            return false;
        }
        scan->at++;
    }
    return true;
}

bool array_scan_begun(const array_scan *scan)
{
    return scan->place != PLACE_START;
}

bool array_scan_ended(const array_scan *scan)
{
    return scan->place == PLACE_END && !scan->stray_comma;
}
