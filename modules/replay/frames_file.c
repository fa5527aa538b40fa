/* SPDX-License-Identifier: MIT
 *
 * Reading a file of messages (contract in frames_file.h). No length in it is believed before it is
 * compared with what the file has left.
 */
#include "frames_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 9u
#define MESSAGE_FOLLOWS 1u
#define COUNT_START 64u

typedef struct reader {
    FILE *file;
    uint64_t offset; /* of the next frame */
    uint64_t size;   /* of the file */
    frames *out;
    size_t capacity; /* of out->messages */
    char *why;
} reader;

static weir_err fail(reader *from, weir_err err, const char *format, ...) WEIR_PRINTF(3, 4);

static weir_err fail(reader *from, weir_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(from->why, FRAMES_WHY_MAX, format, args);
    va_end(args);
    return err;
}

/* Errors: IO (a folder cannot be read, a device has no size), TOO_LARGE. */
static weir_err measure(reader *from)
{
    long size = -1;
    if (fgetc(from->file) == EOF && ferror(from->file) != 0) {
        return fail(from, WEIR_ERR_IO, "cannot read it: %s", strerror(errno));
    }
    if (fseek(from->file, 0, SEEK_END) == 0) {
        size = ftell(from->file);
    }
    if (size < 0 || fseek(from->file, 0, SEEK_SET) != 0) {
        return fail(from, WEIR_ERR_IO, "cannot tell its size: %s", strerror(errno));
    }
    if (size > FRAMES_FILE_MAX) {
        return fail(from, WEIR_ERR_TOO_LARGE, "it is larger than %ld bytes", FRAMES_FILE_MAX);
    }
    from->size = (uint64_t)size;
    return WEIR_OK;
}

static weir_err keep(reader *from, weir_message *msg)
{
    frames *out = from->out;
    if (out->count == from->capacity) {
        size_t capacity = from->capacity == 0 ? COUNT_START : 2 * from->capacity;
        weir_message **grown = realloc(out->messages, capacity * sizeof(weir_message *));
        if (grown == NULL) {
            weir_message_unref(msg);
            return fail(from, WEIR_ERR_MEMORY, "out of memory");
        }
        out->messages = grown;
        from->capacity = capacity;
    }
    out->messages[out->count++] = msg;
    return WEIR_OK;
}

static uint64_t get_u64(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(value); i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* The length of the image of the frame that begins here. */
static weir_err read_header(reader *from, uint64_t *length)
{
    unsigned char header[HEADER_SIZE];
    uint64_t left = from->size - from->offset;
    unsigned long long at = from->offset;
    size_t got = fread(header, 1, left < HEADER_SIZE ? (size_t)left : HEADER_SIZE, from->file);
    if (got > 0 && header[0] != MESSAGE_FOLLOWS) {
        return fail(from, WEIR_ERR_PROTOCOL,
                    "at byte %llu: expected a frame, which begins with "
                    "01, found %02x",
                    at, header[0]);
    }
    if (got < HEADER_SIZE) {
        return fail(from, WEIR_ERR_PROTOCOL,
                    "the frame at byte %llu is cut: the file has %llu of its first %u bytes", at,
                    (unsigned long long)left, HEADER_SIZE);
    }
    *length = get_u64(header + 1);
    if (*length > left - HEADER_SIZE) {
        return fail(from, WEIR_ERR_PROTOCOL,
                    "the frame at byte %llu is cut: the size of its message is %llu, and the file "
                    "has %llu of that",
                    at, (unsigned long long)*length, (unsigned long long)(left - HEADER_SIZE));
    }
    return WEIR_OK;
}

static weir_err decode(reader *from, const void *image, size_t size)
{
    weir_message *msg = NULL;
    weir_err err = weir_message_decode(image, size, &msg);
    if (err != WEIR_OK) {
        return fail(from, err, "the frame at byte %llu, of size %zu, holds no message: %s",
                    (unsigned long long)from->offset, size,
                    err == WEIR_ERR_PROTOCOL ? "malformed" : weir_err_text(err));
    }
    return keep(from, msg);
}

static weir_err read_frame(reader *from)
{
    uint64_t length = 0;
    weir_err err = read_header(from, &length);
    if (err != WEIR_OK) {
        return err;
    }
    size_t size = (size_t)length; /* at most FRAMES_FILE_MAX */
    void *image = malloc(size + 1);
    if (image == NULL) {
        return fail(from, WEIR_ERR_MEMORY, "out of memory");
    }
    if (fread(image, 1, size, from->file) != size) {
        err = fail(from, WEIR_ERR_IO, "cannot read on after byte %llu",
                   (unsigned long long)from->offset);
    } else {
        err = decode(from, image, size);
    }
    free(image);
    from->offset += HEADER_SIZE + length;
    return err;
}

weir_err frames_read(const char *path, frames *out, char why[FRAMES_WHY_MAX])
{
    *out = (frames){NULL, 0};
    reader from = {.file = fopen(path, "rb"), .out = out, .why = why};
    if (from.file == NULL) {
        weir_err reason = errno == ENOENT ? WEIR_ERR_NOT_FOUND : WEIR_ERR_IO;
        return fail(&from, reason, "cannot open it: %s", strerror(errno));
    }
    weir_err err = measure(&from);
    while (err == WEIR_OK && from.offset < from.size) {
        err = read_frame(&from);
    }
    (void)fclose(from.file);
    if (err != WEIR_OK) {
        frames_free(out);
    }
    return err;
}

void frames_free(frames *held)
{
    for (size_t i = 0; i < held->count; i++) {
        weir_message_unref(held->messages[i]);
    }
    free(held->messages);
    *held = (frames){NULL, 0};
}
