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

/* Returns -1 where `fd` will do. People read what comes here: what this costs is nothing. */
static int open_terminal(int fd)
{
    char path[32];
    if (isatty(fd) == 0) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
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

/* Returns how much was written by the deadline; all of it, where it cannot be written at all. */
static size_t write_until(int fd, const char *text, size_t size, uint64_t deadline_ns)
{
    size_t done = 0;
    while (done < size && has_room(fd, deadline_ns)) {
        ssize_t written = write(fd, text + done, size - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return size;
        } else if (wr_clock_ns() >= deadline_ns) {
            break;
        }
    }
    return done;
}

/* True: it is written, or its rest is kept. */
static bool write_text(wr_output to, int fd, const char *text, size_t size, uint64_t deadline_ns)
{
    char *rest = outputs[to].rest;
    size_t done = write_until(fd, rest, outputs[to].rest_size, deadline_ns);
    outputs[to].rest_size -= done;
    memmove(rest, rest + done, outputs[to].rest_size);
    if (outputs[to].rest_size > 0) {
        return false;
    }
    done = write_until(fd, text, size, deadline_ns);
    if (done > 0 || size == 0) {
        outputs[to].rest_size = size - done;
        memcpy(rest, text + done, size - done);
        return true;
    }
    return false;
}

bool wr_output_write(wr_output to, const char *text, size_t size, int patience_ms)
{
    int fd = to == WR_OUTPUT ? STDOUT_FILENO : STDERR_FILENO;
    uint64_t deadline_ns = wr_clock_ns() + (unsigned)patience_ms * WR_NS_PER_MS;
    wr_once_run(&once, init);
    wr_mutex_lock(&outputs[to].mutex);
    int terminal = open_terminal(fd);
    bool written = write_text(to, terminal >= 0 ? terminal : fd, text,
                              size < WR_OUTPUT_TEXT_MAX ? size : WR_OUTPUT_TEXT_MAX, deadline_ns);
    if (terminal >= 0) {
        (void)close(terminal);
    }
    wr_mutex_unlock(&outputs[to].mutex);
    return written;
}
