/* SPDX-License-Identifier: MIT
 *
 * Repairing and breaking images, see repair.h. Each function walks an image as a reader would and
 * writes where that would read a length.
 */
#include "repair.h"

#include <string.h>

#include "base/bytes.h"

#define MESSAGE_MIN 14u
#define MESSAGE_PROPERTIES_AT 10u
#define CONTROL_HEADER 8u
#define CONTROL_TYPES 7u
#define SP_GREETING "\x00SP\x00\x00\x10\x00\x00"
#define SP_GREETING_SIZE 8u
#define SP_HEADER_SIZE 9u

void fuzz_note_field(fuzz_fields *fields, size_t at, size_t width)
{
    if (fields->count < FUZZ_FIELDS_MAX) {
        fields->list[fields->count++] = (struct fuzz_field){at, width};
    }
}

static void set_u32(uint8_t *data, size_t at, size_t value, fuzz_fields *fields)
{
    wr_put_u32(data + at, (uint32_t)value);
    fuzz_note_field(fields, at, 4);
}

/* Past the NUL at or after `at`; 0: there is none before `end`. */
static size_t after_text(const uint8_t *data, size_t at, size_t end)
{
    const uint8_t *nul = at < end ? memchr(data + at, 0, end - at) : NULL;
    return nul == NULL ? 0 : (size_t)(nul - data) + 1;
}

void fuzz_repair_message(uint8_t *data, size_t size, fuzz_fields *fields)
{
    if (size < MESSAGE_MIN) {
        return;
    }
    data[0] = 0xa1;
    data[1] = 0x60;
    fuzz_note_field(fields, 0, 2);
    set_u32(data, 2, size, fields);
    uint32_t wanted = wr_get_u32(data + 6) % 16;
    uint32_t found = 0;
    size_t at = MESSAGE_PROPERTIES_AT;
    size_t end = size - 4; /* the content's size must fit behind them */
    for (; found < wanted; found++) {
        size_t value = after_text(data, at, end);
        size_t next = value == 0 ? 0 : after_text(data, value, end);
        if (next == 0) {
            break;
        }
        at = next;
    }
    set_u32(data, 6, found, fields);
    set_u32(data, at, size - at - 4, fields);
}

/* One length for each entry type that has a fixed one. */
static size_t entry_length(uint8_t type, size_t room, uint8_t said)
{
    static const size_t lengths[] = {0, 4, 4, 0, 4, 16, 16, 24, 4};
    size_t length = type < sizeof(lengths) / sizeof(lengths[0]) ? lengths[type] : 0;
    if (length == 0) {
        length = said; /* a text, or an entry that nobody knows */
    }
    return length <= room ? length : room;
}

static void repair_extension(uint8_t *data, size_t at, size_t size, fuzz_fields *fields)
{
    if (size - at < 3) {
        return;
    }
    data[at] = 0x57;
    data[at + 1] = 0x52;
    data[at + 2] = (uint8_t)(data[at + 2] == 0 ? 1 : data[at + 2]);
    fuzz_note_field(fields, at, 2);
    fuzz_note_field(fields, at + 2, 1);
    for (at += 3; size - at >= 2;) {
        data[at] %= 12;
        size_t length = entry_length(data[at], size - at - 2, data[at + 1]);
        data[at + 1] = (uint8_t)length;
        fuzz_note_field(fields, at, 1);
        fuzz_note_field(fields, at + 1, 1);
        at += 2 + length;
    }
    if (at < size) {
        data[at] = 0; /* a lone byte: no entry, and no harm */
    }
}

/* A size and so much text that ends in its only NUL; returns what is behind it, 0: no room. */
static size_t repair_text(uint8_t *data, size_t at, size_t end, fuzz_fields *fields)
{
    if (end < at + 5) {
        return 0;
    }
    size_t room = end - at - 4;
    size_t length = 1 + wr_get_u32(data + at) % room;
    set_u32(data, at, length, fields);
    for (size_t i = 0; i + 1 < length; i++) {
        data[at + 4 + i] = (uint8_t)(data[at + 4 + i] == 0 ? 'x' : data[at + 4 + i]);
    }
    data[at + 4 + length - 1] = 0;
    return at + 4 + length;
}

