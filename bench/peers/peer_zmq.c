/* SPDX-License-Identifier: MIT
 *
 * ZeroMQ: PAIR over ipc. Its sockets belong to one thread, so that an echo's sender receives, too.
 */
#include <stdio.h>
#include <zmq.h>

#include "peer.h"

#define URL_SIZE 128u

const bool peer_one_thread = true;

static void *pair;
static zmq_msg_t out;
static zmq_msg_t received;

void peer_open(bool listens, const char *path)
{
    char url[URL_SIZE];
    (void)snprintf(url, sizeof(url), "ipc://%s", path);
    void *context = zmq_ctx_new();
    peer_must(context != NULL, "zmq_ctx_new");
    pair = zmq_socket(context, ZMQ_PAIR);
    peer_must(pair != NULL && zmq_msg_init(&received) == 0, "zmq_socket");
    peer_must((listens ? zmq_bind(pair, url) : zmq_connect(pair, url)) == 0,
              "zmq_bind, zmq_connect");
}

void *peer_reserve(size_t size)
{
    return zmq_msg_init_size(&out, size) == 0 ? zmq_msg_data(&out) : NULL;
}

bool peer_commit(void)
{
    return zmq_msg_send(&out, pair, 0) >= 0;
}

bool peer_flush(void)
{
    return true;
}

const void *peer_receive(size_t *size)
{
    (void)zmq_msg_close(&received);
    if (zmq_msg_init(&received) != 0 || zmq_msg_recv(&received, pair, 0) < 0) {
        return NULL;
    }
    *size = zmq_msg_size(&received);
    return zmq_msg_data(&received);
}

bool peer_pending(void)
{
    return false;
}

/* Sending takes the content out of `received`. */
bool peer_return(void)
{
    return zmq_msg_send(&received, pair, 0) >= 0 && zmq_msg_init(&received) == 0;
}
