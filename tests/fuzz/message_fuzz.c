/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: the message's wire image. What is accepted must read back without a fault, and must
 * come out of the builder as the very same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_message *msg = NULL;
    if (weir_message_decode(data, size, &msg) != WEIR_OK) {
        return 0;
    }
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
