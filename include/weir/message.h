/* SPDX-License-Identifier: MIT
 *
 * The message: properties (UTF-8 name/value pairs, in order) and content (bytes).
 *
 * A message never changes once it is made, so any number of threads may read one message at the
 * same time, and passing it on passes a reference, not a copy. Its memory holds exactly the bytes
 * that travel between processes (the wire image, see docs/wire-protocol.md).
 */
#ifndef WEIR_MESSAGE_H
#define WEIR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_message weir_message;

typedef struct weir_property {
    const char *name;  /**< UTF-8, not empty, unique in its message */
    const char *value; /**< UTF-8; NULL means "remove" in weir_message_with, else an error */
} weir_property;

/** Where weir_message_next stands. Start from `weir_property_iter iter = {0};` */
typedef struct weir_property_iter {
    const char *name;  /**< set by weir_message_next; lives as long as the message */
    const char *value; /**< likewise */
    uint32_t used_;    /* private */
} weir_property_iter;

/** The smallest and the largest wire image, in bytes. */
#define WEIR_MESSAGE_SIZE_MIN 14u
#define WEIR_MESSAGE_SIZE_MAX 0x7fffffffu

/**
 * Make a message from copies of `count` properties and `size` bytes of content.
 * Where a name comes twice, the later value takes the earlier one's place.
 * The caller owns the one reference. Any thread.
 * Errors: INVALID (NULL or empty name, NULL value, name or value not UTF-8, NULL content with
 * size > 0), TOO_LARGE (image over WEIR_MESSAGE_SIZE_MAX, more than 65536 properties), MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_message_new(const weir_property *props, size_t count,
                                                   const void *content, size_t size,
                                                   weir_message **out);

/**
 * As weir_message_new, but the content is left for the caller to write in place: `*content` points
 * to `size` bytes that may be written until the message is first published or given to another
 * thread, and never after. Errors: as weir_message_new.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_message_reserve(const weir_property *props, size_t count,
                                                       size_t size, void **content,
                                                       weir_message **out);

/**
 * Make a message from a copy of a wire image that came from outside. Every field is checked.
 * The caller owns the one reference. Any thread.
 * Liberal where older programs are: empty names, and text that is not UTF-8, are let through.
 * Errors: PROTOCOL (not a whole, well-formed image: wrong header, a size or count that does not
 * fit, a missing NUL, a repeated name, bytes left over), TOO_LARGE (image over
 * WEIR_MESSAGE_SIZE_MAX, more than 65536 properties), INVALID (NULL image with size > 0), MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_message_decode(const void *image, size_t size,
                                                      weir_message **out);

/**
 * A new message with the same content and changed properties: a change whose name exists replaces
 * the value in place, a new name is appended, a NULL value removes. The original stays as it is.
 * The caller owns the one reference. Any thread. Errors: as weir_message_new.
 */
WEIR_API WEIR_MUST_CHECK weir_err weir_message_with(const weir_message *msg,
                                                    const weir_property *changes, size_t count,
                                                    weir_message **out);

/** One more reference; returns `msg`. Any thread that holds a reference or borrows one. */
WEIR_API weir_message *weir_message_ref(weir_message *msg);

/** Give a reference back; the last one frees the message. NULL is allowed. Any thread. */
WEIR_API void weir_message_unref(weir_message *msg);

/** The content, borrowed: lives as long as the message. Not NUL-terminated. Any thread. */
WEIR_API const void *weir_message_content(const weir_message *msg, size_t *size);

/** The value of a property, borrowed; NULL when there is none. Any thread. */
WEIR_API const char *weir_message_property(const weir_message *msg, const char *name);

/** How many properties there are. Any thread. */
WEIR_API size_t weir_message_property_count(const weir_message *msg);

/** Step to the next property, in the message's order; false after the last. Any thread. */
WEIR_API bool weir_message_next(const weir_message *msg, weir_property_iter *iter);

/** The wire image, borrowed: `*size` bytes that weir_message_decode accepts. Any thread. */
WEIR_API const void *weir_message_image(const weir_message *msg, size_t *size);

/**
 * Was this message sent before, to this module's process or to one that died? Then the module may
 * have seen it already. Never true where the peer does not acknowledge. Any thread.
 */
WEIR_API bool weir_message_redelivered(const weir_message *msg);

#ifdef __cplusplus
}
#endif

#endif
