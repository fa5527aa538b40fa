/* SPDX-License-Identifier: MIT
 *
 * A gateway's end of one remote module as it was written in 2017, on nanomsg alone, for a remote
 * that echoes. Its create carries no extension block.
 *
 *   old_gateway CONTROL_ID MESSAGE_ID COUNT
 *   exit status 0: COUNT messages came back, in order, every byte as it was
 */
#include <stdio.h>
#include <stdlib.h>

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>

#include "old_wire.h"

#define DEADLINE_MS 60000
#define POLL_MS 10
#define IMAGE_MAX 262144u
/* Every so many messages one is large, and takes another path than the small ones. */
#define LARGE_EVERY 101u
#define LARGE_SIZE 200000u
#define SMALL_SIZE_MAX 3000u

typedef struct old_gateway {
    int control;
    int messages;
    unsigned count;
    unsigned sent;
    unsigned received;
} old_gateway;

static bool complain(const char *what)
{
    (void)fprintf(stderr, "old_gateway: %s: %s\n", what, nn_strerror(nn_errno()));
    return false;
}

static int connect_to(const char *uri)
{
    int socket = nn_socket(AF_SP, NN_PAIR);
    const int deadline = DEADLINE_MS;
    if (socket < 0) {
        return -1;
    }
    (void)nn_setsockopt(socket, NN_SOL_SOCKET, NN_RCVTIMEO, &deadline, sizeof(deadline));
    (void)nn_setsockopt(socket, NN_SOL_SOCKET, NN_SNDTIMEO, &deadline, sizeof(deadline));
    if (nn_connect(socket, uri) < 0) {
        (void)nn_close(socket);
        return -1;
    }
    return socket;
}

/* Control */

static bool send_control(const old_gateway *gateway, const old_bytes *message)
{
    int sent = nn_send(gateway->control, message->data, message->at, 0);
    return sent == (int)message->at || complain("cannot send on the control channel");
}

static bool send_create(const old_gateway *gateway, const char *uri, const char *args)
{
    uint8_t image[1024];
    size_t total = OLD_CONTROL_HEADER_SIZE + 2 + 4 + strlen(uri) + 1 + 4 + strlen(args) + 1;
    old_bytes create = {.data = image, .size = sizeof(image)};
    old_put_control_header(&create, OLD_CREATE, total);
    old_put_u8(&create, 1);
    old_put_u8(&create, OLD_URI_PAIR);
    old_put_text(&create, uri);
    old_put_text(&create, args);
    return !create.bad && send_control(gateway, &create);
}

static bool send_plain(const old_gateway *gateway, enum old_control_type type)
{
    uint8_t image[OLD_CONTROL_HEADER_SIZE];
    old_bytes message = {.data = image, .size = sizeof(image)};
    old_put_control_header(&message, (uint8_t)type, sizeof(image));
    return send_control(gateway, &message);
}

/* A strict old client: the reply is these nine bytes and no more. */
static bool expect_created(const old_gateway *gateway)
{
    static const uint8_t created[] = {0xa1, 0x6c, 1, OLD_REPLY, 0, 0, 0, 9, 0};
    uint8_t image[64];
    int size = nn_recv(gateway->control, image, sizeof(image), 0);
    if (size < 0) {
        return complain("no reply to create");
    }
    if (size != (int)sizeof(created) || memcmp(image, created, sizeof(created)) != 0) {
        (void)fprintf(stderr, "old_gateway: the reply has %d bytes and status %d\n", size,
                      size > (int)OLD_CONTROL_HEADER_SIZE ? image[OLD_CONTROL_HEADER_SIZE] : -1);
        return false;
    }
    return true;
}

/* Messages */

static size_t content_size(unsigned index)
{
    return index % LARGE_EVERY == LARGE_EVERY - 1 ? LARGE_SIZE : (index * 7919u) % SMALL_SIZE_MAX;
}

