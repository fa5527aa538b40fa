/* SPDX-License-Identifier: MIT
 *
 * The thread's place (contract in place.h).
 */
#include "message/place.h"

#include "platform/thread.h"

static WR_THREAD_LOCAL_SMALL wr_message_place *own; /* one reference */

static void drop(void *arg)
{
    (void)arg;
    wr_message_place_set(NULL);
}

void wr_message_place_set(wr_message_place *place)
{
    wr_message_place *old = own;
    if (place == old) {
        return;
    }
    if (place != NULL) {
        place->ops->ref(place);
    }
    own = place;
    if (old == NULL) {
        wr_thread_on_exit(drop, NULL);
    } else {
        old->ops->unref(old);
    }
}

wr_message_place *wr_message_place_now(void)
{
    return own;
}
