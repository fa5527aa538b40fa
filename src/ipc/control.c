/* SPDX-License-Identifier: MIT
 *
 * The control codec: one message to bytes and back. Decoding trusts nothing; what it hands out
 * points into the image.
 */
#include "ipc/control.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#define MAGIC_0 0xa1u
#define MAGIC_1 0x6cu
#define VERSION 1u
#define TOTAL_AT 4u
#define HEADER_SIZE 8u
/* In create: versions and the two sizes. */
#define CREATE_FIXED_SIZE 10u
#define STATUS_SIZE 1u

#define EXTENSION_0 0x57u
#define EXTENSION_1 0x52u
#define EXTENSION_VERSION 1u
#define EXTENSION_HEADER_SIZE 3u
#define ENTRY_HEADER_SIZE 2u
#define U32_SIZE 4u
#define U64_SIZE 8u
#define POSITION_SIZE (3 * U64_SIZE)

const char *wr_control_type_name(wr_control_type type)
{
    switch (type) {
    case WR_CONTROL_CREATE:
        return "create";
    case WR_CONTROL_REPLY:
        return "reply";
    case WR_CONTROL_START:
        return "start";
    case WR_CONTROL_DESTROY:
        return "destroy";
    case WR_CONTROL_HEARTBEAT:
        return "heartbeat";
    case WR_CONTROL_HEARTBEAT_REPLY:
        return "heartbeat reply";
    case WR_CONTROL_ACKNOWLEDGE:
        return "acknowledge";
    }
    return "unknown";
}

/* ---- encoding ---- */

static bool has_extension(const wr_control_message *message)
{
    return message->extension.present &&
           (message->type == WR_CONTROL_CREATE || message->type == WR_CONTROL_REPLY);
}

static bool is_id(const wr_id *id)
{
    static const wr_id none;
    return memcmp(id, &none, sizeof(none)) != 0;
}

static bool has_position(const wr_extension *extension)
{
    return (extension->features & WR_FEATURE_ACKNOWLEDGE) != 0;
}

/* Messages whose body is one number. */
static bool is_count(wr_control_type type)
{
    return type == WR_CONTROL_HEARTBEAT || type == WR_CONTROL_HEARTBEAT_REPLY ||
           type == WR_CONTROL_ACKNOWLEDGE;
}

static size_t entry_size(bool said, size_t size)
{
    return said ? ENTRY_HEADER_SIZE + size : 0;
}

static size_t extension_size(const wr_extension *extension)
{
    size_t reason = strlen(extension->reason);
    return EXTENSION_HEADER_SIZE + entry_size(extension->features != 0, U32_SIZE) +
           entry_size(extension->message_limit != 0, U32_SIZE) + entry_size(reason > 0, reason) +
           entry_size(extension->window != 0, U32_SIZE) +
           entry_size(extension->protocol.last != 0, U32_SIZE) +
           entry_size(is_id(&extension->session), WR_ID_SIZE) +
           entry_size(is_id(&extension->instance), WR_ID_SIZE) +
           entry_size(has_position(extension), POSITION_SIZE);
}

static weir_err body_size(const wr_control_message *message, size_t *size)
{
    *size = 0;
    if (message->type == WR_CONTROL_REPLY) {
        *size = STATUS_SIZE;
    } else if (is_count(message->type)) {
        *size = U64_SIZE;
    }
    if (message->type != WR_CONTROL_CREATE) {
        return WEIR_OK;
    }
    size_t uri = strlen(message->uri);
    size_t args = strlen(message->args);
    if (uri >= WR_CONTROL_SIZE_MAX || args >= WR_CONTROL_SIZE_MAX) {
        return WEIR_ERR_TOO_LARGE;
    }
    *size = CREATE_FIXED_SIZE + uri + 1 + args + 1;
    return WEIR_OK;
}

static weir_err check_encodable(const wr_control_message *message)
{
    if (message->type < WR_CONTROL_CREATE || message->type > WR_CONTROL_ACKNOWLEDGE) {
        return WEIR_ERR_INVALID;
    }
    if (message->type == WR_CONTROL_CREATE && (message->uri == NULL || message->args == NULL)) {
        return WEIR_ERR_INVALID;
    }
    const wr_extension *extension = &message->extension;
    if (memchr(extension->reason, 0, sizeof(extension->reason)) == NULL) {
        return WEIR_ERR_INVALID;
    }
    return WEIR_OK;
}

/* The size of the whole image. */
static weir_err measure(const wr_control_message *message, size_t *size)
{
    size_t body = 0;
    weir_err err = body_size(message, &body);
    if (err != WEIR_OK) {
        return err;
    }
    *size = HEADER_SIZE + body;
    if (has_extension(message)) {
        *size += extension_size(&message->extension);
    }
    return *size > WR_CONTROL_SIZE_MAX ? WEIR_ERR_TOO_LARGE : WEIR_OK;
}

