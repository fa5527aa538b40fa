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
/* All but a create, and a reply with a long reason, fit here: they can be sent without memory. */
#define WR_CONTROL_SIZE_SMALL 256u

/* Create: the fixed bytes around uri and args, both with their NUL. */
#define WR_CONTROL_URI_PAIR 0x10u
#define WR_CONTROL_MESSAGE_VERSION 1u

/* The scheme in front of a path in a uri, and in front of no path in the configuration. */
#define WR_IPC_SCHEME "ipc://"

typedef enum wr_control_type {
    WR_CONTROL_CREATE = 1,
    WR_CONTROL_REPLY = 2,
    WR_CONTROL_START = 3,
    WR_CONTROL_DESTROY = 4,
    /* Only where both sides said the feature: */
    WR_CONTROL_HEARTBEAT = 5,       /* gateway -> remote: answer, if your thread is alive */
    WR_CONTROL_HEARTBEAT_REPLY = 6, /* remote -> gateway: the same number */
    WR_CONTROL_ACKNOWLEDGE = 7      /* both ways: messages processed since the session began */
} wr_control_type;

/* What an extension block offers; agreed is what both sides offer. */
#define WR_FEATURE_ACKNOWLEDGE 1u /* acknowledgement, redelivery, resumption */
#define WR_FEATURE_HEARTBEAT 2u
#define WR_FEATURE_SHARED_MEMORY 4u /* for large messages, on the message channel */
#define WR_FEATURE_BLOCKING 8u      /* gateway: knows it; remote: the module's receive may block */

/* An id that nobody else has: of a session (gateway's side) or of an instance (remote's side). */
#define WR_ID_SIZE 16u
typedef struct wr_id {
    uint8_t bytes[WR_ID_SIZE]; /* all zero: none */
} wr_id;

typedef enum wr_reply_status {
    WR_REPLY_CREATED = 0,
    WR_REPLY_CONNECTION_ERROR = 1,
    WR_REPLY_MODULE_FAILED = 2,
    WR_REPLY_DETACHED = 0xff
} wr_reply_status;

/* Entries of the extension block. Unknown ones are skipped. */
typedef enum wr_extension_type {
    WR_EXTENSION_FEATURES = 1,      /* u32, WR_FEATURE_... */
    WR_EXTENSION_MESSAGE_LIMIT = 2, /* u32, largest image in bytes that its sender accepts */
    WR_EXTENSION_REASON = 3,        /* text without NUL, in reply: why the module failed */
    WR_EXTENSION_WINDOW = 4,        /* u32, most messages that its sender keeps unacknowledged */
    WR_EXTENSION_SESSION = 5,       /* id, in create: of the gateway's session with this remote */
    WR_EXTENSION_INSTANCE = 6,      /* id, in create: of the remote that `received` is about; in
                                       reply: of the remote */
    WR_EXTENSION_POSITION = 7,      /* three u64: received, first, sent */
    WR_EXTENSION_PROTOCOL = 8       /* two u16: the first and the last version (ipc/protocol.h) */
} wr_extension_type;

/* Where one side of a session stands. Messages are counted for each direction from 0 on. */
typedef struct wr_position {
    uint64_t received; /* how many of the other side's messages it has processed */
    uint64_t first;    /* number of the oldest of its own messages that it still has, and will send
                          on the new message channel unless the other side has processed it */
    uint64_t sent;     /* how many it has sent before: those below this may come again */
} wr_position;

typedef struct wr_protocol_range {
    uint16_t first;
    uint16_t last; /* 0: not said */
} wr_protocol_range;

typedef struct wr_extension {
    bool present; /* false: an old peer; the rest is zero */
    uint32_t features;
    uint32_t message_limit; /* 0: not said */
    char reason[256];       /* "": not said; NUL-terminated, at most 255 bytes on the wire */
    uint32_t window;        /* messages; 0: not said */
    wr_id session;          /* none: not said */
    wr_id instance;         /* none: not said */
    wr_protocol_range protocol;
    wr_position position; /* said where features have WR_FEATURE_ACKNOWLEDGE */
} wr_extension;

typedef struct wr_control_message {
    wr_control_type type;
    const char *uri;        /* create; borrowed from the image on decode */
    const char *args;       /* create; likewise */
    uint8_t status;         /* reply; a wr_reply_status or a number we do not know */
    wr_extension extension; /* create, reply */
    uint64_t count;         /* acknowledge; heartbeat and its reply: the number */
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
