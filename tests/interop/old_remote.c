/* SPDX-License-Identifier: MIT
 *
 * A remote module as it was written in 2017, on nanomsg alone: it echoes each message. It knows
 * nothing of extension blocks, and reads create as strictly as it can without knowing them.
 *
 *   old_remote CONTROL_ID     exit status 0: created, started and destroyed by a gateway
 */
#include <errno.h>
#include <stdio.h>

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>

#include "old_wire.h"

#define DEADLINE_MS 120000

typedef struct old_remote {
    int control;  /* sockets */
    int messages; /* -1: not created */
    bool started;
    bool destroyed;
    unsigned echoed;
} old_remote;

static bool complain(const char *what)
{
    (void)fprintf(stderr, "old_remote: %s: %s\n", what, nn_strerror(nn_errno()));
    return false;
}

static int listen_at(const char *uri)
{
    int socket = nn_socket(AF_SP, NN_PAIR);
    if (socket >= 0 && nn_bind(socket, uri) < 0) {
        (void)nn_close(socket);
        return -1;
    }
    return socket;
}

static bool send_reply(const old_remote *remote)
{
    uint8_t image[OLD_CONTROL_HEADER_SIZE + 1];
    old_bytes reply = {.data = image, .size = sizeof(image)};
    old_put_control_header(&reply, OLD_REPLY, sizeof(image));
    old_put_u8(&reply, 0);
    int sent = nn_send(remote->control, image, sizeof(image), 0);
    return sent == (int)sizeof(image) || complain("cannot reply");
}

static bool on_create(old_remote *remote, old_bytes *create)
{
    uint8_t version = old_get_u8(create);
    uint8_t uri_type = old_get_u8(create);
    const char *uri = old_get_text(create);
    const char *args = old_get_text(create);
    if (create->bad || version != 1 || uri_type != OLD_URI_PAIR) {
        (void)fprintf(stderr, "old_remote: create is malformed near byte %zu\n", create->at);
        return false;
    }
    (void)printf("create %s %s\n", uri, args);
    if (remote->messages < 0) {
        remote->messages = listen_at(uri);
    }
    if (remote->messages < 0) {
        return complain(uri);
    }
    return send_reply(remote);
}

static bool on_control(old_remote *remote, uint8_t *image, size_t size)
{
    old_bytes message = {.data = image, .size = size};
    switch (old_get_control_header(&message)) {
    case OLD_CREATE:
        return on_create(remote, &message);
    case OLD_START:
        remote->started = true;
        return remote->messages >= 0;
    case OLD_DESTROY:
        remote->destroyed = true;
        return true;
    default:
        (void)fprintf(stderr, "old_remote: an unknown control message of %zu bytes\n", size);
        return false;
    }
}

static bool receive_control(old_remote *remote)
{
    void *image = NULL;
    int size = nn_recv(remote->control, &image, NN_MSG, 0);
    if (size < 0) {
        return complain("control channel");
    }
    bool good = on_control(remote, image, (size_t)size);
    (void)nn_freemsg(image);
    return good;
}

static bool echo_one(old_remote *remote)
{
    void *image = NULL;
    int size = nn_recv(remote->messages, &image, NN_MSG, 0);
    if (size < 0) {
        return complain("message channel");
    }
    remote->echoed++;
    /* nn_send takes the image's memory. */
    int sent = nn_send(remote->messages, &image, NN_MSG, 0);
    return sent == size || complain("cannot echo");
}

static bool serve(old_remote *remote)
{
    while (!remote->destroyed) {
        struct nn_pollfd watched[2] = {
            {.fd = remote->control, .events = NN_POLLIN},
            {.fd = remote->messages, .events = NN_POLLIN},
        };
        int ready = nn_poll(watched, remote->started ? 2 : 1, DEADLINE_MS);
        if (ready <= 0) {
            return complain("nothing happens");
        }
        if (remote->started && watched[1].revents != 0 && !echo_one(remote)) {
            return false;
        }
        if (watched[0].revents != 0 && !receive_control(remote)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CONTROL_ID\n", argv[0]);
        return 2;
    }
    char uri[OLD_URI_MAX];
    (void)snprintf(uri, sizeof(uri), "ipc://%s", argv[1]);
    old_remote remote = {.control = listen_at(uri), .messages = -1};
    if (remote.control < 0) {
        (void)complain(uri);
        return 1;
    }
    bool good = serve(&remote);
    (void)printf("echoed %u messages\n", remote.echoed);
    if (remote.messages >= 0) {
        (void)nn_close(remote.messages);
    }
    (void)nn_close(remote.control);
    return good ? 0 : 1;
}
