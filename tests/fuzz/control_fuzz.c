/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: control messages. What is accepted must encode again, and mean the same then.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "ipc/control.h"
#include "repair.h"

static void require_same_text(const char *a, const char *b)
{
    REQUIRE((a == NULL) == (b == NULL));
    REQUIRE(a == NULL || strcmp(a, b) == 0);
}

static void require_same_extension(const wr_extension *a, const wr_extension *b)
{
    REQUIRE(a->present == b->present);
    REQUIRE(a->features == b->features);
    REQUIRE(a->message_limit == b->message_limit);
    require_same_text(a->reason, b->reason);
    REQUIRE(a->window == b->window);
    REQUIRE(a->protocol.first == b->protocol.first && a->protocol.last == b->protocol.last);
    REQUIRE(memcmp(&a->session, &b->session, sizeof(a->session)) == 0);
    REQUIRE(memcmp(&a->instance, &b->instance, sizeof(a->instance)) == 0);
    if ((a->features & WR_FEATURE_ACKNOWLEDGE) != 0) { /* else nobody is to say a position */
        REQUIRE(memcmp(&a->position, &b->position, sizeof(a->position)) == 0);
    }
}

static void require_same(const wr_control_message *a, const wr_control_message *b)
{
    REQUIRE(a->type == b->type);
    REQUIRE(a->status == b->status);
    require_same_text(a->uri, b->uri);
    require_same_text(a->args, b->args);
    REQUIRE(a->count == b->count);
    require_same_extension(&a->extension, &b->extension);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_control_message message;
    wr_error error = {0};
    if (wr_control_decode(data, size, &message, &error) != WEIR_OK) {
        REQUIRE(error.text[0] != '\0');
        return 0;
    }
    wr_buffer buffer = WR_BUFFER_INIT;
    weir_err err = wr_control_encode(&message, &buffer);
    if (err == WEIR_ERR_TOO_LARGE) {
        REQUIRE(size > WR_CONTROL_SIZE_MAX);
    } else {
        wr_control_message again;
        REQUIRE(err == WEIR_OK);
        REQUIRE(wr_control_decode(buffer.data, buffer.size, &again, NULL) == WEIR_OK);
        require_same(&message, &again);
    }
    wr_buffer_deinit(&buffer);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    return fuzz_mutate_image(data, size, max_size, seed, fuzz_repair_control);
}
