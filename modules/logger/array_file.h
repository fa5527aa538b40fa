/* SPDX-License-Identifier: MIT
 *
 * A file that holds one JSON array of objects, one object a line, and is valid JSON after every
 * append: each is a single write of ",\n{...}\n]" over the closing "\n]".
 *
 * What a crash in the middle of that write leaves is repaired by the next open, which keeps every
 * complete entry. A file that no such crash can explain is refused and left as it is.
 * One thread at a time for each array_file.
 */
#ifndef LOGGER_ARRAY_FILE_H
#define LOGGER_ARRAY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "weir/error.h"

/* Bytes of a reason or notice, with its NUL; what is longer is cut. */
#define ARRAY_FILE_TEXT_MAX 1024u

typedef struct array_file {
    char *path; /* NULL: not open */
    uv_file handle;
    uint64_t size;                    /* as of our last look or write */
    uint64_t end;                     /* just past the last entry: here the closing "\n]" stands */
    bool empty;                       /* no entry yet */
    bool torn;                        /* a write failed, and so did closing the array after it */
    char reason[ARRAY_FILE_TEXT_MAX]; /* of the latest failure, with the path */
    char notice[ARRAY_FILE_TEXT_MAX]; /* what was repaired; "" if nothing. The user clears it. */
} array_file;

/*
 * Open or create, check, and repair if need be. On failure there is nothing to close, and `reason`
 * is filled. A file whose tail is as append leaves it is not read any further, so that its size
 * does not matter; any other is read from its start, piece by piece.
 * Errors: INVALID (a folder or device, or not an array of objects), IN_USE (somebody has it open as
 * an array_file), NOT_FOUND, DENIED, MEMORY, IO.
 */
WEIR_MUST_CHECK weir_err array_file_open(array_file *file, const char *path);

/*
 * Add one or more entries, given as text with ",\n" between them. All or none of them are in the
 * file afterwards. A file that somebody else changed meanwhile is checked again first.
 * Errors: as array_file_open; after each the file is valid, or made so by the next append.
 */
WEIR_MUST_CHECK weir_err array_file_append(array_file *file, const char *entries, size_t size);

/* Make what was written survive a loss of power. Errors: IO. */
WEIR_MUST_CHECK weir_err array_file_sync(array_file *file);

/* Harmless when not open. */
void array_file_close(array_file *file);

#endif
