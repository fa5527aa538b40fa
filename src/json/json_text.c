/* SPDX-License-Identifier: MIT
 *
 * The tokenizer that finds where values stand, and the cursor that walks values and places
 * together. It trusts the text to be JSON, because jansson has accepted it. It needs no stack: each
 * node knows its parent. Time and memory are linear in the text.
 */
#include "json/json_text.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_structure(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
}

/* The offset after the string that begins at `at`. */
static size_t string_end(const char *text, size_t size, size_t at)
{
    size_t end = at + 1;
    while (end < size && text[end] != '"') {
        end += text[end] == '\\' ? 2 : 1;
    }
    return end < size ? end + 1 : size;
}

bool wr_json_token_next(const char *text, size_t size, size_t *at, wr_json_token *token)
{
    size_t start = *at;
    while (start < size && is_space(text[start])) {
        start++;
    }
    if (start == size) {
        return false;
    }
    size_t end = start + 1;
    if (text[start] == '"') {
        end = string_end(text, size, start);
    } else if (!is_structure(text[start])) {
        while (end < size && !is_space(text[end]) && !is_structure(text[end]) && text[end] != '"') {
            end++;
        }
    }
    *token = (wr_json_token){start, end};
    *at = end;
    return true;
}

/* Room for one more of `size` bytes each. False: out of memory. */
static bool make_room(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = realloc(*items, more * size);
    if (grown == NULL) {
        return false;
    }
    *items = grown;
    *capacity = more;
    return true;
}

static bool add_line(wr_json_text *json, size_t start)
{
    void *lines = json->lines;
    bool room = make_room(&lines, &json->line_capacity, json->line_count, sizeof(*json->lines));
    json->lines = lines;
    if (room) {
        json->lines[json->line_count++] = (uint32_t)start;
    }
    return room;
}

