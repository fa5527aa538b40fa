/* SPDX-License-Identifier: MIT
 *
 * A sink that appends each message to a JSON file: time, properties, and the content in base64.
 *
 * The file is a valid JSON array at all times (array_file.h). A message that cannot be written is
 * counted and lost; the log says so once when it begins, and how many it were when it ends.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "array_file.h"
#include "base/text.h"
#include "base/utf8.h"
#include "weir/module.h"

/* A batch is written when its text is at least this long, and its memory given back when longer
 * than this, so that one huge message does not stay for ever. */
#define BATCH_SIZE (1024u * 1024u)
#define KEPT_SIZE (4u * 1024u * 1024u)

/* The entries of one write, with ",\n" between them. */
typedef struct batch {
    char *data;
    size_t size;
    size_t capacity;
    uint64_t messages;
} batch;

typedef struct logger {
    weir_host *host;
    array_file file;
    batch batch;
    uint64_t lost; /* messages, since a write last worked */
} logger;

/* ---- text --------------------------------------------------------------------------------------
 */

/* Room for `more` bytes at the end, which belong to the batch from now on. NULL: out of memory. */
static char *batch_grow(batch *to, size_t more)
{
    if (more > SIZE_MAX / 2 - to->size) {
        return NULL;
    }
    size_t needed = to->size + more;
    if (needed > to->capacity) {
        size_t capacity = needed + needed / 2;
        char *data = realloc(to->data, capacity);
        if (data == NULL) {
            return NULL;
        }
        to->data = data;
        to->capacity = capacity;
    }
    char *room = to->data + to->size;
    to->size = needed;
    return room;
}

static bool add_bytes(batch *to, const char *data, size_t size)
{
    char *room = batch_grow(to, size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, data, size);
    return true;
}

static bool add_text(batch *to, const char *text)
{
    return add_bytes(to, text, strlen(text));
}

static void batch_clear(batch *used)
{
    used->size = 0;
    used->messages = 0;
    if (used->capacity > KEPT_SIZE) {
        free(used->data);
        used->data = NULL;
        used->capacity = 0;
    }
}

static bool add_base64(batch *to, const unsigned char *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = batch_grow(to, (size + 2) / 3 * 4);
    if (out == NULL) {
        return false;
    }
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)data[i + 2] : 0;
        *out++ = digits[bits >> 18];
        *out++ = digits[(bits >> 12) & 63];
        *out++ = left > 1 ? digits[(bits >> 6) & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    return true;
}

/* ---- properties: text from a peer need not be UTF-8, JSON must be -------------------------------
 */

/* As a JSON string, with U+FFFD for each byte that is no UTF-8. */
static json_t *mended_string(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    const size_t replacement_size = sizeof(replacement) - 1;
    size_t left = strlen(text);
    char *mended = malloc(left * replacement_size + 1);
    if (mended == NULL) {
        return NULL;
    }
    size_t size = 0;
    while (left > 0) {
        size_t length = wr_utf8_character(text, left);
        memcpy(mended + size, length > 0 ? text : replacement,
               length > 0 ? length : replacement_size);
        size += length > 0 ? length : replacement_size;
        text += length > 0 ? length : 1;
        left -= length > 0 ? length : 1;
    }
    json_t *json = json_stringn(mended, size);
    free(mended);
    return json;
}

static json_t *string_of(const char *text)
{
    json_t *json = json_string(text);
    return json != NULL ? json : mended_string(text);
}

static bool set_property(json_t *object, const weir_property_iter *property)
{
    json_t *name = string_of(property->name);
    bool set = name != NULL && json_object_set_new(object, json_string_value(name),
                                                   string_of(property->value)) == 0;
    json_decref(name);
    return set;
}

static int dump_to_batch(const char *data, size_t size, void *to)
{
    return add_bytes(to, data, size) ? 0 : -1;
}

static bool add_properties(batch *to, const weir_message *msg)
{
    json_t *object = json_object();
    bool complete = object != NULL;
    weir_property_iter property = {0};
    while (complete && weir_message_next(msg, &property)) {
        complete = set_property(object, &property);
    }
    complete = complete && json_dump_callback(object, dump_to_batch, to, JSON_COMPACT) == 0;
    json_decref(object);
    return complete;
}

/* ---- entries -----------------------------------------------------------------------------------
 */

static bool add_time(batch *to)
{
    char time[WEIR_TIME_SIZE];
    weir_time_now(time);
    return add_text(to, to->size > 0 ? ",\n{\"time\":\"" : "{\"time\":\"") && add_text(to, time);
}

static bool add_mark(batch *to, const char *text)
{
    return add_time(to) && add_text(to, "\",\"content\":\"") && add_text(to, text) &&
           add_text(to, "\"}");
}