static void append_sized_text(wr_buffer *out, const char *text)
{
    size_t size = strlen(text) + 1;
    wr_buffer_append_u32(out, (uint32_t)size);
    wr_buffer_append(out, text, size);
}

static void append_u64(wr_buffer *out, uint64_t value)
{
    wr_buffer_append_u32(out, (uint32_t)(value >> 32));
    wr_buffer_append_u32(out, (uint32_t)value);
}

static void append_body(wr_buffer *out, const wr_control_message *message)
{
    if (message->type == WR_CONTROL_REPLY) {
        wr_buffer_append_u8(out, message->status);
    } else if (is_count(message->type)) {
        append_u64(out, message->count);
    }
    if (message->type == WR_CONTROL_CREATE) {
        wr_buffer_append_u8(out, WR_CONTROL_MESSAGE_VERSION);
        wr_buffer_append_u8(out, WR_CONTROL_URI_PAIR);
        append_sized_text(out, message->uri);
        append_sized_text(out, message->args);
    }
}

/* A number that is 0 is not said. */
static void append_u32_entry(wr_buffer *out, wr_extension_type type, uint32_t value)
{
    if (value != 0) {
        wr_buffer_append_u8(out, (uint8_t)type);
        wr_buffer_append_u8(out, U32_SIZE);
        wr_buffer_append_u32(out, value);
    }
}

static void append_id_entry(wr_buffer *out, wr_extension_type type, const wr_id *id)
{
    if (is_id(id)) {
        wr_buffer_append_u8(out, (uint8_t)type);
        wr_buffer_append_u8(out, WR_ID_SIZE);
        wr_buffer_append(out, id->bytes, WR_ID_SIZE);
    }
}

static void append_position(wr_buffer *out, const wr_position *position)
{
    wr_buffer_append_u8(out, WR_EXTENSION_POSITION);
    wr_buffer_append_u8(out, POSITION_SIZE);
    append_u64(out, position->received);
    append_u64(out, position->first);
    append_u64(out, position->sent);
}

static void append_extension(wr_buffer *out, const wr_extension *extension)
{
    wr_buffer_append_u8(out, EXTENSION_0);
    wr_buffer_append_u8(out, EXTENSION_1);
    wr_buffer_append_u8(out, EXTENSION_VERSION);
    append_u32_entry(out, WR_EXTENSION_FEATURES, extension->features);
    append_u32_entry(out, WR_EXTENSION_MESSAGE_LIMIT, extension->message_limit);
    size_t reason = strlen(extension->reason);
    if (reason > 0) {
        wr_buffer_append_u8(out, WR_EXTENSION_REASON);
        wr_buffer_append_u8(out, (uint8_t)reason);
        wr_buffer_append(out, extension->reason, reason);
    }
    append_u32_entry(out, WR_EXTENSION_WINDOW, extension->window);
    append_u32_entry(out, WR_EXTENSION_PROTOCOL,
                     (uint32_t)extension->protocol.first << 16 | extension->protocol.last);
    append_id_entry(out, WR_EXTENSION_SESSION, &extension->session);
    append_id_entry(out, WR_EXTENSION_INSTANCE, &extension->instance);
    if (has_position(extension)) {
        append_position(out, &extension->position);
    }
}

weir_err wr_control_encode(const wr_control_message *message, wr_buffer *out)
{
    weir_err err = check_encodable(message);
    if (err != WEIR_OK) {
        return err;
    }
    size_t size = 0;
    err = measure(message, &size);
    if (err != WEIR_OK) {
        return err;
    }
    wr_buffer_append_u8(out, MAGIC_0);
    wr_buffer_append_u8(out, MAGIC_1);
    wr_buffer_append_u8(out, VERSION);
    wr_buffer_append_u8(out, (uint8_t)message->type);
    wr_buffer_append_u32(out, (uint32_t)size);
    append_body(out, message);
    if (has_extension(message)) {
        append_extension(out, &message->extension);
    }
    return out->failed ? WEIR_ERR_MEMORY : WEIR_OK;
}

/* ---- decoding ---- */

/* Where decoding stands in an image. */
typedef struct cursor {
    const uint8_t *image;
    size_t size;
    size_t at;
    wr_error *error;
} cursor;

static size_t left(const cursor *from)
{
    return from->size - from->at;
}

static weir_err need(const cursor *from, size_t bytes, const char *what)
{
    if (left(from) >= bytes) {
        return WEIR_OK;
    }
    return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                        "byte %zu: %s needs %zu %s, but %zu %s left", from->at, what, bytes,
                        wr_text_plural(bytes, "byte", "bytes"), left(from),
                        wr_text_plural(left(from), "is", "are"));
}

