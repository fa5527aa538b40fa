/* SPDX-License-Identifier: MIT
 *
 * Mistakes in a configuration as lines for people: FILE:LINE:COLUMN: path: what is wrong. They are
 * collected, so that they come out in the order of the file, and cut at a limit. Control characters
 * never get out: a problem is one line whatever the file holds.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/config_reader.h"

/* How much of the file's own text one message shows, in bytes. */
#define SHOWN_MAX 64u
/* The most bytes that one byte is shown as: \xNN. */
#define SHOWN_BYTE_SIZE 4u
/* How many steps of a path one message shows. */
#define PATH_STEPS_MAX 16u

bool wr_config_explains(const wr_config_reader *reader)
{
    return reader->problem_count < WR_PROBLEMS_MAX;
}

/* The size of `text` cut to at most `max` bytes, between two characters. */
static size_t cut_size(const char *text, size_t size, size_t max)
{
    if (size <= max) {
        return size;
    }
    size_t end = max;
    while (end > 0 && ((unsigned char)text[end] & 0xc0u) == 0x80u) {
        end--;
    }
    return end;
}

wr_shown wr_show(const char *text, size_t size)
{
    wr_shown shown;
    size_t kept = cut_size(text, size, SHOWN_MAX);
    snprintf(shown.text, sizeof(shown.text), "\"%.*s%s\"", (int)kept, text,
             kept < size ? "..." : "");
    return shown;
}

wr_shown wr_show_text(const char *text)
{
    return wr_show(text, strlen(text));
}

wr_shown wr_suggestion_text(const wr_suggestion *suggestion)
{
    wr_shown shown = {""};
    if (suggestion->best != NULL) {
        snprintf(shown.text, sizeof(shown.text), "did you mean %.80s?",
                 wr_show_text(suggestion->best).text);
    }
    return shown;
}

static bool is_plain_key(const char *key, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (size_t i = 0; i < size; i++) {
        if (memchr(plain, key[i], sizeof(plain) - 1) == NULL) {
            return false;
        }
    }
    return size > 0 && size <= SHOWN_MAX;
}

static void append_step(wr_config_reader *reader, wr_buffer *out, const wr_json_value *value,
                        size_t depth)
{
    if (value->node->key_end == value->node->key_start) {
        wr_buffer_printf(out, "[%zu]", value->index);
        return;
    }
    wr_json_key key = wr_json_key_get(&reader->json, value->node);
    if (key.text != NULL && is_plain_key(key.text, key.size)) {
        wr_buffer_append_text(out, depth > 1 ? "." : "");
        wr_buffer_append(out, key.text, key.size);
    } else if (key.text != NULL) {
        wr_buffer_printf(out, "[%s]", wr_show(key.text, key.size).text);
    }
    wr_json_key_release(&key);
}

/* modules[1].loader; returns the depth. As deep as the text's brackets, which jansson bounds. */
static size_t append_path(wr_config_reader *reader, wr_buffer *out, const wr_json_value *value)
{
    if (value->parent == NULL) {
        return 0;
    }
    size_t depth = append_path(reader, out, value->parent) + 1;
    if (depth <= PATH_STEPS_MAX) {
        append_step(reader, out, value, depth);
    } else if (depth == PATH_STEPS_MAX + 1) {
        wr_buffer_append_text(out, "...");
    }
    return depth;
}

/* A copy with control characters as \xNN; NULL: out of memory. */
static char *without_controls(const wr_buffer *from)
{
    size_t size = from->size * SHOWN_BYTE_SIZE + SHOWN_BYTE_SIZE;
    char *out = malloc(size);
    if (out != NULL) {
        wr_text_escape(out, size, from->data);
    }
    return out;
}

/* Takes the buffer's content. */
static void keep(wr_config_reader *reader, unsigned line, unsigned column, wr_buffer *text)
{
    char *clean = text->failed ? NULL : without_controls(text);
    wr_buffer_deinit(text);
    if (clean == NULL) {
        reader->out_of_memory = true;
        return;
    }
    size_t order = reader->problem_count++;
    reader->problems[order] = (wr_problem){line, column, order, clean};
}

static void append_message(wr_buffer *out, const char *format, va_list args) WEIR_PRINTF(2, 0);

static void append_message(wr_buffer *out, const char *format, va_list args)
{
    char message[2048];
    wr_text_formatv(message, sizeof(message), format, args);
    wr_buffer_append_text(out, message);
}