/* Message number `index`: its bytes follow from the number. */
static size_t make_message(unsigned index, uint8_t *image)
{
    char number[16];
    int digits = snprintf(number, sizeof(number), "%u", index);
    size_t content = content_size(index);
    size_t total = 2 + 4 + 4 + sizeof("index") + (size_t)digits + 1 + sizeof("source") +
                   sizeof("old gateway") + 4 + content;
    old_bytes message = {.data = image, .size = IMAGE_MAX};
    old_put_u8(&message, 0xa1);
    old_put_u8(&message, 0x60);
    old_put_u32(&message, (uint32_t)total);
    old_put_u32(&message, 2);
    old_put(&message, "index", sizeof("index"));
    old_put(&message, number, (size_t)digits + 1);
    old_put(&message, "source", sizeof("source"));
    old_put(&message, "old gateway", sizeof("old gateway"));
    old_put_u32(&message, (uint32_t)content);
    for (size_t i = 0; i < content; i++) {
        old_put_u8(&message, (uint8_t)(index + i));
    }
    return message.at;
}

static bool send_next(old_gateway *gateway)
{
    static uint8_t image[IMAGE_MAX];
    size_t size = make_message(gateway->sent, image);
    if (nn_send(gateway->messages, image, size, 0) != (int)size) {
        return complain("cannot send a message");
    }
    gateway->sent++;
    return true;
}

static bool receive_next(old_gateway *gateway)
{
    static uint8_t wanted[IMAGE_MAX];
    size_t size = make_message(gateway->received, wanted);
    uint8_t *image = NULL;
    int got = nn_recv(gateway->messages, &image, NN_MSG, 0);
    if (got < 0) {
        return complain("cannot receive a message");
    }
    bool same = (size_t)got == size && memcmp(image, wanted, size) == 0;
    (void)nn_freemsg(image);
    if (!same) {
        (void)fprintf(stderr, "old_gateway: message %u came back as another, of %d bytes\n",
                      gateway->received, got);
        return false;
    }
    gateway->received++;
    return true;
}

static bool exchange(old_gateway *gateway)
{
    while (gateway->received < gateway->count) {
        bool more = gateway->sent < gateway->count;
        struct nn_pollfd watched = {
            .fd = gateway->messages,
            .events = (short)(NN_POLLIN | (more ? NN_POLLOUT : 0)),
        };
        if (nn_poll(&watched, 1, DEADLINE_MS) <= 0) {
            return complain("nothing happens");
        }
        if ((watched.revents & NN_POLLIN) != 0 && !receive_next(gateway)) {
            return false;
        }
        if ((watched.revents & NN_POLLOUT) != 0 && !send_next(gateway)) {
            return false;
        }
    }
    return true;
}

/* nanomsg forgets what is not sent when a socket is closed, so wait for destroy's effect: the
 * remote closes the message channel. */
static bool destroy(const old_gateway *gateway)
{
    if (!send_plain(gateway, OLD_DESTROY)) {
        return false;
    }
    for (int waited = 0; waited < DEADLINE_MS; waited += POLL_MS) {
        if (nn_get_statistic(gateway->messages, NN_STAT_CURRENT_CONNECTIONS) == 0) {
            return true;
        }
        struct nn_pollfd watched = {.fd = gateway->messages, .events = NN_POLLIN};
        (void)nn_poll(&watched, 1, POLL_MS);
    }
    return complain("destroy has no effect");
}

static bool run(old_gateway *gateway, const char *message_uri)
{
    if (!send_create(gateway, message_uri, "\"THIS IS THE OOP MODULE CONFIGURATION\"") ||
        !expect_created(gateway)) {
        return false;
    }
    gateway->messages = connect_to(message_uri);
    if (gateway->messages < 0) {
        return complain(message_uri);
    }
    bool good = send_plain(gateway, OLD_START) && exchange(gateway) && destroy(gateway);
    (void)nn_close(gateway->messages);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s CONTROL_ID MESSAGE_ID COUNT\n", argv[0]);
        return 2;
    }
    char control_uri[OLD_URI_MAX];
    char message_uri[OLD_URI_MAX];
    (void)snprintf(control_uri, sizeof(control_uri), "ipc://%s", argv[1]);
    (void)snprintf(message_uri, sizeof(message_uri), "ipc://%s", argv[2]);
    old_gateway gateway = {.control = connect_to(control_uri),
                           .count = (unsigned)strtoul(argv[3], NULL, 10)};
    if (gateway.control < 0) {
        (void)complain(control_uri);
        return 1;
    }
    bool good = run(&gateway, message_uri);
    (void)printf("%u sent, %u came back\n", gateway.sent, gateway.received);
    (void)nn_close(gateway.control);
    return good ? 0 : 1;
}
