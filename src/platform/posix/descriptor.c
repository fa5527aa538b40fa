/* SPDX-License-Identifier: MIT
 *
 * Descriptors along with bytes (contract in descriptor_os.h): SCM_RIGHTS of sendmsg and recvmsg.
 * There is room for one; what a peer sends beyond that the system drops.
 */
#define _GNU_SOURCE
#include "descriptor_os.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One header and one descriptor. */
typedef union control {
    struct cmsghdr header; /* for its alignment */
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
} control;

/* Keep the first, if there is room for it. */
static void keep(const struct cmsghdr *header, wr_received *received)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (received->fd < 0) {
            received->fd = fd;
        } else {
            close(fd);
        }
    }
}

ssize_t wr_descriptor_read(int fd, struct iovec *parts, size_t count, wr_received *received)
{
    control room;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    message.msg_control = &room;
    message.msg_controllen = CMSG_LEN(sizeof(int)); /* not CMSG_SPACE: it could hold two */
    ssize_t result = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (result < 0) {
        return result;
    }
    bool found = false;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS) {
            keep(at, received);
            found = true;
        }
    }
    if (!found && (message.msg_flags & MSG_CTRUNC) != 0) {
        received->lost = true;
    }
    return result;
}

ssize_t wr_descriptor_write(int fd, struct iovec *parts, size_t count, int attached)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    control room;
    if (attached >= 0) {
        memset(&room, 0, sizeof(room));
        message.msg_control = &room;
        message.msg_controllen = sizeof(room.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &attached, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}
