/* SPDX-License-Identifier: MIT
 *
 * Mutations of a configuration, see json_mutate.h: one place in the tree gets another value, loses
 * or gains a key. Keys and values are those that a configuration has, and some that none should.
 */
#include "json_mutate.h"

#include <string.h>

#include <jansson.h>

#define DEPTH_MAX 32u

static const char *const keys[] = {
    "modules",
    "links",
    "loaders",
    "gateway",
    "name",
    "loader",
    "entrypoint",
    "args",
    "isolation",
    "module.path",
    "control.id",
    "message.id",
    "activation.type",
    "launch",
    "timeout",
    "path",
    "env",
    "working.dir",
    "grace.period.ms",
    "type",
    "source",
    "sink",
    "queue",
    "limit",
    "when.full",
    "threads",
    "message.limit",
    "configuration",
    "restart",
    "policy",
    "backoff.ms",
    "burst",
    "window.ms",
    "heartbeat",
    "interval.ms",
    "timeout.ms",
    "allow.users",
    "sandbox",
    "modulez",
    "",
};
static const char *const texts[] = {
    "native", "outprocess", "none",       "launch",    "block",   "drop.oldest", "drop.newest",
    "*",      "a",          "b",          "thread",    "process", "ipc://x",     "java",
    "never",  "always",     "on-failure", "/bin/true", "",        "\x01",        "control",
};
static const json_int_t numbers[] = {0, 1, 13, 14, 1024, 65536, 3600001, INT64_MAX, INT64_MIN, -1};

#define PICK(list, random) ((list)[fuzz_below((random), sizeof(list) / sizeof((list)[0]))])

static json_t *random_text(fuzz_random *random)
{
    if (!fuzz_one_in(random, 8)) {
        return json_string(PICK(texts, random));
    }
    char text[300];
    size_t length = fuzz_below(random, sizeof(text));
    memset(text, 'x', length);
    return json_stringn(text, length);
}

static json_t *random_value(fuzz_random *random)
{
    switch (fuzz_below(random, 8)) {
    case 0:
        return json_object();
    case 1:
        return json_array();
    case 2:
        return json_boolean(fuzz_one_in(random, 2));
    case 3:
        return json_null();
    case 4:
        return json_real(1.5);
    case 5:
        return json_integer(PICK(numbers, random));
    default:
        return random_text(random);
    }
}

static void change_array(json_t *array, fuzz_random *random)
{
    size_t size = json_array_size(array);
    size_t at = size == 0 ? 0 : fuzz_below(random, size);
    switch (fuzz_below(random, 3)) {
    case 0:
        (void)json_array_remove(array, at);
        break;
    case 1:
        (void)json_array_append_new(array, random_value(random));
        break;
    default:
        (void)json_array_append_new(array, json_deep_copy(json_array_get(array, at)));
        break;
    }
}

static const char *random_key(json_t *object, fuzz_random *random)
{
    size_t size = json_object_size(object);
    void *iter = json_object_iter(object);
    for (size_t skip = size == 0 ? 0 : fuzz_below(random, size); skip > 0; skip--) {
        iter = json_object_iter_next(object, iter);
    }
    return iter == NULL ? NULL : json_object_iter_key(iter);
}

static void change_object(json_t *object, fuzz_random *random)
{
    const char *key = random_key(object, random);
    if (key == NULL || fuzz_one_in(random, 3)) {
        (void)json_object_set_new(object, PICK(keys, random), random_value(random));
    } else if (fuzz_one_in(random, 3)) {
        json_t *value = json_deep_copy(json_object_get(object, key));
        (void)json_object_del(object, key);
        (void)json_object_set_new(object, PICK(keys, random), value);
    } else if (fuzz_one_in(random, 2)) {
        (void)json_object_del(object, key);
    } else {
        (void)json_object_set_new(object, key, random_value(random));
    }
}

/* A random way down from the root; NULL: to a value without others inside. */
static json_t *child(json_t *json, fuzz_random *random)
{
    json_t *next = NULL;
    if (json_is_array(json) && json_array_size(json) > 0) {
        next = json_array_get(json, fuzz_below(random, json_array_size(json)));
    } else if (json_is_object(json)) {
        const char *key = random_key(json, random);
        next = key == NULL ? NULL : json_object_get(json, key);
    }
    return json_is_object(next) || json_is_array(next) ? next : NULL;
}

static void change_somewhere(json_t *json, fuzz_random *random)
{
    for (unsigned depth = 0; depth < DEPTH_MAX && !fuzz_one_in(random, 4); depth++) {
        json_t *next = child(json, random);
        if (next == NULL) {
            break;
        }
        json = next;
    }
    if (json_is_array(json)) {
        change_array(json, random);
    } else {
        change_object(json, random);
    }
}

size_t fuzz_mutate_json(uint8_t *data, size_t size, size_t max_size, fuzz_random *random)
{
    json_t *json = json_loadb((const char *)data, size, 0, NULL);
    if (json == NULL) {
        return 0;
    }
    change_somewhere(json, random);
    char *text = json_dumps(json, fuzz_one_in(random, 2) ? JSON_COMPACT : JSON_INDENT(2));
    size_t length = text == NULL ? 0 : strlen(text);
    if (length > max_size) {
        length = 0;
    }
    if (length > 0) {
        memcpy(data, text, length);
    }
    free(text);
    json_decref(json);
    return length;
}