static bool add_message(batch *to, const weir_message *msg)
{
    size_t size;
    const void *content = weir_message_content(msg, &size);
    return add_time(to) && add_text(to, "\",\"properties\":") && add_properties(to, msg) &&
           add_text(to, ",\"content\":\"") && add_base64(to, content, size) && add_text(to, "\"}");
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static void tell_repair(logger *self)
{
    if (self->file.notice[0] != '\0') {
        weir_log(self->host, WEIR_LOG_WARN, "%s", self->file.notice);
        self->file.notice[0] = '\0';
    }
}

static void note_lost(logger *self, uint64_t count, const char *reason)
{
    if (self->lost == 0) {
        weir_log(self->host, WEIR_LOG_ERROR, "%s; messages are lost until that works again",
                 reason);
    }
    self->lost += count;
}

static void note_written(logger *self)
{
    if (self->lost > 0) {
        weir_log(self->host, WEIR_LOG_WARN, "%s is written again; %" PRIu64 " %s lost",
                 self->file.path, self->lost,
                 wr_text_plural(self->lost, "message was", "messages were"));
        self->lost = 0;
    }
}

static weir_err write_batch(logger *self)
{
    weir_err err = array_file_append(&self->file, self->batch.data, self->batch.size);
    tell_repair(self);
    return err;
}

static void flush(logger *self)
{
    if (self->batch.size == 0) {
        return;
    }
    if (write_batch(self) == WEIR_OK) {
        note_written(self);
    } else {
        note_lost(self, self->batch.messages, self->file.reason);
    }
    batch_clear(&self->batch);
}

static void receive_many(void *arg, weir_message **msgs, size_t count)
{
    logger *self = arg;
    for (size_t i = 0; i < count; i++) {
        size_t before = self->batch.size;
        if (add_message(&self->batch, msgs[i])) {
            self->batch.messages++;
        } else {
            self->batch.size = before;
            note_lost(self, 1, "out of memory");
        }
        if (self->batch.size >= BATCH_SIZE) {
            flush(self);
        }
    }
    flush(self);
}

static void receive(void *arg, weir_message *msg)
{
    receive_many(arg, &msg, 1);
}

/* ---- life --------------------------------------------------------------------------------------
 */

/* "Log started", on the disk: who cannot write shall hear of it now. */
static weir_err begin_log(logger *self)
{
    if (!add_mark(&self->batch, "Log started")) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "out of memory");
    }
    weir_err err = write_batch(self);
    batch_clear(&self->batch);
    if (err == WEIR_OK) {
        err = array_file_sync(&self->file);
    }
    return err == WEIR_OK ? WEIR_OK : weir_fail(self->host, err, "%s", self->file.reason);
}

static weir_err open_log(logger *self, const char *filename)
{
    weir_err err = array_file_open(&self->file, filename);
    if (err != WEIR_OK) {
        return weir_fail(self->host, err, "%s", self->file.reason);
    }
    tell_repair(self);
    return begin_log(self);
}

/* `*filename` is borrowed from `args`. */
static weir_err read_filename(weir_host *host, const json_t *args, const char **filename)
{
    *filename = json_string_value(json_object_get(args, "filename"));
    if (*filename == NULL || **filename == '\0') {
        return weir_fail(host, WEIR_ERR_CONFIG,
                         "args.filename: expected the path of the file to write");
    }
    if (json_object_size(args) > 1) {
        return weir_fail(host, WEIR_ERR_CONFIG, "args: unknown key (expected only \"filename\")");
    }
    return WEIR_OK;
}

static weir_err init(logger *self, const char *args)
{
    json_error_t wrong;
    json_t *json = json_loads(args, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL) {
        return weir_fail(self->host, WEIR_ERR_CONFIG, "args: %s", wrong.text);
    }
    const char *filename;
    weir_err err = read_filename(self->host, json, &filename);
    if (err == WEIR_OK) {
        err = open_log(self, filename);
    }
    json_decref(json);
    return err;
}

static void deinit(logger *self)
{
    array_file_close(&self->file);
    free(self->batch.data);
    free(self);
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    logger *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    weir_err err = init(made, args);
    if (err != WEIR_OK) {
        deinit(made);
        return err;
    }
    *self = made;
    return WEIR_OK;
}

static void destroy(void *arg)
{
    logger *self = arg;
    if (self == NULL) {
        return;
    }
    if (add_mark(&self->batch, "Log stopped")) {
        flush(self);
    }
    if (array_file_sync(&self->file) != WEIR_OK) {
        weir_log(self->host, WEIR_LOG_ERROR, "%s", self->file.reason);
    }
    if (self->lost > 0) {
        weir_log(self->host, WEIR_LOG_ERROR, "%" PRIu64 " %s lost", self->lost,
                 wr_text_plural(self->lost, "message was", "messages were"));
    }
    deinit(self);
}

static const char args_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"filename\"], "
    "\"properties\": {\"filename\": {\"type\": \"string\", \"minLength\": 1}}}";

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "logger",
    .summary = "appends each message to a JSON file",
    .flags = WEIR_MODULE_BLOCKING,
    .args_schema = args_schema,
    .create = create,
    .receive = receive,
    .receive_many = receive_many,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
