/* SPDX-License-Identifier: MIT
 *
 * The message: one block of a small header and the wire image (message/image.h), which starts at a
 * multiple of eight; of a view, the head only (view.c).
 *
 * Invariant: once sealed, the head is well-formed and the header's offsets agree with it, so that
 * the getters need no checks.
 */
#include "message/message.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "message/image.h"
#include "message/pool.h"
#include "message/properties.h"
#include "message/view.h"

static_assert(offsetof(struct weir_message, image) <= 32, "the cost of every small message");

weir_err wr_message_image_new(size_t size, void **image, weir_message **out)
{
    if (size > WEIR_MESSAGE_SIZE_MAX) {
        return WEIR_ERR_TOO_LARGE;
    }
    weir_message *msg = wr_pool_get(sizeof(*msg) + size);
    if (msg == NULL) {
        return WEIR_ERR_MEMORY;
    }
    atomic_init(&msg->references, 1);
    msg->size = (uint32_t)size;
    msg->redelivered = false;
    msg->view = false;
    msg->bytes = msg->image;
    *image = msg->image;
    *out = msg;
    return WEIR_OK;
}

/* Whole and without properties, as most small messages are: a look at it says so. */
static bool is_plain(const unsigned char *image, uint32_t size)
{
    return size >= WEIR_MESSAGE_SIZE_MIN && image[0] == WR_IMAGE_MAGIC_0 &&
           image[1] == WR_IMAGE_MAGIC_1 && wr_get_u32(image + WR_IMAGE_TOTAL_AT) == size &&
           wr_get_u32(image + WR_IMAGE_COUNT_AT) == 0 &&
           wr_get_u32(image + WR_IMAGE_PROPERTIES_AT) == size - WEIR_MESSAGE_SIZE_MIN;
}

weir_err wr_message_image_seal(weir_message *msg, wr_error *error)
{
    if (is_plain(msg->image, msg->size)) {
        msg->property_count = 0;
        msg->content_at = WEIR_MESSAGE_SIZE_MIN;
        msg->content_size = msg->size - WEIR_MESSAGE_SIZE_MIN;
        return WEIR_OK;
    }
    wr_image image = {.bytes = msg->image, .size = msg->size, .there = msg->size};
    weir_err err = wr_image_check(&image, error);
    if (err != WEIR_OK) {
        return err;
    }
    msg->property_count = image.property_count;
    msg->content_at = image.head_size;
    msg->content_size = image.content_size;
    return WEIR_OK;
}

weir_err weir_message_decode(const void *image, size_t size, weir_message **out)
{
    if (out == NULL || (image == NULL && size > 0)) {
        return WEIR_ERR_INVALID;
    }
    void *copy = NULL;
    weir_message *msg = NULL;
    weir_err err = wr_message_image_new(size, &copy, &msg);
    if (err != WEIR_OK) {
        return err;
    }
    if (size > 0) {
        memcpy(copy, image, size);
    }
    err = wr_message_image_seal(msg, NULL);
    if (err != WEIR_OK) {
        weir_message_unref(msg);
        return err;
    }
    *out = msg;
    return WEIR_OK;
}

/* ---- making a message ---- */

static weir_err check_text(const char *text, size_t *size)
{
    size_t length = strlen(text);
    if (!wr_utf8_valid(text, length)) {
        return WEIR_ERR_INVALID;
    }
    *size = length + 1;
    return WEIR_OK;
}

/* Check and append what the caller gave; without `may_remove` a NULL value is a mistake. */
static weir_err add_given(wr_properties *list, const weir_property *props, size_t count,
                          bool may_remove)
{
    for (size_t i = 0; i < count; i++) {
        wr_property_entry entry = {props[i].name, props[i].value, 0, 0};
        if (entry.name == NULL || entry.name[0] == '\0' || (entry.value == NULL && !may_remove)) {
            return WEIR_ERR_INVALID;
        }
        weir_err err = check_text(entry.name, &entry.name_size);
        if (err == WEIR_OK && entry.value != NULL) {
            err = check_text(entry.value, &entry.value_size);
        }
        if (err != WEIR_OK) {
            return err;
        }
        wr_properties_add(list, &entry);
    }
    return WEIR_OK;
}

