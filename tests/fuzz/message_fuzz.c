/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: the message's wire image. What is accepted must read back without a fault, and must
 * come out of the builder as the very same bytes. A view of the image is accepted where a copy is,
 * with the right size of its head and no other.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "message/message.h"
#include "repair.h"
#include "weir/message.h"

static void require_image(const weir_message *msg, const uint8_t *image, size_t size)
{
    size_t got = 0;
    const void *bytes = weir_message_image(msg, &got);
    REQUIRE(got == size && memcmp(bytes, image, size) == 0);
}

static void read_properties(const weir_message *msg)
{
    weir_property_iter iter = {0};
    size_t count = 0;
    while (weir_message_next(msg, &iter)) {
        REQUIRE(weir_message_property(msg, iter.name) == iter.value);
        count++;
    }
    REQUIRE(count == weir_message_property_count(msg));
}

static void read_content(const weir_message *msg, const uint8_t *image, size_t image_size)
{
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    REQUIRE(size <= image_size - WEIR_MESSAGE_SIZE_MIN);
    if (size > 0) {
        REQUIRE(memcmp(content, image + image_size - size, size) == 0);
    }
}

static void build_again(const weir_message *msg, const uint8_t *image, size_t size)
{
    weir_message *same = NULL;
    REQUIRE(weir_message_with(msg, NULL, 0, &same) == WEIR_OK);
    require_image(same, image, size);
    weir_message_unref(same);
}

static void change_one(const weir_message *msg)
{
    const weir_property set = {"fuzz", "new"};
    const weir_property removed = {"fuzz", NULL};
    weir_message *changed = NULL;
    weir_message *back = NULL;
    if (weir_message_with(msg, &set, 1, &changed) != WEIR_OK) {
        return;
    }
    REQUIRE(strcmp(weir_message_property(changed, "fuzz"), "new") == 0);
    REQUIRE(weir_message_with(changed, &removed, 1, &back) == WEIR_OK);
    REQUIRE(weir_message_property(back, "fuzz") == NULL);
    weir_message_unref(back);
    weir_message_unref(changed);
}

static void count_release(const wr_message_origin *origin)
{
    *(unsigned *)origin->owner += 1;
}

/* `copy`: of the same image; NULL: it is no message. */
static void view(const weir_message *copy, const uint8_t *data, size_t size, size_t head_size)
{
    unsigned released = 0;
    wr_message_origin origin = {
        .image = data, .size = size, .release = count_release, .owner = &released};
    size_t right = 0;
    if (copy != NULL) {
        (void)wr_message_head(copy, &right);
    }
    weir_message *msg = NULL;
    weir_err err = wr_message_view_new(&origin, head_size, &msg, NULL);
    bool expected = copy != NULL && head_size == right && right <= WR_MESSAGE_VIEW_HEAD_MAX;
    REQUIRE((err == WEIR_OK) == expected);
    if (err == WEIR_OK) {
        require_image(msg, data, size);
        read_properties(msg);
        read_content(msg, data, size);
        build_again(msg, data, size);
        weir_message_unref(msg);
    }
    REQUIRE(released == (err == WEIR_OK));
}

static void view_with_some_heads(const weir_message *copy, const uint8_t *data, size_t size)
{
    size_t right = 0;
    if (copy != NULL) {
        (void)wr_message_head(copy, &right);
        view(copy, data, size, right);
        view(copy, data, size, right + 1);
        view(copy, data, size, right - 1);
    }
    view(copy, data, size, WEIR_MESSAGE_SIZE_MIN);
    view(copy, data, size, size);
    view(copy, data, size, size > 0 ? data[size - 1] : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_message *msg = NULL;
    if (weir_message_decode(data, size, &msg) != WEIR_OK) {
        view_with_some_heads(NULL, data, size);
        return 0;
    }
    view_with_some_heads(msg, data, size);
    require_image(msg, data, size);
    read_properties(msg);
    read_content(msg, data, size);
    build_again(msg, data, size);
    change_one(msg);
    weir_message_unref(msg);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    return fuzz_mutate_image(data, size, max_size, seed, fuzz_repair_message);
}