static weir_err take_u8(cursor *from, const char *what, uint8_t *value)
{
    weir_err err = need(from, 1, what);
    if (err == WEIR_OK) {
        *value = from->image[from->at++];
    }
    return err;
}

/* A byte that has only one value that we speak. */
static weir_err expect_u8(cursor *from, const char *what, uint8_t expected)
{
    uint8_t value = 0;
    weir_err err = take_u8(from, what, &value);
    if (err == WEIR_OK && value != expected) {
        return wr_error_set(from->error, WEIR_ERR_UNSUPPORTED, "byte %zu: %s %u, expected %u",
                            from->at - 1, what, value, expected);
    }
    return err;
}

/* A size, then as many bytes: text that ends in its only NUL. */
static weir_err take_sized_text(cursor *from, const char *what, const char **text)
{
    weir_err err = need(from, U32_SIZE, what);
    if (err != WEIR_OK) {
        return err;
    }
    uint32_t size = wr_get_u32(from->image + from->at);
    from->at += U32_SIZE;
    err = need(from, size, what);
    if (err != WEIR_OK) {
        return err;
    }
    const uint8_t *start = from->image + from->at;
    const uint8_t *nul = size > 0 ? memchr(start, 0, size) : NULL;
    if (nul == NULL || (size_t)(nul - start) + 1 != size) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %zu: %s of %u %s does not end in its only NUL", from->at, what,
                            size, wr_text_plural(size, "byte", "bytes"));
    }
    *text = (const char *)start;
    from->at += size;
    return WEIR_OK;
}

static weir_err expect_length(const cursor *from, size_t length, const char *what, size_t expected)
{
    if (length == expected) {
        return WEIR_OK;
    }
    return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                        "byte %zu: extension entry %s has %zu %s, expected %zu", from->at, what,
                        length, wr_text_plural(length, "byte", "bytes"), expected);
}

static weir_err decode_u32_entry(const cursor *from, size_t length, const char *what,
                                 uint32_t *value)
{
    weir_err err = expect_length(from, length, what, U32_SIZE);
    if (err == WEIR_OK) {
        *value = wr_get_u32(from->image + from->at);
    }
    return err;
}

static weir_err decode_id(const cursor *from, size_t length, const char *what, wr_id *id)
{
    weir_err err = expect_length(from, length, what, WR_ID_SIZE);
    if (err == WEIR_OK) {
        memcpy(id->bytes, from->image + from->at, WR_ID_SIZE);
    }
    return err;
}

static weir_err decode_position(const cursor *from, size_t length, wr_position *position)
{
    weir_err err = expect_length(from, length, "position", POSITION_SIZE);
    if (err != WEIR_OK) {
        return err;
    }
    const uint8_t *at = from->image + from->at;
    *position = (wr_position){wr_get_u64(at), wr_get_u64(at + U64_SIZE),
                              wr_get_u64(at + 2 * (size_t)U64_SIZE)};
    if (position->first > position->sent) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %zu: extension entry position: first is after sent", from->at);
    }
    return WEIR_OK;
}

static weir_err decode_protocol(const cursor *from, size_t length, wr_protocol_range *range)
{
    uint32_t value = 0;
    weir_err err = decode_u32_entry(from, length, "protocol", &value);
    if (err != WEIR_OK) {
        return err;
    }
    wr_protocol_range said = {(uint16_t)(value >> 16), (uint16_t)(value & 0xffffu)};
    if (said.first == 0 || said.first > said.last) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %zu: extension entry protocol: %u to %u is no range", from->at,
                            said.first, said.last);
    }
    *range = said;
    return WEIR_OK;
}

static weir_err decode_reason(const cursor *from, size_t length, wr_extension *extension)
{
    const uint8_t *text = from->image + from->at;
    if (length > 0 && memchr(text, 0, length) != NULL) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %zu: extension entry reason contains a NUL", from->at);
    }
    memcpy(extension->reason, text, length);
    extension->reason[length] = '\0';
    return WEIR_OK;
}

/* Types that we do not know are skipped. */
static weir_err decode_value(const cursor *from, uint8_t type, size_t length,
                             wr_extension *extension)
{
    switch (type) {
    case WR_EXTENSION_FEATURES:
        return decode_u32_entry(from, length, "features", &extension->features);
    case WR_EXTENSION_MESSAGE_LIMIT:
        return decode_u32_entry(from, length, "message limit", &extension->message_limit);
    case WR_EXTENSION_REASON:
        return decode_reason(from, length, extension);
    case WR_EXTENSION_WINDOW:
        return decode_u32_entry(from, length, "window", &extension->window);
    case WR_EXTENSION_SESSION:
        return decode_id(from, length, "session", &extension->session);
    case WR_EXTENSION_INSTANCE:
        return decode_id(from, length, "instance", &extension->instance);
    case WR_EXTENSION_POSITION:
        return decode_position(from, length, &extension->position);
    case WR_EXTENSION_PROTOCOL:
        return decode_protocol(from, length, &extension->protocol);
    default:
        return WEIR_OK;
    }
}