/* FILE:LINE:COLUMN: path: */
static void append_place(wr_config_reader *reader, wr_buffer *out, const wr_json_value *value,
                         unsigned line, unsigned column)
{
    wr_buffer_printf(out, "%s:%u:%u: ", reader->file, line, column);
    if (append_path(reader, out, value) == 0) {
        wr_buffer_append_text(out, reader->root_name);
    }
    wr_buffer_append_text(out, ": ");
}

static void problem_at(wr_config_reader *reader, const wr_json_value *value, size_t offset,
                       const char *format, va_list args) WEIR_PRINTF(4, 0);

static void problem_at(wr_config_reader *reader, const wr_json_value *value, size_t offset,
                       const char *format, va_list args)
{
    if (value->inherited) {
        return;
    }
    if (!wr_config_explains(reader)) {
        reader->problem_count++;
        return;
    }
    unsigned line = 0, column = 0;
    wr_json_position(&reader->json, offset, &line, &column);
    wr_buffer text = WR_BUFFER_INIT;
    append_place(reader, &text, value, line, column);
    append_message(&text, format, args);
    keep(reader, line, column, &text);
}

void wr_config_warn(wr_config_reader *reader, const wr_json_value *value, const char *format, ...)
{
    va_list args;
    unsigned line = 0, column = 0;
    wr_buffer text = WR_BUFFER_INIT;
    if (value->inherited || reader->warning_count == WR_PROBLEMS_MAX) {
        return;
    }
    wr_json_position(&reader->json, value->node->start, &line, &column);
    append_place(reader, &text, value, line, column);
    va_start(args, format);
    append_message(&text, format, args);
    va_end(args);
    char *kept = wr_buffer_take(&text);
    reader->out_of_memory = reader->out_of_memory || kept == NULL;
    if (kept != NULL) {
        reader->warnings[reader->warning_count++] = kept;
    }
}

void wr_config_problem(wr_config_reader *reader, const wr_json_value *value, const char *format,
                       ...)
{
    va_list args;
    va_start(args, format);
    problem_at(reader, value, value->node->start, format, args);
    va_end(args);
}

void wr_config_key_problem(wr_config_reader *reader, const wr_json_value *value, const char *format,
                           ...)
{
    va_list args;
    va_start(args, format);
    problem_at(reader, value, value->node->key_start, format, args);
    va_end(args);
}

void wr_config_text_problem(wr_config_reader *reader, unsigned line, unsigned column,
                            const char *format, ...)
{
    va_list args;
    wr_buffer text = WR_BUFFER_INIT;
    wr_buffer_printf(&text, "%s:%u:%u: %s: ", reader->file, line, column, reader->root_name);
    va_start(args, format);
    append_message(&text, format, args);
    va_end(args);
    keep(reader, line, column, &text);
}

static int by_place(const void *a, const void *b)
{
    const wr_problem *x = a, *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->column != y->column) {
        return x->column < y->column ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

static void hand_over(weir_problem_fn on_problem, void *user, const char *text)
{
    if (on_problem == NULL) {
        wr_log("weir", WEIR_LOG_ERROR, "%s", text);
        return;
    }
    on_problem(user, text);
}

static void report_warnings(wr_config_reader *reader)
{
    for (size_t i = 0; i < reader->warning_count; i++) {
        if (reader->problem_count == 0) {
            wr_log("weir", WEIR_LOG_WARN, "%s", reader->warnings[i]);
        }
        free(reader->warnings[i]);
    }
    reader->warning_count = 0;
}

void wr_config_report(wr_config_reader *reader, weir_problem_fn on_problem, void *user)
{
    report_warnings(reader);
    size_t kept = reader->problem_count < WR_PROBLEMS_MAX ? reader->problem_count : WR_PROBLEMS_MAX;
    qsort(reader->problems, kept, sizeof(reader->problems[0]), by_place);
    for (size_t i = 0; i < kept; i++) {
        hand_over(on_problem, user, reader->problems[i].text);
        free(reader->problems[i].text);
    }
    if (reader->problem_count > kept) {
        char more[64];
        snprintf(more, sizeof(more), "... and %zu more", reader->problem_count - kept);
        hand_over(on_problem, user, more);
    }
    reader->problem_count = 0;
}

void wr_config_report_memory(const char *file, weir_problem_fn on_problem, void *user)
{
    char text[256]; /* there is no memory to take */
    (void)snprintf(text, sizeof(text), "%.200s: out of memory", file);
    hand_over(on_problem, user, text);
}
