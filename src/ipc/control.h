/* SPDX-License-Identifier: MIT
 *
 * Control messages: what gateway and remote say to each other about the module's life.
 *
 *   A1 6C | u8 version = 1 | u8 type | u32 total size | body          (see docs/wire-protocol.md)
 *
 * After the body of create and of reply an extension block may follow, which old peers ignore:
 *   57 52 | u8 version = 1 | entries: u8 type, u8 length, value
 */
#ifndef WR_IPC_CONTROL_H
#define WR_IPC_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/buffer.h"
#include "base/error.h"

/* The largest control message in bytes: nanomsg's receive limit. It bounds a module's args. */
#define WR_CONTROL_SIZE_MAX (1024u * 1024u)

/* Create: the fixed bytes around uri and args, both with their NUL. */
#define WR_CONTROL_URI_PAIR 0x10u
#define WR_CONTROL_MESSAGE_VERSION 1u

/* The scheme in front of a path in a uri, and in front of no path in the configuration. */
#define WR_IPC_SCHEME "ipc://"

typedef enum wr_control_type {
    WR_CONTROL_CREATE = 1,
    WR_CONTROL_REPLY = 2,
    WR_CONTROL_START = 3,
    WR_CONTROL_DESTROY = 4
} wr_control_type;

typedef enum wr_reply_status {
    WR_REPLY_CREATED = 0,
    WR_REPLY_CONNECTION_ERROR = 1,
    WR_REPLY_MODULE_FAILED = 2,
    WR_REPLY_DETACHED = 0xff
} wr_reply_status;

/* Entries of the extension block. Unknown ones are skipped. */
typedef enum wr_extension_type {
    WR_EXTENSION_FEATURES = 1, /* u32, bits; none is defined yet */
    WR_EXTENSION_MESSAGE_LIMIT =
        2,                  /* u32, largest image in bytes that the sender of this accepts */
    WR_EXTENSION_REASON = 3 /* text without NUL, in reply: why the module failed */
} wr_extension_type;

typedef struct wr_extension {
    bool present; /* false: an old peer; the rest is zero */
    uint32_t features;
    uint32_t message_limit; /* 0: not said */
    char reason[256];       /* "": not said; NUL-terminated, at most 255 bytes on the wire */
} wr_extension;

typedef struct wr_control_message {
    wr_control_type type;
    const char *uri;        /* create; borrowed from the image on decode */
    const char *args;       /* create; likewise */
    uint8_t status;         /* reply; a wr_reply_status or a number we do not know */
    wr_extension extension; /* create, reply */
} wr_control_message;

/* Append the image. Errors: TOO_LARGE, MEMORY, INVALID. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_control_encode(const wr_control_message *message,
                                                     wr_buffer *out);
/* Check and take apart an image; `error` (may be NULL) says what is wrong and at which byte.
 * Errors: PROTOCOL, UNSUPPORTED (a version, uri type or message type that we do not speak). */
WR_SHARED WEIR_MUST_CHECK weir_err wr_control_decode(const void *image, size_t size,
                                                     wr_control_message *out, wr_error *error);
/* "create", ...; "unknown". */
WR_SHARED const char *wr_control_type_name(wr_control_type type);

#endif
