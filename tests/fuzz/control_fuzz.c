/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: control messages. What is accepted must encode again, and mean the same then.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void require_same_text(const char *a, const char *b)
{
    require((a == NULL) == (b == NULL));
    require(a == NULL || strcmp(a, b) == 0);
}

static void require_same(const wr_control_message *a, const wr_control_message *b)
{
    require(a->type == b->type);
    require(a->status == b->status);
    require_same_text(a->uri, b->uri);
    require_same_text(a->args, b->args);
    require(a->extension.present == b->extension.present);
    require(a->extension.features == b->extension.features);
    require(a->extension.message_limit == b->extension.message_limit);
    require_same_text(a->extension.reason, b->extension.reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_control_message message;
    wr_error error = {0};
    if (wr_control_decode(data, size, &message, &error) != WEIR_OK) {
        require(error.text[0] != '\0');
        return 0;
    }
    wr_buffer buffer = WR_BUFFER_INIT;
    weir_err err = wr_control_encode(&message, &buffer);
    if (err == WEIR_ERR_TOO_LARGE) {
        require(size > WR_CONTROL_SIZE_MAX);
    } else {
        wr_control_message again;
        require(err == WEIR_OK);
        require(wr_control_decode(buffer.data, buffer.size, &again, NULL) == WEIR_OK);
        require_same(&message, &again);
    }
    wr_buffer_deinit(&buffer);
    return 0;
}