static bool find_lines(wr_json_text *json)
{
    bool ok = add_line(json, 0);
    const char *end = json->text + json->size;
    const char *from = json->text;
    while (ok && (from = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        from++;
        ok = add_line(json, (size_t)(from - json->text));
    }
    return ok;
}

/* Append a node to the children of `parent`; its index, 0 for the root or without memory. */
static uint32_t add_node(wr_json_text *json, uint32_t parent, wr_json_token key,
                         wr_json_token value)
{
    void *nodes = json->nodes;
    bool room = make_room(&nodes, &json->node_capacity, json->node_count, sizeof(*json->nodes));
    json->nodes = nodes;
    if (!room) {
        json->failed = true;
        return 0;
    }
    uint32_t index = (uint32_t)json->node_count++;
    json->nodes[index] = (wr_json_node){.start = (uint32_t)value.start,
                                        .end = (uint32_t)value.end,
                                        .key_start = (uint32_t)key.start,
                                        .key_end = (uint32_t)key.end,
                                        .parent = parent};
    if (index == 0) {
        return 0;
    }
    wr_json_node *above = &json->nodes[parent];
    if (above->first == 0) {
        above->first = index;
    } else {
        json->nodes[above->last].next = index;
    }
    above->last = index;
    above->count++;
    return index;
}

static bool find_nodes(wr_json_text *json)
{
    const wr_json_token no_key = {0, 0};
    wr_json_token token, key = no_key;
    size_t at = 0;
    uint32_t open = 0;
    while (!json->failed && wr_json_token_next(json->text, json->size, &at, &token)) {
        char c = json->text[token.start];
        if (c == ',' || c == ':') {
            continue;
        }
        if (c == '}' || c == ']') {
            json->nodes[open].end = (uint32_t)token.end;
            open = json->nodes[open].parent;
            continue;
        }
        bool in_object = json->node_count > 0 && json->text[json->nodes[open].start] == '{';
        if (in_object && key.end == 0) {
            key = token;
            continue;
        }
        uint32_t added = add_node(json, open, key, token);
        key = no_key;
        if (c == '{' || c == '[') {
            open = added;
        }
    }
    return !json->failed;
}

weir_err wr_json_load(wr_json_text *out, const char *text, size_t size, wr_json_mistake *mistake)
{
    *out = (wr_json_text){.text = text, .size = size};
    if (!find_lines(out)) {
        return WEIR_ERR_MEMORY;
    }
    if (!wr_json_check_bytes(text, size, mistake)) {
        return WEIR_ERR_CONFIG;
    }
    json_error_t error = {.text = ""};
    out->root = json_loadb(text, size, JSON_DECODE_ANY, &error);
    if (out->root == NULL && error.text[0] == '\0') {
        return WEIR_ERR_MEMORY; /* jansson has words for everything else */
    }
    if (out->root == NULL) {
        wr_json_explain(text, size, &error, mistake);
        return WEIR_ERR_CONFIG;
    }
    return find_nodes(out) ? WEIR_OK : WEIR_ERR_MEMORY;
}

void wr_json_deinit(wr_json_text *json)
{
    json_decref(json->root);
    free(json->nodes);
    free(json->lines);
    *json = (wr_json_text){0};
}

wr_json_value wr_json_root(const wr_json_text *json)
{
    return (wr_json_value){.json = json->root, .node = json->nodes};
}

/* Stand on the node `at` or the next one that is not shadowed. */
static bool stand_on(wr_json_text *json, wr_json_value *child, uint32_t at)
{
    while (at != 0 && json->nodes[at].shadowed) {
        at = json->nodes[at].next;
        child->index++;
    }
    if (at == 0) {
        return false;
    }
    child->node = &json->nodes[at];
    if (json_is_array(child->parent->json)) {
        child->json = json_array_get(child->parent->json, child->index);
        return true;
    }
    wr_json_key key = wr_json_key_get(json, child->node);
    child->json =
        key.text == NULL ? NULL : json_object_getn(child->parent->json, key.text, key.size);
    wr_json_key_release(&key);
    json->failed = json->failed || child->json == NULL;
    return child->json != NULL;
}

bool wr_json_first(wr_json_text *json, const wr_json_value *parent, wr_json_value *child)
{
    *child = (wr_json_value){.parent = parent, .inherited = parent->inherited};
    return stand_on(json, child, parent->node->first);
}

bool wr_json_next(wr_json_text *json, wr_json_value *child)
{
    child->index++;
    return stand_on(json, child, child->node->next);
}

wr_json_key wr_json_key_get(wr_json_text *json, const wr_json_node *node)
{
    const char *quoted = json->text + node->key_start;
    size_t size = node->key_end - node->key_start;
    if (size < 2) {
        return (wr_json_key){"", 0, NULL};
    }
    if (memchr(quoted, '\\', size) == NULL) {
        return (wr_json_key){quoted + 1, size - 2, NULL};
    }
    json_t *decoded = json_loadb(quoted, size, JSON_DECODE_ANY, NULL);
    if (decoded == NULL) {
        json->failed = true;
        return (wr_json_key){NULL, 0, NULL};
    }
    return (wr_json_key){json_string_value(decoded), json_string_length(decoded), decoded};
}

void wr_json_key_release(wr_json_key *key)
{
    json_decref(key->decoded);
    key->decoded = NULL;
}

void wr_json_position(const wr_json_text *json, size_t offset, unsigned *line, unsigned *column)
{
    size_t low = 0, high = json->line_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (json->lines[middle] <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *line = (unsigned)low + 1;
    *column = (unsigned)(offset - json->lines[low]) + 1;
}

char *wr_json_compact(const wr_json_text *json, const wr_json_node *node)
{
    char *out = malloc((size_t)(node->end - node->start) + 1);
    if (out == NULL) {
        return NULL;
    }
    size_t at = node->start, size = 0;
    wr_json_token token;
    while (wr_json_token_next(json->text, node->end, &at, &token)) {
        memcpy(out + size, json->text + token.start, token.end - token.start);
        size += token.end - token.start;
    }
    out[size] = '\0';
    return out;
}
