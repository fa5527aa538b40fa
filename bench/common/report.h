/* SPDX-License-Identifier: MIT
 *
 * The wire to the harness: one datagram of JSON for each event, and the word to begin.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline bool bench_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof(out->sun_path), "%s", path);
    return length > 0 && (size_t)length < sizeof(out->sun_path);
}

/* A harness that went away needs no report. */
static inline void bench_report(const char *path, const char *text)
{
    struct sockaddr_un to;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bench_address(path, &to)) {
        (void)sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Where the harness sends the word to begin; -1: not possible. */
static inline int bench_listen(const char *path)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (!bench_address(path, &at) || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* False: the socket was shut down meanwhile. */
static inline bool bench_wait_for_go(int fd)
{
    char word[16];
    return recv(fd, word, sizeof(word), 0) > 0;
}

#endif
