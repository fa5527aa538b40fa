/* SPDX-License-Identifier: MIT
 *
 * How a module ends: it is destroyed, what it published until then is written, and only then the
 * message channel is closed. That takes as long as the gateway reads, up to a limit.
 */
#include "base/text.h"
#include "platform/clock.h"
#include "remote/remote_internal.h"

void wr_ending_destroy(weir_remote *remote)
{
    wr_session_forget(remote);
    remote->started = false;
    if (remote->created) {
        wr_transmit_close(&remote->transmit);
        wr_module_destroy(remote->api, remote->self);
        remote->created = false;
        remote->self = NULL;
        wr_transmit_drain(&remote->transmit);
    }
}

static void close_channel(weir_remote *remote)
{
    wr_session_tell(remote);
    remote->session.ended = remote->session.ended || remote->session.ending;
    remote->session.ending = false;
    if (remote->session.listener != NULL) { /* else we are leaving, and say goodbye first */
        wr_intake_close(remote);
    }
}

void wr_ending_now(weir_remote *remote)
{
    wr_ending_destroy(remote);
    close_channel(remote);
}

void wr_ending_begin(weir_remote *remote, unsigned delay_ms)
{
    wr_ending_destroy(remote);
    remote->session.ending = true;
    remote->session.ending_until_ns = wr_clock_ns() + delay_ms * WR_NS_PER_MS;
}

void wr_ending_try(weir_remote *remote)
{
    if (!remote->session.ending) {
        return;
    }
    wr_transmit_state state = wr_transmit_get_state(&remote->transmit);
    bool late = wr_clock_ns() >= remote->session.ending_until_ns;
    if (!state.written && !state.lost && !late) {
        return;
    }
    if (state.waiting > 0) {
        wr_remote_log(remote, WEIR_LOG_WARN,
                      "%zu %s published by the module before its end and not sent: the gateway %s",
                      state.waiting, wr_text_plural(state.waiting, "message was", "messages were"),
                      state.lost ? "is not connected" : "takes no more");
    }
    close_channel(remote);
}
