/* SPDX-License-Identifier: MIT
 *
 * What is wrong with a text that is no JSON, for people: jansson's error turned into a place in
 * bytes, plain words, and a hint where the mistake is a frequent one.
 */
#include "json/json_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* How the texts of jansson begin, and what we say instead. */
static const struct {
    const char *jansson, *words;
} syntax_words[] = {
    {"string or '}' expected", "expected a key in double quotes, or }"},
    {"'}' expected", "expected a comma or }"},
    {"']' expected", "expected a comma or ]"},
    {"':' expected", "expected a colon after the key"},
    {"invalid token", "expected a value"},
    {"unexpected token", "expected a value"},
    {"unexpected newline", "the string is not closed on its line"},
    {"control character", "a control character in a string (expected \\u and four digits)"},
    {"invalid escape",
     "unknown escape in a string (expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t"
     " or \\u and four digits)"},
    {"invalid Unicode", "half of a surrogate pair in a string"},
};

typedef struct bad_place {
    char before; /* first byte of the token before the mistake; NUL: none */
    wr_json_token token;
} bad_place;

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void say(wr_json_mistake *mistake, size_t offset, const char *text)
{
    mistake->offset = offset;
    snprintf(mistake->text, sizeof(mistake->text), "%s", text);
}

/* The last token that begins before `end`, and what stands before it. */
static bad_place last_token(const char *text, size_t end)
{
    bad_place place = {'\0', {0, 0}};
    wr_json_token token;
    size_t at = 0;
    while (wr_json_token_next(text, end, &at, &token)) {
        place.before = place.token.end == 0 ? '\0' : text[place.token.start];
        place.token = token;
    }
    return place;
}

/* Is this one of JSON's three words, but for its capitals? */
static bool is_word_in_capitals(const char *text, wr_json_token token)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t at = 0;
        while (at < token.end - token.start &&
               tolower((unsigned char)text[token.start + at]) == words[i][at] &&
               words[i][at] != '\0') {
            at++;
        }
        if (words[i][at] == '\0' && at == token.end - token.start) {
            return true;
        }
    }
    return false;
}

/* What people who write this usually mean; "" when nothing is known. */
static const char *hint_for(const char *text, bad_place place)
{
    char c = text[place.token.start];
    if (place.before == ',' && (c == '}' || c == ']')) {
        return " (JSON allows no comma before a closing bracket)";
    }
    if (c == '\'') {
        return " (JSON has double quotes only)";
    }
    if (c == '/' || c == '#') {
        return " (JSON has no comments)";
    }
    if (c == '+' || c == '.' || c == '-' || isdigit((unsigned char)c)) {
        return place.before == ':' || place.before == ',' || place.before == '['
                   ? " (a number begins with a digit, or a minus sign and a digit, without extra"
                     " zeros)"
                   : "";
    }
    if (is_word_in_capitals(text, place.token)) {
        return " (true, false and null have small letters)";
    }
    return isalpha((unsigned char)c) ? " (text stands in double quotes)" : "";
}

static void explain_syntax(const char *text, size_t end, const char *jansson,
                           wr_json_mistake *mistake)
{
    bad_place place = last_token(text, end);
    const char *words = jansson;
    for (size_t i = 0; i < sizeof(syntax_words) / sizeof(syntax_words[0]); i++) {
        if (starts_with(jansson, syntax_words[i].jansson)) {
            words = syntax_words[i].words;
            break;
        }
    }
    mistake->offset = place.token.start;
    if (starts_with(jansson, "unexpected newline") || starts_with(jansson, "control character")) {
        mistake->offset = end;
    }
    if (starts_with(jansson, "invalid escape")) {
        while (end > place.token.start && text[--end] != '\\') {
        }
        mistake->offset = end;
    }
    snprintf(mistake->text, sizeof(mistake->text), "%s%s", words, hint_for(text, place));
}

void wr_json_explain(const char *text, size_t size, const json_error_t *error,
                     wr_json_mistake *mistake)
{
    size_t end = error->position < 0 ? 0 : (size_t)error->position;
    end = end > size ? size : end;
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
        say(mistake, end, "");
        snprintf(mistake->text, sizeof(mistake->text), "byte 0x%02x here is not UTF-8",
                 (unsigned char)text[end < size ? end : size - 1]);
        return;
    case json_error_premature_end_of_input:
        say(mistake, size, "the text ends too early (a bracket or a string is not closed)");
        return;
    case json_error_end_of_input_expected:
        say(mistake, last_token(text, end).token.start,
            "expected the end of the text, found something after it (one bracket too many?)");
        return;
    case json_error_stack_overflow:
        say(mistake, last_token(text, end).token.start, "");
        snprintf(mistake->text, sizeof(mistake->text),
                 "brackets are nested too deeply (at most %d levels)", JSON_PARSER_MAX_DEPTH);
        return;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        say(mistake, last_token(text, end).token.start, "a string must not contain \\u0000");
        return;
    case json_error_numeric_overflow:
        say(mistake, last_token(text, end).token.start, "the number is too large");
        return;
    default:
        explain_syntax(text, end, error->text, mistake);
        return;
    }
}

bool wr_json_check_bytes(const char *text, size_t size, wr_json_mistake *mistake)
{
    size_t at = 0;
    wr_json_token token;
    if (size > WR_JSON_TEXT_MAX) {
        say(mistake, 0, "the text is too large");
        return false;
    }
    const char *nul = size == 0 ? NULL : memchr(text, '\0', size);
    if (nul != NULL) {
        say(mistake, (size_t)(nul - text), "a NUL byte (the text must be UTF-8)");
        return false;
    }
    if (size >= strlen(BYTE_ORDER_MARK) && starts_with(text, BYTE_ORDER_MARK)) {
        say(mistake, 0, "the text begins with a byte order mark (save it as UTF-8 without one)");
        return false;
    }
    if (!wr_json_token_next(text, size, &at, &token)) {
        say(mistake, 0, "the text is empty (expected a JSON object)");
        return false;
    }
    return true;
}
