/* SPDX-License-Identifier: MIT
 *
 * What the tests of shared memory on a channel have in common.
 */
#ifndef WR_IPC_SHARING_TEST_H
#define WR_IPC_SHARING_TEST_H

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/channel_test.h"
#include "ipc/shared_frame.h"
#include "ipc/shared_pool.h"
#include "ipc/sharing.h"
#include "ipc/window.h"
#include "message/place.h"
#include "platform/random.h"

#define LARGE 100000u

static inline bool is_view(const weir_message *msg)
{
    return wr_message_get_origin(msg) != NULL;
}

#endif
