/* SPDX-License-Identifier: MIT
 *
 * Objects of the configuration read by option tables: which key is which option, is its value of
 * the right kind and size, and into which field it goes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "gateway/config_reader.h"

/* How much of a number is shown, in bytes. */
#define NUMBER_SHOWN_MAX 32

static const char *const kind_names[] = {
    [WR_OPTION_TEXT] = "a string",    [WR_OPTION_NUMBER] = "a number",
    [WR_OPTION_OBJECT] = "an object", [WR_OPTION_ARRAY] = "an array",
    [WR_OPTION_ANY] = "any value",    [WR_OPTION_BOOL] = "true or false",
};

static const char *const json_names[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
    [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",      [JSON_NULL] = "null",
};

static bool is_kind(const json_t *json, wr_option_kind kind)
{
    switch (kind) {
    case WR_OPTION_TEXT:
        return json_is_string(json);
    case WR_OPTION_NUMBER:
        return json_is_number(json);
    case WR_OPTION_BOOL:
        return json_is_boolean(json);
    case WR_OPTION_OBJECT:
        return json_is_object(json);
    case WR_OPTION_ARRAY:
        return json_is_array(json);
    case WR_OPTION_ANY:
        return true;
    }
    return false;
}

static bool check_number(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value)
{
    const char *text = reader->json.text + value->node->start;
    size_t size = value->node->end - value->node->start;
    int shown = size < NUMBER_SHOWN_MAX ? (int)size : NUMBER_SHOWN_MAX;
    if (!json_is_integer(value->json)) {
        wr_config_problem(reader, value, "expected a whole number, found %.*s", shown, text);
        return false;
    }
    json_int_t number = json_integer_value(value->json);
    if (number < 0 || (uint64_t)number < option->min || (uint64_t)number > option->max) {
        wr_config_problem(reader, value, "%.*s is out of range (expected %llu to %llu)", shown,
                          text, (unsigned long long)option->min, (unsigned long long)option->max);
        return false;
    }
    return true;
}

/* "a", "b" or "c" */
static char *word_list(const char *const *words)
{
    wr_buffer list = WR_BUFFER_INIT;
    for (size_t i = 0; words[i] != NULL; i++) {
        const char *separator = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
        wr_buffer_printf(&list, "%s\"%s\"", separator, words[i]);
    }
    return wr_buffer_take(&list);
}

static bool find_word(const wr_option *option, const char *text, unsigned *index)
{
    for (unsigned i = 0; option->words[i] != NULL; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool check_word(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value)
{
    unsigned index = 0;
    const char *text = json_string_value(value->json);
    size_t size = json_string_length(value->json);
    if (find_word(option, text, &index)) {
        return true;
    }
    wr_suggestion near = wr_suggestion_for(text, size);
    for (size_t i = 0; option->words[i] != NULL; i++) {
        wr_suggestion_try(&near, option->words[i]);
    }
    char *list = word_list(option->words);
    reader->out_of_memory = reader->out_of_memory || list == NULL;
    const char *hint_start = near.best == NULL ? "" : " (";
    wr_config_problem(reader, value, "expected %s, found %s%s%s%s", list == NULL ? "" : list,
                      wr_show(text, size).text, hint_start, wr_suggestion_text(&near).text,
                      near.best == NULL ? "" : ")");
    free(list);
    return false;
}

static bool check_text(wr_config_reader *reader, const wr_option *option,
                       const wr_json_value *value)
{
    if (option->words != NULL) {
        return check_word(reader, option, value);
    }
    size_t size = json_string_length(value->json);
    if (size < option->min) {
        wr_config_problem(reader, value, "must not be empty");
        return false;
    }
    if (size > option->max) {
        wr_config_problem(reader, value, "is %zu bytes long (at most %llu)", size,
                          (unsigned long long)option->max);
        return false;
    }
    return true;
}

static bool check_entries(wr_config_reader *reader, const wr_option *option,
                          const wr_json_value *value)
{
    if (value->node->count <= option->max || option->max == 0) {
        return true;
    }
    wr_config_problem(reader, value, "has %lu entries (at most %llu)",
                      (unsigned long)value->node->count, (unsigned long long)option->max);
    return false;
}

bool wr_config_check(wr_config_reader *reader, const wr_option *option, const wr_json_value *value)
{
    if (!is_kind(value->json, option->kind)) {
        wr_config_problem(reader, value, "expected %s, found %s", kind_names[option->kind],
                          json_names[json_typeof(value->json)]);
        return false;
    }
    switch (option->kind) {
    case WR_OPTION_TEXT:
        return check_text(reader, option, value);
    case WR_OPTION_NUMBER:
        return check_number(reader, option, value);
    case WR_OPTION_ARRAY:
    case WR_OPTION_OBJECT:
        return check_entries(reader, option, value);
    case WR_OPTION_BOOL:
    case WR_OPTION_ANY:
        break;
    }
    return true;
}

/* name, loader, args or isolation */
static char *key_list(const wr_option_table *table)
{
    wr_buffer list = WR_BUFFER_INIT;
    for (size_t i = 0; i < table->count; i++) {
        const char *separator = i == 0 ? "" : i + 1 == table->count ? " or " : ", ";
        wr_buffer_printf(&list, "%s%s", separator, table->options[i].key);
    }
    return wr_buffer_take(&list);
}

static bool is_text(const wr_json_key *key, const char *text)
{
    return text != NULL && strlen(text) == key->size && memcmp(text, key->text, key->size) == 0;
}

static void report_unknown(wr_config_reader *reader, const wr_option_table *table,
                           const wr_json_value *member, const wr_json_key *key)
{
    wr_suggestion near = wr_suggestion_for(key->text, key->size);
    for (size_t i = 0; i < table->count; i++) {
        wr_suggestion_try(&near, table->options[i].key);
    }
    for (size_t i = 0; i < table->count; i++) {
        near.best = is_text(key, table->options[i].old_key) ? table->options[i].key : near.best;
    }
    if (near.best != NULL) {
        wr_config_key_problem(reader, member, "unknown key (%s)", wr_suggestion_text(&near).text);
        return;
    }
    char *list = key_list(table);
    reader->out_of_memory = reader->out_of_memory || list == NULL;
    wr_config_key_problem(reader, member, "unknown key (expected %s)", list == NULL ? "" : list);
    free(list);
}

static void match_member(wr_config_reader *reader, const wr_option_table *table,
                         const wr_json_value *member, wr_json_value *found)
{
    wr_json_key key = wr_json_key_get(&reader->json, member->node);
    if (key.text == NULL) {
        return;
    }
    size_t i = 0;
    while (i < table->count && !is_text(&key, table->options[i].key)) {
        i++;
    }
    if (i < table->count) {
        found[i] = *member;
    } else {
        report_unknown(reader, table, member, &key);
    }
    wr_json_key_release(&key);
}

bool wr_config_match(wr_config_reader *reader, const wr_json_value *object,
                     const wr_option_table *table, wr_json_value *found)
{
    static const wr_option any_object = {.kind = WR_OPTION_OBJECT};
    if (!wr_config_check(reader, &any_object, object)) {
        return false;
    }
    wr_json_value member;
    for (bool more = wr_json_first(&reader->json, object, &member); more;
         more = wr_json_next(&reader->json, &member)) {
        match_member(reader, table, &member, found);
    }
    return true;
}

void wr_config_take(wr_config_reader *reader, const wr_option_table *table,
                    const wr_json_value *found, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const wr_option *option = &table->options[i];
        if (found[i].json == NULL || option->take == NULL) {
            continue;
        }
        if (wr_config_check(reader, option, &found[i])) {
            option->take(reader, option, &found[i], target);
        }
    }
}

void wr_config_require(wr_config_reader *reader, const wr_json_value *object,
                       const wr_option_table *table, const wr_json_value *found)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].required && found[i].json == NULL) {
            wr_config_problem(reader, object, "the key \"%s\" is missing (expected %s: %s)",
                              table->options[i].key, kind_names[table->options[i].kind],
                              table->options[i].summary);
        }
    }
}

