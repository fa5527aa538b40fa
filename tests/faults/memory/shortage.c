/* SPDX-License-Identifier: MIT
 *
 * No memory for a while for the window of a remote module: nothing is lost, and nobody asks for it
 * as fast as he can meanwhile. All of Weir is inside this program, gateway and remote module.
 * usage: memory_shortage FOLDER-OF-MODULES (in a folder of its own)
 */
#define _POSIX_C_SOURCE 200809L

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ipc/window.h"
#include "platform/clock.h"
#include "port.h"
#include "weir/gateway.h"
#include "weir/remote.h"

#define RING_SIZE (64 * sizeof(wr_window_place)) /* of a window's first ring */
/* Between two tries there are 10 ms; a busy loop makes so many in one or two. */
#define TRIES 30u
#define JSON_SIZE 1024

#define REQUIRE(truth)                                                                             \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static atomic_bool shortage;
static atomic_uint tries;
static atomic_uint received;
static _Atomic(weir_host *) source;

void *__wrap_malloc(size_t size)
{
    if (size == RING_SIZE && atomic_load(&shortage)) {
        atomic_fetch_add(&tries, 1);
        return NULL;
    }
    return __real_malloc(size);
}

bool port_opened(const char *args, weir_host *host)
{
    (void)args;
    atomic_store(&source, host);
    return false;
}

void port_received(const weir_message *msg)
{
    (void)msg;
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    (void)args;
    *self = host;
    return WEIR_OK;
}

static void receive(void *self, weir_message *msg)
{
    (void)self;
    (void)msg;
    atomic_fetch_add(&received, 1);
}

static const weir_module_api sink = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "sink",
    .summary = "counts what it receives",
    .create = create,
    .receive = receive,
};

static weir_gateway *start_gateway(const char *modules)
{
    char json[JSON_SIZE];
    weir_gateway *gateway = NULL;
    REQUIRE(weir_gateway_create(NULL, &gateway) == WEIR_OK);
    (void)snprintf(json, sizeof(json),
                   "{\"name\": \"in\", \"loader\": {\"entrypoint\": "
                   "{\"module.path\": \"%s/libport.so\"}}}",
                   modules);
    REQUIRE(weir_gateway_add_module(gateway, json) == WEIR_OK);
    REQUIRE(weir_gateway_add_module(gateway, "{\"name\": \"remote\", \"loader\": {\"name\": "
                                             "\"outprocess\", \"entrypoint\": "
                                             "{\"control.id\": \"control\"}}}") == WEIR_OK);
    REQUIRE(weir_gateway_add_link(gateway, "{\"source\": \"in\", \"sink\": \"remote\"}") ==
            WEIR_OK);
    REQUIRE(weir_gateway_start(gateway) == WEIR_OK);
    return gateway;
}

/* Who waits here for ever is ended by the test's time limit. */
static void wait_for(const atomic_uint *count, unsigned least)
{
    const struct timespec look = {0, WR_NS_PER_MS};
    while (atomic_load(count) < least) {
        (void)nanosleep(&look, NULL);
    }
}

static void publish(void)
{
    weir_message *msg = NULL;
    REQUIRE(weir_message_new(NULL, 0, "x", 1, &msg) == WEIR_OK);
    REQUIRE(weir_publish(atomic_load(&source), msg) == WEIR_OK);
    weir_message_unref(msg);
}

int main(int argc, char **argv)
{
    weir_remote *remote = NULL;
    REQUIRE(argc == 2);
    REQUIRE(weir_remote_attach(&sink, "control", &remote) == WEIR_OK);
    REQUIRE(weir_remote_start(remote) == WEIR_OK);
    weir_gateway *gateway = start_gateway(argv[1]);
    atomic_store(&shortage, true);
    publish();
    wait_for(&tries, 1);
    uint64_t begin_ns = wr_clock_ns();
    wait_for(&tries, TRIES);
    uint64_t taken_ms = (wr_clock_ns() - begin_ns) / WR_NS_PER_MS;
    (void)printf("%u tries in %llu ms\n", TRIES, (unsigned long long)taken_ms);
    REQUIRE(taken_ms >= TRIES); /* a slow machine makes it more, never less */
    REQUIRE(atomic_load(&received) == 0);
    atomic_store(&shortage, false);
    wait_for(&received, 1);
    weir_gateway_destroy(gateway);
    weir_remote_detach(remote);
    return 0;
}