/* The image's size and the number of properties; TOO_LARGE over a limit. */
static weir_err measure(const wr_properties *list, size_t content_size, size_t *size,
                        uint32_t *count)
{
    *size = WEIR_MESSAGE_SIZE_MIN;
    *count = 0;
    if (content_size > WEIR_MESSAGE_SIZE_MAX - *size) {
        return WEIR_ERR_TOO_LARGE;
    }
    *size += content_size;
    for (size_t i = 0; i < list->count; i++) {
        const wr_property_entry *entry = &list->entries[i];
        if (!wr_property_kept(entry)) {
            continue;
        }
        size_t room = WEIR_MESSAGE_SIZE_MAX - *size;
        if (entry->name_size > room || entry->value_size > room - entry->name_size) {
            return WEIR_ERR_TOO_LARGE;
        }
        *size += entry->name_size + entry->value_size;
        *count += 1;
    }
    return *count > WR_PROPERTIES_MAX ? WEIR_ERR_TOO_LARGE : WEIR_OK;
}

/* The head. */
static void fill(weir_message *msg, const wr_properties *list, uint32_t count, size_t content_size)
{
    unsigned char *image = msg->image;
    image[0] = WR_IMAGE_MAGIC_0;
    image[1] = WR_IMAGE_MAGIC_1;
    wr_put_u32(image + WR_IMAGE_TOTAL_AT, msg->size);
    wr_put_u32(image + WR_IMAGE_COUNT_AT, count);
    size_t at = WR_IMAGE_PROPERTIES_AT;
    for (size_t i = 0; i < list->count; i++) {
        const wr_property_entry *entry = &list->entries[i];
        if (wr_property_kept(entry)) {
            memcpy(image + at, entry->name, entry->name_size);
            memcpy(image + at + entry->name_size, entry->value, entry->value_size);
            at += entry->name_size + entry->value_size;
        }
    }
    wr_put_u32(image + at, (uint32_t)content_size);
    msg->property_count = count;
    msg->content_at = (uint32_t)at + WR_IMAGE_CONTENT_SIZE_BYTES;
    msg->content_size = (uint32_t)content_size;
}

/* Of a bulk message it is in the thread's place, if that has room. */
static weir_err new_image(size_t size, size_t head_size, void **image, weir_message **out)
{
    if (size - head_size >= WR_MESSAGE_BULK_MIN && wr_view_in_place(size, head_size, image, out)) {
        return WEIR_OK;
    }
    return wr_message_image_new(size, image, out);
}

/* A message with what was measured. */
static weir_err make(const wr_properties *list, uint32_t count, size_t size, size_t content_size,
                     void **content, weir_message **out)
{
    void *image = NULL;
    weir_message *msg = NULL;
    weir_err err = new_image(size, size - content_size, &image, &msg);
    if (err != WEIR_OK) {
        return err;
    }
    fill(msg, list, count, content_size);
    if (msg->view) {
        memcpy(image, msg->image, msg->content_at);
    }
    *content = (unsigned char *)image + msg->content_at;
    *out = msg;
    return WEIR_OK;
}

static weir_err build(wr_properties *list, size_t content_size, void **content, weir_message **out)
{
    const char *repeated = NULL;
    weir_err err = wr_properties_merge(list, &repeated);
    if (err != WEIR_OK) {
        return err;
    }
    size_t size = 0;
    uint32_t count = 0;
    err = measure(list, content_size, &size, &count);
    return err == WEIR_OK ? make(list, count, size, content_size, content, out) : err;
}

/* Without properties there is nothing to check, merge and measure. */
static weir_err make_plain(size_t content_size, void **content, weir_message **out)
{
    static const wr_properties none;
    if (content_size > WEIR_MESSAGE_SIZE_MAX - WEIR_MESSAGE_SIZE_MIN) {
        return WEIR_ERR_TOO_LARGE;
    }
    return make(&none, 0, WEIR_MESSAGE_SIZE_MIN + content_size, content_size, content, out);
}

weir_err weir_message_reserve(const weir_property *props, size_t count, size_t size, void **content,
                              weir_message **out)
{
    if (content == NULL || out == NULL || (props == NULL && count > 0)) {
        return WEIR_ERR_INVALID;
    }
    if (count == 0) {
        return make_plain(size, content, out);
    }
    if (count > WR_PROPERTIES_MAX) {
        return WEIR_ERR_TOO_LARGE;
    }
    wr_properties list;
    weir_err err = wr_properties_init(&list, count);
    if (err == WEIR_OK) {
        err = add_given(&list, props, count, false);
    }
    if (err == WEIR_OK) {
        err = build(&list, size, content, out);
    }
    wr_properties_deinit(&list);
    return err;
}