static weir_err decode_entry(cursor *from, wr_extension *extension)
{
    uint8_t type = 0;
    uint8_t length = 0;
    weir_err err = take_u8(from, "an extension entry's type", &type);
    if (err == WEIR_OK) {
        err = take_u8(from, "an extension entry's length", &length);
    }
    if (err == WEIR_OK) {
        err = need(from, length, "an extension entry");
    }
    if (err != WEIR_OK) {
        return err;
    }
    err = decode_value(from, type, length, extension);
    from->at += length;
    return err;
}

/* What follows the body: an extension block, or anything else, which is an old peer's and means
 * nothing. Later versions of the block keep the entries' shape, so that we find those we know. */
static weir_err decode_extension(cursor *from, wr_extension *extension)
{
    const uint8_t *block = from->image + from->at;
    if (left(from) < EXTENSION_HEADER_SIZE || block[0] != EXTENSION_0 || block[1] != EXTENSION_1 ||
        block[2] < EXTENSION_VERSION) {
        return WEIR_OK;
    }
    extension->present = true;
    from->at += EXTENSION_HEADER_SIZE;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK && left(from) > 0) {
        err = decode_entry(from, extension);
    }
    return err;
}

static weir_err decode_create(cursor *from, wr_control_message *message)
{
    weir_err err = expect_u8(from, "message version", WR_CONTROL_MESSAGE_VERSION);
    if (err == WEIR_OK) {
        err = expect_u8(from, "uri type", WR_CONTROL_URI_PAIR);
    }
    if (err == WEIR_OK) {
        err = take_sized_text(from, "uri", &message->uri);
    }
    if (err == WEIR_OK) {
        err = take_sized_text(from, "args", &message->args);
    }
    return err == WEIR_OK ? decode_extension(from, &message->extension) : err;
}

static weir_err decode_reply(cursor *from, wr_control_message *message)
{
    weir_err err = take_u8(from, "status", &message->status);
    return err == WEIR_OK ? decode_extension(from, &message->extension) : err;
}

static weir_err decode_count(cursor *from, wr_control_message *message)
{
    weir_err err = need(from, U64_SIZE, "a number");
    if (err == WEIR_OK) {
        message->count = wr_get_u64(from->image + from->at);
        from->at += U64_SIZE;
    }
    return err;
}

static weir_err decode_body(cursor *from, uint8_t type, wr_control_message *message)
{
    switch (type) {
    case WR_CONTROL_CREATE:
        return decode_create(from, message);
    case WR_CONTROL_REPLY:
        return decode_reply(from, message);
    case WR_CONTROL_START:
    case WR_CONTROL_DESTROY:
        return WEIR_OK;
    case WR_CONTROL_HEARTBEAT:
    case WR_CONTROL_HEARTBEAT_REPLY:
    case WR_CONTROL_ACKNOWLEDGE:
        return decode_count(from, message);
    default:
        return wr_error_set(from->error, WEIR_ERR_UNSUPPORTED, "byte 3: unknown type %u", type);
    }
}

static weir_err decode_header(cursor *from, uint8_t *type)
{
    weir_err err = need(from, HEADER_SIZE, "the header");
    if (err != WEIR_OK) {
        return err;
    }
    const uint8_t *image = from->image;
    if (image[0] != MAGIC_0 || image[1] != MAGIC_1) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte 0: a control message begins with a1 6c, this with %02x %02x",
                            image[0], image[1]);
    }
    if (image[2] != VERSION) {
        return wr_error_set(from->error, WEIR_ERR_UNSUPPORTED, "byte 2: version %u, expected %u",
                            image[2], VERSION);
    }
    uint32_t total = wr_get_u32(image + TOTAL_AT);
    if (total != from->size) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %u: total size %u, but the message has %zu bytes", TOTAL_AT,
                            total, from->size);
    }
    *type = image[3];
    from->at = HEADER_SIZE;
    return WEIR_OK;
}

weir_err wr_control_decode(const void *image, size_t size, wr_control_message *out, wr_error *error)
{
    cursor from = {image, size, 0, error};
    wr_control_message message = {.type = WR_CONTROL_CREATE};
    uint8_t type = 0;
    weir_err err = decode_header(&from, &type);
    if (err == WEIR_OK) {
        err = decode_body(&from, type, &message);
    }
    if (err != WEIR_OK) {
        return err;
    }
    message.type = (wr_control_type)type;
    *out = message;
    return WEIR_OK;
}
