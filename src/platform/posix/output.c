/* SPDX-License-Identifier: MIT
 *
 * Standard output and error of POSIX. A pipe that has room takes PIPE_BUF bytes at once, a socket
 * more, a file what comes. A terminal may have room for one byte and keep who writes two: to it
 * goes a description of its own that does not wait, since others share the one that we were given.
 */
#define _GNU_SOURCE
#include "platform/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/thread.h"

_Static_assert(WR_OUTPUT_TEXT_MAX <= PIPE_BUF, "a pipe takes it in one piece");

/* Guarded by the mutex: what was begun and did not find room. */
static struct {
    wr_mutex mutex;
    size_t rest_size;
    char rest[WR_OUTPUT_TEXT_MAX];
} outputs[WR_OUTPUTS];

static wr_once once = WR_ONCE_INIT;

static void init(void)
{
    for (int i = 0; i < WR_OUTPUTS; i++) {
        wr_mutex_init(&outputs[i].mutex);
    }
}

/* Where to write, and how much at a time. */
typedef struct target {
    int fd;
    int own; /* to be closed; -1: none */
    size_t piece;
} target;

/* People read what comes to a terminal: what this costs is nothing. One that is not ours to open
 * gets byte by byte. */
static target open_target(wr_output to)
{
    int fd = to == WR_OUTPUT ? STDOUT_FILENO : STDERR_FILENO;
    char path[32];
    if (isatty(fd) == 0) {
        return (target){fd, -1, WR_OUTPUT_TEXT_MAX};
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own < 0 ? (target){fd, -1, 1} : (target){own, own, WR_OUTPUT_TEXT_MAX};
}

static void close_target(const target *at)
{
    if (at->own >= 0) {
        (void)close(at->own);
    }
}

static bool has_room(int fd, uint64_t deadline_ns)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    int ready = 0;
    do {
        uint64_t now = wr_clock_ns();
        uint64_t left_ns = deadline_ns > now ? deadline_ns - now : 0;
        ready = poll(&look, 1, (int)((left_ns + WR_NS_PER_MS - 1) / WR_NS_PER_MS));
    } while (ready < 0 && errno == EINTR);
    return ready != 0;
}

/* Returns how much there was room for; all of it, where it cannot be written at all. */
static size_t write_some(const target *at, const char *text, size_t size)
{
    size_t done = 0;
    while (done < size && has_room(at->fd, 0)) {
        size_t left = size - done;
        ssize_t written = write(at->fd, text + done, left < at->piece ? left : at->piece);
        if (written < 0 && errno == EAGAIN) {
            break;
        }
        if (written < 0 && errno != EINTR) {
            return size;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return done;
}

/* True: it is written, or its rest is kept. */
static bool write_text(wr_output to, const target *at, const char *text, size_t size)
{
    char *rest = outputs[to].rest;
    size_t done = write_some(at, rest, outputs[to].rest_size);
    outputs[to].rest_size -= done;
    memmove(rest, rest + done, outputs[to].rest_size);
    if (outputs[to].rest_size > 0) {
        return false;
    }
    done = write_some(at, text, size);
    if (done == 0 && size > 0) {
        return false;
    }
    outputs[to].rest_size = size - done;
    memcpy(rest, text + done, size - done);
    return true;
}

bool wr_output_write(wr_output to, const char *text, size_t size, int patience_ms)
{
    uint64_t deadline_ns = wr_clock_ns() + (unsigned)patience_ms * WR_NS_PER_MS;
    target at = open_target(to);
    bool written = false;
    size = size < WR_OUTPUT_TEXT_MAX ? size : WR_OUTPUT_TEXT_MAX;
    wr_once_run(&once, init);
    do {
        wr_mutex_lock(&outputs[to].mutex);
        written = write_text(to, &at, text, size);
        wr_mutex_unlock(&outputs[to].mutex);
        /* Whoever waits keeps nobody else from writing. */
    } while (!written && wr_clock_ns() < deadline_ns && has_room(at.fd, deadline_ns));
    close_target(&at);
    return written;
}