weir_err weir_message_new(const weir_property *props, size_t count, const void *content,
                          size_t size, weir_message **out)
{
    if (content == NULL && size > 0) {
        return WEIR_ERR_INVALID;
    }
    void *place = NULL;
    weir_err err = weir_message_reserve(props, count, size, &place, out);
    if (err == WEIR_OK && size > 0) {
        memcpy(place, content, size);
    }
    return err;
}

/* The properties that `msg` has; they were checked when it was made. */
static void add_present(wr_properties *list, const weir_message *msg)
{
    weir_property_iter iter = {0};
    while (weir_message_next(msg, &iter)) {
        wr_property_entry entry = {iter.name, iter.value, strlen(iter.name) + 1,
                                   strlen(iter.value) + 1};
        wr_properties_add(list, &entry);
    }
}

weir_err weir_message_with(const weir_message *msg, const weir_property *changes, size_t count,
                           weir_message **out)
{
    if (msg == NULL || out == NULL || (changes == NULL && count > 0)) {
        return WEIR_ERR_INVALID;
    }
    if (count > WR_PROPERTIES_MAX) {
        return WEIR_ERR_TOO_LARGE;
    }
    wr_properties list;
    weir_err err = wr_properties_init(&list, msg->property_count + count);
    if (err != WEIR_OK) {
        return err;
    }
    add_present(&list, msg);
    err = add_given(&list, changes, count, true);
    void *content = NULL;
    if (err == WEIR_OK) {
        err = build(&list, msg->content_size, &content, out);
    }
    if (err == WEIR_OK) {
        memcpy(content, msg->bytes + msg->content_at, msg->content_size);
    }
    wr_properties_deinit(&list);
    return err;
}

/* ---- references ---- */

weir_message *weir_message_ref(weir_message *msg)
{
    atomic_fetch_add_explicit(&msg->references, 1, memory_order_relaxed);
    return msg;
}

void wr_message_ref_many(weir_message *msg, size_t count)
{
    atomic_fetch_add_explicit(&msg->references, (uint32_t)count, memory_order_relaxed);
}

void weir_message_unref(weir_message *msg)
{
    if (msg == NULL) {
        return;
    }
    /* Whoever holds the only reference needs no read-modify-write: nobody else can add one. */
    if (atomic_load_explicit(&msg->references, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&msg->references, 1, memory_order_acq_rel) == 1) {
        if (msg->view) {
            wr_view_release(msg);
        } else {
            wr_pool_put(msg, sizeof(*msg) + msg->size);
        }
    }
}

/* ---- reading ---- */

const void *weir_message_content(const weir_message *msg, size_t *size)
{
    *size = msg->content_size;
    return msg->bytes + msg->content_at;
}

const char *weir_message_property(const weir_message *msg, const char *name)
{
    weir_property_iter iter = {0};
    while (weir_message_next(msg, &iter)) {
        if (strcmp(iter.name, name) == 0) {
            return iter.value;
        }
    }
    return NULL;
}

size_t weir_message_property_count(const weir_message *msg)
{
    return msg->property_count;
}

bool weir_message_next(const weir_message *msg, weir_property_iter *iter)
{
    size_t at = WR_IMAGE_PROPERTIES_AT + iter->used_;
    if (at + WR_IMAGE_CONTENT_SIZE_BYTES >= msg->content_at) {
        return false;
    }
    iter->name = (const char *)msg->image + at;
    iter->value = iter->name + strlen(iter->name) + 1;
    const char *end = iter->value + strlen(iter->value) + 1;
    iter->used_ += (uint32_t)(end - iter->name);
    return true;
}

const void *weir_message_image(const weir_message *msg, size_t *size)
{
    *size = msg->size;
    return msg->bytes;
}

const void *wr_message_head(const weir_message *msg, size_t *size)
{
    *size = msg->content_at;
    return msg->image;
}

bool weir_message_redelivered(const weir_message *msg)
{
    return msg->redelivered;
}

void wr_message_mark_redelivered(weir_message *msg)
{
    msg->redelivered = true;
}
