/* SPDX-License-Identifier: MIT
 *
 * Checking an image from outside (contract in image.h).
 */
#include "message/image.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "message/properties.h"
#include "weir/message.h"

/* A name and a value, both empty, with their NULs. */
#define PROPERTY_SIZE_MIN 2u

/* Take the text at `*at`, which must end before `end`; its size counts the NUL. */
static weir_err take_text(const wr_image *image, size_t *at, size_t end, const char **text,
                          size_t *text_size, wr_error *error)
{
    const unsigned char *start = image->bytes + *at;
    const unsigned char *nul = *at < end ? memchr(start, 0, end - *at) : NULL;
    if (nul == NULL) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "byte %zu: a property's text has no NUL before the content size", *at);
    }
    *text = (const char *)start;
    *text_size = (size_t)(nul - start) + 1;
    *at += *text_size;
    return WEIR_OK;
}

static weir_err take_properties(const wr_image *image, uint32_t count, size_t *at,
                                wr_properties *list, wr_error *error)
{
    size_t end = image->there - WR_IMAGE_CONTENT_SIZE_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        wr_property_entry entry;
        weir_err err = take_text(image, at, end, &entry.name, &entry.name_size, error);
        if (err == WEIR_OK) {
            err = take_text(image, at, end, &entry.value, &entry.value_size, error);
        }
        if (err != WEIR_OK) {
            return err;
        }
        wr_properties_add(list, &entry);
    }
    return WEIR_OK;
}

static weir_err check_unique(const wr_image *image, wr_properties *list, wr_error *error)
{
    const char *repeated = NULL;
    weir_err err = wr_properties_merge(list, &repeated);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "no memory to check the property names");
    }
    if (repeated != NULL) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "byte %zu: a property name comes again",
                            (size_t)((const unsigned char *)repeated - image->bytes));
    }
    return WEIR_OK;
}

static weir_err check_header(const wr_image *image, uint32_t *count, wr_error *error)
{
    const unsigned char *bytes = image->bytes;
    if (image->size < WEIR_MESSAGE_SIZE_MIN) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "byte %u: the image ends here, and the smallest has %u bytes",
                            image->size, WEIR_MESSAGE_SIZE_MIN);
    }
    if (bytes[0] != WR_IMAGE_MAGIC_0 || bytes[1] != WR_IMAGE_MAGIC_1) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "byte 0: a message begins with a1 60, this with %02x %02x", bytes[0],
                            bytes[1]);
    }
    uint32_t total = wr_get_u32(bytes + WR_IMAGE_TOTAL_AT);
    if (total != image->size) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "byte %u: total size %u, but the image has %u bytes", WR_IMAGE_TOTAL_AT,
                            total, image->size);
    }
    *count = wr_get_u32(bytes + WR_IMAGE_COUNT_AT);
    if (*count > (image->there - WEIR_MESSAGE_SIZE_MIN) / PROPERTY_SIZE_MIN) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "byte %u: %u %s not fit into the %s",
                            WR_IMAGE_COUNT_AT, *count,
                            wr_text_plural(*count, "property does", "properties do"),
                            image->there < image->size ? "head" : "image");
    }
    if (*count > WR_PROPERTIES_MAX) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE, "byte %u: %u properties, over the limit %u",
                            WR_IMAGE_COUNT_AT, *count, WR_PROPERTIES_MAX);
    }
    return WEIR_OK;
}

static weir_err check_content(wr_image *image, size_t at, wr_error *error)
{
    uint32_t stated = wr_get_u32(image->bytes + at);
    uint32_t there = image->size - (uint32_t)at - WR_IMAGE_CONTENT_SIZE_BYTES;
    if (stated > there) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "byte %zu: content of %u %s, but %u %s left",
                            at, stated, wr_text_plural(stated, "byte", "bytes"), there,
                            wr_text_plural(there, "is", "are"));
    }
    if (stated < there) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "byte %zu: content of %u %s, and %u too many after it", at, stated,
                            wr_text_plural(stated, "byte", "bytes"), there - stated);
    }
    image->head_size = (uint32_t)at + WR_IMAGE_CONTENT_SIZE_BYTES;
    image->content_size = stated;
    return WEIR_OK;
}

weir_err wr_image_check(wr_image *image, wr_error *error)
{
    uint32_t count = 0;
    weir_err err = check_header(image, &count, error);
    if (err != WEIR_OK) {
        return err;
    }
    image->property_count = count;
    if (count == 0) {
        return check_content(image, WR_IMAGE_PROPERTIES_AT, error);
    }
    wr_properties list;
    err = wr_properties_init(&list, count);
    if (err != WEIR_OK) {
        return wr_error_set(error, err, "no memory for %u properties", count);
    }
    size_t at = WR_IMAGE_PROPERTIES_AT;
    err = take_properties(image, count, &at, &list, error);
    if (err == WEIR_OK) {
        err = check_content(image, at, error);
    }
    if (err == WEIR_OK) {
        err = check_unique(image, &list, error);
    }
    wr_properties_deinit(&list);
    return err;
}
