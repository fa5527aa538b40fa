/* SPDX-License-Identifier: MIT
 *
 * JSON with the places of its values in the text. jansson reads the values; a small tokenizer over
 * the text that jansson has accepted finds where each stands. A wr_json_value is a cursor in both.
 */
#ifndef WR_JSON_JSON_TEXT_H
#define WR_JSON_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "weir/error.h"

/* The largest text in bytes: offsets in it are 32 bits wide. */
#define WR_JSON_TEXT_MAX (1024u * 1024u * 1024u)

/* Where one value stands. Offsets count bytes from the start of the text. */
typedef struct wr_json_node {
    uint32_t start, end;         /* of the value */
    uint32_t key_start, key_end; /* of its key with the quotes; equal: it has none */
    uint32_t first, last, next;  /* children and sibling, as indices in nodes; 0: none */
    uint32_t parent;             /* likewise */
    uint32_t count;              /* of children */
    bool shadowed;               /* a later member has the same key, and jansson holds that one */
} wr_json_node;

typedef struct wr_json_text {
    const char *text; /* borrowed */
    size_t size;
    json_t *root;
    wr_json_node *nodes; /* nodes[0] is the root */
    size_t node_count, node_capacity;
    uint32_t *lines; /* the offset at which each line begins */
    size_t line_count, line_capacity;
    bool failed; /* out of memory on the way */
} wr_json_text;

typedef struct wr_json_value {
    const json_t *json; /* NULL: no such value */
    wr_json_node *node;
    const struct wr_json_value *parent; /* NULL: the root */
    size_t index;                       /* among its parent's values, from 0 */
    bool inherited;                     /* from a loader's configuration, and reported there */
} wr_json_value;

/* A key as the program sees it, escapes decoded; not NUL-terminated. */
typedef struct wr_json_key {
    const char *text;
    size_t size;
    json_t *decoded; /* owns the text where it had escapes */
} wr_json_key;

/* What makes a text no JSON. */
typedef struct wr_json_mistake {
    size_t offset;
    char text[256];
} wr_json_mistake;

/* Read a text, which must outlive `out`. `out` is to be deinited in any case.
 * Errors: CONFIG (`mistake` says what is wrong), MEMORY. */
WEIR_MUST_CHECK weir_err wr_json_load(wr_json_text *out, const char *text, size_t size,
                                      wr_json_mistake *mistake);
void wr_json_deinit(wr_json_text *json);

wr_json_value wr_json_root(const wr_json_text *json);
/* Step to the first or the next value of an array or object, shadowed members left out; false
 * after the last. The parent must stay where it is. */
bool wr_json_first(wr_json_text *json, const wr_json_value *parent, wr_json_value *child);
bool wr_json_next(wr_json_text *json, wr_json_value *child);

/* The key of a member. Release it. */
wr_json_key wr_json_key_get(wr_json_text *json, const wr_json_node *node);
void wr_json_key_release(wr_json_key *key);

/* Line and column from 1, in bytes. Also after wr_json_load returned CONFIG. */
void wr_json_position(const wr_json_text *json, size_t offset, unsigned *line, unsigned *column);

/* The value's text without the white space between its parts; the caller's to free. NULL: out of
 * memory. */
char *wr_json_compact(const wr_json_text *json, const wr_json_node *node);

/* Inside json_text.c and json_syntax.c: the next token from `*at` on. False: none is left. */
typedef struct wr_json_token {
    size_t start, end;
} wr_json_token;
bool wr_json_token_next(const char *text, size_t size, size_t *at, wr_json_token *token);
/* Fill `mistake` from jansson's error. */
void wr_json_explain(const char *text, size_t size, const json_error_t *error,
                     wr_json_mistake *mistake);
/* What can be said before jansson reads the text. False: a mistake was found. */
bool wr_json_check_bytes(const char *text, size_t size, wr_json_mistake *mistake);

#endif
