/* SPDX-License-Identifier: MIT
 *
 * What a remote module and a gateway that has connected agree on: which features, whether the
 * module goes on, and where both stand.
 */
#include <stdlib.h>
#include <string.h>

#include "platform/shared_memory.h"
#include "remote/remote_internal.h"

bool wr_session_can_resume(const weir_remote *remote, const wr_control_message *create)
{
    const char *args = remote->session.args;
    return remote->created && (remote->session.features & WR_FEATURE_ACKNOWLEDGE) != 0 &&
           (create->extension.features & WR_FEATURE_ACKNOWLEDGE) != 0 && args != NULL &&
           strcmp(args, create->args) == 0;
}

static bool same_id(const wr_id *a, const wr_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* To the gateway that has connected. */
static uint32_t offered_features(const wr_session *session)
{
    bool acknowledge = getenv(WR_ENV_NO_ACKNOWLEDGE) == NULL;
    bool shared = !session->sharing_failed && wr_shared_memory_supported() &&
                  wr_peer_is_own(wr_sp_inner(session->stream));
    return WR_FEATURE_HEARTBEAT | WR_FEATURE_BLOCKING | (acknowledge ? WR_FEATURE_ACKNOWLEDGE : 0) |
           (shared ? WR_FEATURE_SHARED_MEMORY : 0);
}

/* The largest image that it takes. */
static uint64_t limit_of(const wr_extension *extension)
{
    bool says_it = extension->present && extension->message_limit > 0;
    return says_it ? extension->message_limit : WR_MESSAGE_LIMIT_OLD_PEER;
}

void wr_session_agree(weir_remote *remote, const wr_extension *extension)
{
    wr_session *session = &remote->session;
    wr_intake *intake = &remote->intake;
    bool same = same_id(&session->id, &extension->session);
    session->agreed = true;
    session->extended = extension->present;
    session->features = extension->features & offered_features(session);
    session->peer_window = extension->window;
    session->id = extension->session;
    bool acknowledged = (session->features & WR_FEATURE_ACKNOWLEDGE) != 0;
    if (!same || session->processed.count < extension->position.first) {
        session->processed.count = extension->position.first;
    }
    intake->redelivered_end = extension->position.sent;
    bool knows_us = same && same_id(&session->instance, &extension->instance);
    if (acknowledged && knows_us &&
        wr_transmit_skip(&remote->transmit, extension->position.received) != WEIR_OK) {
        wr_remote_log(remote, WEIR_LOG_WARN,
                      "the gateway says that it received more than was sent; all is sent again");
    }
    session->told = wr_transmit_agree(&remote->transmit, limit_of(extension), acknowledged,
                                      session->processed, extension->position.first);
    intake->number = session->told.count;
    intake->known_end = session->processed.count;
}
