/* SPDX-License-Identifier: MIT
 *
 * The growing byte buffer: capacity doubles, and always has room for the NUL after the content.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define CAPACITY_MIN 64u

void wr_buffer_deinit(wr_buffer *buffer)
{
    if (!buffer->lent) {
        free(buffer->data);
    }
    *buffer = (wr_buffer)WR_BUFFER_INIT;
}

/* Memory of its own, of a larger capacity. */
static bool grow(wr_buffer *buffer, size_t capacity)
{
    char *data = realloc(buffer->lent ? NULL : buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    if (buffer->lent) {
        memcpy(data, buffer->data, buffer->size);
        data[buffer->size] = '\0';
    }
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->lent = false;
    return true;
}

/* Make room for `more` bytes and a NUL. False, and `failed`, where that is impossible. */
static bool reserve(wr_buffer *buffer, size_t more)
{
    if (buffer->failed) {
        return false;
    }
    if (more < buffer->capacity - buffer->size) {
        return true;
    }
    if (more >= SIZE_MAX / 2 - buffer->size) {
        buffer->failed = true;
        return false;
    }
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : CAPACITY_MIN;
    while (capacity <= buffer->size + more) {
        capacity *= 2;
    }
    return grow(buffer, capacity);
}

void wr_buffer_append(wr_buffer *buffer, const void *data, size_t size)
{
    if (!reserve(buffer, size)) {
        return;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, data, size);
    }
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void wr_buffer_append_text(wr_buffer *buffer, const char *text)
{
    wr_buffer_append(buffer, text, strlen(text));
}

void wr_buffer_printf(wr_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buffer->failed = true;
        return;
    }
    if (!reserve(buffer, (size_t)length)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, args);
    va_end(args);
    buffer->size += (size_t)length;
}

void wr_buffer_append_u8(wr_buffer *buffer, uint8_t value)
{
    wr_buffer_append(buffer, &value, sizeof(value));
}

void wr_buffer_append_u32(wr_buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    wr_put_u32(bytes, value);
    wr_buffer_append(buffer, bytes, sizeof(bytes));
}

void wr_buffer_clear(wr_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

char *wr_buffer_take(wr_buffer *buffer)
{
    wr_buffer_append(buffer, "", 0);
    if (buffer->lent) {
        (void)grow(buffer, buffer->size + 1);
    }
    char *text = NULL;
    if (!buffer->failed) {
        text = buffer->data;
        buffer->data = NULL;
    }
    wr_buffer_deinit(buffer);
    return text;
}
