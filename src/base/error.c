/* SPDX-License-Identifier: MIT
 *
 * Names and texts of the error list, and errors that carry their reason in words.
 */
#include "base/error.h"

#include "base/text.h"

typedef struct error_entry {
    const char *name;
    const char *text;
} error_entry;

#define ERROR_ENTRY(constant, number, text) [number] = {#constant, text},
static const error_entry entries[] = {WEIR_ERRORS(ERROR_ENTRY)};
#undef ERROR_ENTRY

static const error_entry unknown = {"WEIR_ERR_?", "unknown error"};

static const error_entry *entry_of(weir_err err)
{
    size_t number = (size_t)err;
    if (number >= sizeof(entries) / sizeof(entries[0])) {
        return &unknown;
    }
    return &entries[number];
}

const char *weir_err_name(weir_err err)
{
    return entry_of(err)->name;
}

const char *weir_err_text(weir_err err)
{
    return entry_of(err)->text;
}

const char *weir_version(void)
{
    return WEIR_VERSION_TEXT;
}

weir_err wr_error_set(wr_error *error, weir_err code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wr_error_setv(error, code, format, args);
    va_end(args);
    return code;
}

weir_err wr_error_setv(wr_error *error, weir_err code, const char *format, va_list args)
{
    if (error != NULL) {
        error->code = code;
        wr_text_formatv(error->text, sizeof(error->text), format, args);
    }
    return code;
}

const char *wr_error_text(const wr_error *error)
{
    return error->text[0] != '\0' ? error->text : weir_err_text(error->code);
}