bool wr_config_take_object(wr_config_reader *reader, const wr_json_value *object,
                           const wr_option_table *table, wr_json_value *found, void *target)
{
    memset(found, 0, WR_OPTIONS_MAX * sizeof(*found));
    if (!wr_config_match(reader, object, table, found)) {
        return false;
    }
    wr_config_take(reader, table, found, target);
    wr_config_require(reader, object, table, found);
    return true;
}

/* ---- ways to take a value ---- */

char *wr_config_copy(wr_config_reader *reader, const char *text)
{
    char *copy = wr_text_copy(text);
    reader->out_of_memory = reader->out_of_memory || copy == NULL;
    return copy;
}

void wr_take_text(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target)
{
    char **field = (char **)((char *)target + option->offset);
    free(*field);
    *field = wr_config_copy(reader, json_string_value(value->json));
}

void wr_take_word(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target)
{
    (void)reader;
    unsigned *field = (unsigned *)((char *)target + option->offset);
    (void)find_word(option, json_string_value(value->json), field);
}

void wr_take_u32(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                 void *target)
{
    (void)reader;
    uint32_t *field = (uint32_t *)((char *)target + option->offset);
    *field = (uint32_t)json_integer_value(value->json);
}

void wr_take_u64(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                 void *target)
{
    (void)reader;
    uint64_t *field = (uint64_t *)((char *)target + option->offset);
    *field = (uint64_t)json_integer_value(value->json);
}

void wr_take_bool(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target)
{
    (void)reader;
    bool *field = (bool *)((char *)target + option->offset);
    *field = json_is_true(value->json);
}

char **wr_config_new_list(wr_config_reader *reader, size_t count)
{
    char **list = calloc(count + 1, sizeof(*list));
    reader->out_of_memory = reader->out_of_memory || list == NULL;
    return list;
}

void wr_take_list(wr_config_reader *reader, const wr_option *option, const wr_json_value *value,
                  void *target)
{
    static const wr_option entry = {.kind = WR_OPTION_TEXT, .max = WR_TEXT_MAX};
    char **list = wr_config_new_list(reader, value->node->count);
    if (list == NULL) {
        return;
    }
    size_t count = 0;
    wr_json_value item;
    for (bool more = wr_json_first(&reader->json, value, &item); more;
         more = wr_json_next(&reader->json, &item)) {
        if (wr_config_check(reader, &entry, &item)) {
            list[count] = wr_config_copy(reader, json_string_value(item.json));
            count += list[count] != NULL;
        }
    }
    *(char ***)((char *)target + option->offset) = list;
}

void wr_config_free_list(char **list)
{
    for (char **text = list; text != NULL && *text != NULL; text++) {
        free(*text);
    }
    free(list);
}

bool wr_config_lookup(const json_t *index, const char *name, size_t *out)
{
    const json_t *value = json_object_get(index, name);
    if (value == NULL) {
        return false;
    }
    *out = (size_t)json_integer_value(value);
    return true;
}

void wr_config_enter(wr_config_reader *reader, json_t *index, const char *name, size_t value)
{
    if (json_object_set_new(index, name, json_integer((json_int_t)value)) != 0) {
        reader->out_of_memory = true;
    }
}

wr_config_place wr_config_place_of(const wr_config_reader *reader, const wr_json_value *value)
{
    wr_config_place place = {.index = value->index};
    wr_json_position(&reader->json, value->node->start, &place.line, &place.column);
    return place;
}
