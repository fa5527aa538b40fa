/* SPDX-License-Identifier: MIT
 *
 * The module that requires its contract, see probe.h. All on one thread.
 */
#include "probe.h"

#include "peer.h"

fuzz_probe fuzz_probe_module;

static void enter(void)
{
    REQUIRE(!fuzz_probe_module.inside);
    fuzz_probe_module.inside = true;
}

static void leave(void)
{
    fuzz_probe_module.inside = false;
}

/* CLOSED and FULL are allowed to happen, but not inside receive. */
static weir_err publish_next(size_t extra)
{
    fuzz_probe *probe = &fuzz_probe_module;
    weir_message *msg = fuzz_numbers_new(probe->published, probe->created, extra);
    weir_err err = weir_try_publish(probe->host, msg);
    weir_message_unref(msg);
    if (err == WEIR_OK) {
        probe->published++;
    }
    return err;
}

void fuzz_probe_publish(size_t count, size_t extra)
{
    for (size_t i = 0; i < count && fuzz_probe_module.state != FUZZ_PROBE_NONE; i++) {
        weir_err err = publish_next(extra);
        REQUIRE(err == WEIR_OK || err == WEIR_ERR_FULL || err == WEIR_ERR_TOO_LARGE);
    }
}

static void speak(unsigned when)
{
    if ((fuzz_probe_module.behaviour & when) != 0) {
        weir_err err = publish_next(0);
        REQUIRE(err != WEIR_ERR_INVALID && err != WEIR_ERR_MEMORY);
    }
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    fuzz_probe *probe = &fuzz_probe_module;
    enter();
    REQUIRE(probe->state == FUZZ_PROBE_NONE);
    REQUIRE(args != NULL);
    probe->host = host;
    speak(FUZZ_PROBE_SPEAK_CREATE);
    leave();
    if ((probe->behaviour & FUZZ_PROBE_FAIL_CREATE) != 0) {
        return weir_fail(host, WEIR_ERR_IO, "as it was told");
    }
    probe->state = FUZZ_PROBE_CREATED;
    probe->created++;
    *self = probe;
    return WEIR_OK;
}

static weir_err start(void *self)
{
    fuzz_probe *probe = self;
    enter();
    REQUIRE(probe->state == FUZZ_PROBE_CREATED);
    speak(FUZZ_PROBE_SPEAK_START);
    leave();
    if ((probe->behaviour & FUZZ_PROBE_FAIL_START) != 0) {
        return weir_fail(probe->host, WEIR_ERR_IO, "as it was told");
    }
    probe->state = FUZZ_PROBE_STARTED;
    return WEIR_OK;
}

/* Each connection's messages come one after the other; from the first on, but for those that were
 * processed before by the gateway's own account. */
static void check_place(fuzz_probe *probe, const weir_message *msg)
{
    uint64_t connection;
    uint64_t place;
    bool numbered = fuzz_numbers_of(msg, &connection, &place);
    if (!numbered || connection < FUZZ_PROBE_CONNECTIONS) {
        return; /* the latter: one of the probe's own, given back */
    }
    bool goes_on = probe->received > 0 && connection == probe->connection;
    REQUIRE(!goes_on || place == probe->place + 1);
    probe->connection = connection;
    probe->place = place;
    probe->received++;
}

static void receive(void *self, weir_message *msg)
{
    fuzz_probe *probe = self;
    enter();
    REQUIRE(probe->state == FUZZ_PROBE_STARTED);
    check_place(probe, msg);
    if ((probe->behaviour & FUZZ_PROBE_ECHO) != 0) {
        weir_err err = publish_next(0);
        REQUIRE(err == WEIR_OK || err == WEIR_ERR_TOO_LARGE);
    }
    leave();
}

static void destroy(void *self)
{
    fuzz_probe *probe = self;
    enter();
    REQUIRE(probe->state != FUZZ_PROBE_NONE);
    speak(FUZZ_PROBE_SPEAK_DESTROY);
    leave();
    probe->state = FUZZ_PROBE_NONE;
    probe->destroyed++;
}

const weir_module_api fuzz_probe_api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "probe",
    .summary = "requires the module contract",
    .create = create,
    .start = start,
    .receive = receive,
    .destroy = destroy,
};