static void repair_create(uint8_t *data, size_t size, fuzz_fields *fields)
{
    if (size < CONTROL_HEADER + 2 + 10) {
        return;
    }
    data[8] = 1;
    data[9] = 0x10;
    fuzz_note_field(fields, 8, 2);
    size_t args = repair_text(data, CONTROL_HEADER + 2, size - 5, fields);
    size_t block = args == 0 ? 0 : repair_text(data, args, size, fields);
    if (block != 0) {
        repair_extension(data, block, size, fields);
    }
}

void fuzz_repair_control(uint8_t *data, size_t size, fuzz_fields *fields)
{
    if (size < CONTROL_HEADER) {
        return;
    }
    data[0] = 0xa1;
    data[1] = 0x6c;
    data[2] = 1;
    data[3] = (uint8_t)(1 + data[3] % CONTROL_TYPES);
    fuzz_note_field(fields, 0, 2);
    fuzz_note_field(fields, 2, 1);
    fuzz_note_field(fields, 3, 1);
    set_u32(data, 4, size, fields);
    if (data[3] == 1) {
        repair_create(data, size, fields);
    } else if (data[3] == 2 && size > CONTROL_HEADER) {
        fuzz_note_field(fields, CONTROL_HEADER, 1);
        repair_extension(data, CONTROL_HEADER + 1, size, fields);
    }
}

/* A frame's inside; what it notes is counted from the frame. */
static void repair_inner(uint8_t *data, size_t at, size_t size, fuzz_fields *fields)
{
    fuzz_fields inner = {0};
    fuzz_repair_message(data + at, size, &inner);
    for (size_t i = 0; i < inner.count; i++) {
        fuzz_note_field(fields, at + inner.list[i].at, inner.list[i].width);
    }
}

void fuzz_repair_stream(uint8_t *data, size_t size, bool messages, fuzz_fields *fields)
{
    if (size < SP_GREETING_SIZE) {
        return;
    }
    memcpy(data, SP_GREETING, SP_GREETING_SIZE);
    fuzz_note_field(fields, 0, 8);
    for (size_t at = SP_GREETING_SIZE; size - at > SP_HEADER_SIZE;) {
        size_t room = size - at - SP_HEADER_SIZE;
        size_t length = (size_t)wr_get_u64(data + at + 1) & 0xffff;
        data[at] = 1;
        wr_put_u64(data + at + 1, length);
        fuzz_note_field(fields, at, 1);
        fuzz_note_field(fields, at + 1, 8);
        at += SP_HEADER_SIZE;
        if (messages && length <= room) {
            repair_inner(data, at, length, fields);
        }
        at += length <= room ? length : room;
    }
}

static uint64_t wrong_value(uint64_t present, size_t size, fuzz_random *random)
{
    const uint64_t choices[] = {
        0,          1,           present + 1, present - 1,       UINT64_MAX, UINT64_MAX >> 1,
        UINT32_MAX, INT32_MAX,   size,        present ^ 0x80,    0x8000,     fuzz_next(random),
        size + 1,   present * 2, size - 1,    1024u * 1024u + 1,
    };
    return choices[fuzz_below(random, sizeof(choices) / sizeof(choices[0]))];
}

void fuzz_break_field(uint8_t *data, size_t size, const fuzz_fields *fields, fuzz_random *random)
{
    if (fields->count == 0) {
        return;
    }
    const struct fuzz_field *field = &fields->list[fuzz_below(random, fields->count)];
    uint64_t value = 0;
    for (size_t i = 0; i < field->width; i++) {
        value = value << 8 | data[field->at + i];
    }
    value = wrong_value(value, size, random);
    for (size_t i = field->width; i > 0; i--) {
        data[field->at + i - 1] = (uint8_t)value;
        value >>= 8;
    }
}
