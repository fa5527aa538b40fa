/* SPDX-License-Identifier: MIT
 *
 * nanomsg: NN_PAIR over ipc, messages in blocks of the library's own, which it need not copy.
 */
#include <nanomsg/nn.h>
#include <nanomsg/pair.h>
#include <stdio.h>

#include "peer.h"

#define URL_SIZE 128u

const bool peer_one_thread = false;

static int pair;
static void *out;
static void *received;
static size_t received_size;

void peer_open(bool listens, const char *path)
{
    char url[URL_SIZE];
    int no_limit = -1;
    (void)snprintf(url, sizeof(url), "ipc://%s", path);
    pair = nn_socket(AF_SP, NN_PAIR);
    peer_must(pair >= 0 && nn_setsockopt(pair, NN_SOL_SOCKET, NN_RCVMAXSIZE, &no_limit,
                                         sizeof(no_limit)) == 0,
              "nn_socket");
    peer_must((listens ? nn_bind(pair, url) : nn_connect(pair, url)) >= 0, "nn_bind, nn_connect");
}

void *peer_reserve(size_t size)
{
    out = nn_allocmsg(size, 0);
    return out;
}

bool peer_commit(void)
{
    return nn_send(pair, &out, NN_MSG, 0) >= 0;
}

bool peer_flush(void)
{
    return true;
}

const void *peer_receive(size_t *size)
{
    if (received != NULL) {
        (void)nn_freemsg(received);
        received = NULL;
    }
    int got = nn_recv(pair, &received, NN_MSG, 0);
    if (got < 0) {
        received = NULL;
        return NULL;
    }
    *size = received_size = (size_t)got;
    return received;
}

bool peer_pending(void)
{
    return false;
}

bool peer_return(void)
{
    void *back = received;
    received = NULL;
    return nn_send(pair, &back, NN_MSG, 0) >= 0;
}
