/* SPDX-License-Identifier: MIT
 *
 * The table from errno to the project's errors.
 */
#define _GNU_SOURCE
#include "os_error.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

typedef struct translation {
    int number;
    weir_err err;
} translation;

static const translation translations[] = {
    {ENOENT, WEIR_ERR_NOT_FOUND},    {ENOTDIR, WEIR_ERR_NOT_FOUND}, {EACCES, WEIR_ERR_DENIED},
    {EPERM, WEIR_ERR_DENIED},        {EROFS, WEIR_ERR_DENIED},      {ENOMEM, WEIR_ERR_MEMORY},
    {ECONNREFUSED, WEIR_ERR_CLOSED}, {ECONNRESET, WEIR_ERR_CLOSED}, {EPIPE, WEIR_ERR_CLOSED},
    {EEXIST, WEIR_ERR_EXISTS},       {EADDRINUSE, WEIR_ERR_IN_USE},
};

weir_err wr_os_error(int number)
{
    for (size_t i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
        if (translations[i].number == number) {
            return translations[i].err;
        }
    }
    return WEIR_ERR_IO;
}

weir_err wr_os_error_set(wr_error *error, int number, const char *format, ...)
{
    weir_err err = wr_os_error(number);
    if (error == NULL) {
        return err;
    }
    char what[WR_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    wr_text_formatv(what, sizeof(what), format, args);
    va_end(args);
    return wr_error_set(error, err, "%s: %s", what, strerror(number));
}
