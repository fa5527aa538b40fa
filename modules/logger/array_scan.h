/* SPDX-License-Identifier: MIT
 *
 * Where does the last complete entry of a JSON array of objects end? A tokenizer that is fed the
 * text piece by piece and needs no memory of its own.
 *
 * It checks brackets, strings and their order. Numbers and words it takes as they come, for the
 * logger writes none.
 */
#ifndef LOGGER_ARRAY_SCAN_H
#define LOGGER_ARRAY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum array_place {
    PLACE_START,
    PLACE_FIRST_ENTRY,
    PLACE_ENTRY,
    PLACE_AFTER_ENTRY,
    PLACE_FIRST_NAME,
    PLACE_NAME,
    PLACE_COLON,
    PLACE_VALUE,
    PLACE_FIRST_ITEM,
    PLACE_AFTER_MEMBER,
    PLACE_AFTER_ITEM,
    PLACE_END
} array_place;

typedef enum array_inside {
    INSIDE_NOTHING,
    INSIDE_STRING,
    INSIDE_ESCAPE,
    INSIDE_WORD
} array_inside;

/* Start from `array_scan scan = {0};` */
typedef struct array_scan {
    uint64_t at;      /* bytes taken */
    uint64_t end;     /* just past the last complete entry, or past the first bracket */
    bool any;         /* there is an entry */
    bool stray_comma; /* one stands before the last bracket */
    array_place place;
    array_inside inside;
    unsigned hex_left; /* digits of an escape \uXXXX still to come */
    unsigned depth;    /* open brackets */
    uint64_t objects;  /* one bit for each, the innermost lowest: is it an object? */
} array_scan;

/* Take the next piece. False: the byte at scan->at cannot stand there; feed no more. */
bool array_scan_feed(array_scan *scan, const char *data, size_t size);

/* Was there anything but white space? */
bool array_scan_begun(const array_scan *scan);

/* Is what was taken a whole array? */
bool array_scan_ended(const array_scan *scan);

#endif
