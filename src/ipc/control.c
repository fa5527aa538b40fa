/* SPDX-License-Identifier: MIT
 *
 * The control codec: one message to bytes and back. Decoding trusts nothing; what it hands out
 * points into the image.
 */
#include "ipc/control.h"

#include <string.h>

#include "base/bytes.h"

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

/* Reserved for a request and a reply that show that the module's thread is alive. */
#define TYPE_HEARTBEAT_REQUEST 5u
#define TYPE_HEARTBEAT_REPLY 6u

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
    }
    return "unknown";
}

/* ---- encoding ---- */

static bool has_extension(const wr_control_message *message)
{
    return message->extension.present &&
           (message->type == WR_CONTROL_CREATE || message->type == WR_CONTROL_REPLY);
}

static size_t extension_size(const wr_extension *extension)
{
    size_t size = EXTENSION_HEADER_SIZE;
    size += extension->features != 0 ? ENTRY_HEADER_SIZE + U32_SIZE : 0;
    size += extension->message_limit != 0 ? ENTRY_HEADER_SIZE + U32_SIZE : 0;
    size_t reason = strlen(extension->reason);
    return size + (reason > 0 ? ENTRY_HEADER_SIZE + reason : 0);
}

static weir_err body_size(const wr_control_message *message, size_t *size)
{
    *size = 0;
    if (message->type == WR_CONTROL_REPLY) {
        *size = STATUS_SIZE;
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
    if (message->type < WR_CONTROL_CREATE || message->type > WR_CONTROL_DESTROY) {
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

static void append_body(wr_buffer *out, const wr_control_message *message)
{
    if (message->type == WR_CONTROL_REPLY) {
        wr_buffer_append_u8(out, message->status);
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
                        "byte %zu: %s needs %zu bytes, but %zu are left", from->at, what, bytes,
                        left(from));
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
                            "byte %zu: %s of %u bytes does not end in its only NUL", from->at, what,
                            size);
    }
    *text = (const char *)start;
    from->at += size;
    return WEIR_OK;
}

static weir_err decode_u32_entry(const cursor *from, size_t length, const char *what,
                                 uint32_t *value)
{
    if (length != U32_SIZE) {
        return wr_error_set(from->error, WEIR_ERR_PROTOCOL,
                            "byte %zu: extension entry %s has %zu bytes, expected %u", from->at,
                            what, length, U32_SIZE);
    }
    *value = wr_get_u32(from->image + from->at);
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
    if (type == WR_EXTENSION_FEATURES) {
        err = decode_u32_entry(from, length, "features", &extension->features);
    } else if (type == WR_EXTENSION_MESSAGE_LIMIT) {
        err = decode_u32_entry(from, length, "message limit", &extension->message_limit);
    } else if (type == WR_EXTENSION_REASON) {
        err = decode_reason(from, length, extension);
    }
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
    case TYPE_HEARTBEAT_REQUEST:
    case TYPE_HEARTBEAT_REPLY:
        return wr_error_set(from->error, WEIR_ERR_UNSUPPORTED,
                            "byte 3: type %u, a heartbeat, which was not agreed", type);
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
