/* SPDX-License-Identifier: MIT
 *
 * The good remote module, see good_peer.h. A few numbers are on their way at any time: enough to be
 * served all the time, little enough to leave the machine to the attack.
 */
#include "good_peer.h"

#include "../fuzz/peer.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "weir/remote.h"

#define ON_THEIR_WAY 4u
#define PATIENCE_MS 60000u

static struct {
    weir_remote *remote;
    weir_host *host;
    wr_mutex mutex; /* guards what follows */
    wr_cond changed;
    uint64_t sent;
    uint64_t served;
    bool ending;
} good;

static void send_next(void)
{
    wr_mutex_lock(&good.mutex);
    bool more = !good.ending;
    uint64_t number = good.sent;
    good.sent += more;
    wr_mutex_unlock(&good.mutex);
    if (more) {
        weir_message *msg = fuzz_numbers_new(number, 0, 0);
        REQUIRE(weir_publish(good.host, msg) == WEIR_OK);
        weir_message_unref(msg);
    }
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    (void)args;
    REQUIRE(good.sent == 0); /* once: the gateway lives on */
    good.host = host;
    *self = NULL;
    return WEIR_OK;
}

static weir_err start(void *self)
{
    (void)self;
    for (unsigned i = 0; i < ON_THEIR_WAY; i++) {
        send_next();
    }
    return WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    (void)self;
    uint64_t number;
    uint64_t unused;
    REQUIRE(fuzz_numbers_of(msg, &number, &unused));
    wr_mutex_lock(&good.mutex);
    REQUIRE(number == good.served);
    good.served++;
    wr_cond_broadcast(&good.changed);
    wr_mutex_unlock(&good.mutex);
    send_next();
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "good",
    .summary = "sends numbers and wants them back",
    .create = create,
    .start = start,
    .receive = receive,
};

void good_peer_start(const char *control_path)
{
    wr_mutex_init(&good.mutex);
    wr_cond_init(&good.changed);
    REQUIRE(weir_remote_attach(&api, control_path, &good.remote) == WEIR_OK);
    REQUIRE(weir_remote_start(good.remote) == WEIR_OK);
}

uint64_t good_peer_served(void)
{
    wr_mutex_lock(&good.mutex);
    uint64_t served = good.served;
    wr_mutex_unlock(&good.mutex);
    return served;
}

void good_peer_wait(uint64_t count)
{
    wr_mutex_lock(&good.mutex);
    while (good.served < count) {
        uint64_t before = good.served;
        uint64_t deadline = wr_clock_ns() + PATIENCE_MS * WR_NS_PER_MS;
        bool in_time = true;
        while (in_time && good.served == before) {
            in_time = wr_cond_wait_until(&good.changed, &good.mutex, deadline);
        }
        REQUIRE(in_time);
    }
    wr_mutex_unlock(&good.mutex);
}

uint64_t good_peer_stop(void)
{
    wr_mutex_lock(&good.mutex);
    good.ending = true;
    uint64_t sent = good.sent;
    wr_mutex_unlock(&good.mutex);
    good_peer_wait(sent);
    weir_remote_detach(good.remote);
    REQUIRE(good_peer_served() == sent);
    return sent;
}
