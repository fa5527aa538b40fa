/* SPDX-License-Identifier: MIT
 *
 * NNG: pair version 0 over ipc, messages passed as nng_msg, without a copy.
 */
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>

#include "peer.h"

#define URL_SIZE 128u

const bool peer_one_thread = false;

static nng_socket pair;
static nng_msg *out;
static nng_msg *received;

void peer_open(bool listens, const char *path)
{
    char url[URL_SIZE];
    (void)snprintf(url, sizeof(url), "ipc://%s", path);
    peer_must(nng_pair0_open(&pair) == 0 && nng_socket_set_size(pair, NNG_OPT_RECVMAXSZ, 0) == 0 &&
                  nng_socket_set_int(pair, NNG_OPT_SENDBUF, 1024) == 0 &&
                  nng_socket_set_int(pair, NNG_OPT_RECVBUF, 1024) == 0,
              "nng_pair0_open");
    int failed =
        listens ? nng_listen(pair, url, NULL, 0) : nng_dial(pair, url, NULL, NNG_FLAG_NONBLOCK);
    peer_must(failed == 0, "nng_listen, nng_dial");
}

void *peer_reserve(size_t size)
{
    return nng_msg_alloc(&out, size) == 0 ? nng_msg_body(out) : NULL;
}

bool peer_commit(void)
{
    return nng_sendmsg(pair, out, 0) == 0;
}

bool peer_flush(void)
{
    return true;
}

const void *peer_receive(size_t *size)
{
    if (received != NULL) {
        nng_msg_free(received);
        received = NULL;
    }
    if (nng_recvmsg(pair, &received, 0) != 0) {
        return NULL;
    }
    *size = nng_msg_len(received);
    return nng_msg_body(received);
}

bool peer_pending(void)
{
    return false;
}

bool peer_return(void)
{
    nng_msg *back = received;
    received = NULL;
    return nng_sendmsg(pair, back, 0) == 0;
}
