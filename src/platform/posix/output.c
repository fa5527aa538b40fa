/* SPDX-License-Identifier: MIT
 *
 * Standard output and error of POSIX. A pipe with room takes PIPE_BUF bytes, a socket more, a
 * terminal and a file take what comes.
 */
#define _GNU_SOURCE
#include "platform/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

_Static_assert(WR_OUTPUT_TEXT_MAX <= PIPE_BUF, "a pipe takes it in one piece");

static int descriptor_of(wr_output to)
{
    return to == WR_OUTPUT ? STDOUT_FILENO : STDERR_FILENO;
}

static bool has_room(int fd, int patience_ms)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    int ready = 0;
    do {
        ready = poll(&look, 1, patience_ms);
    } while (ready < 0 && errno == EINTR);
    return ready != 0;
}

bool wr_output_write(wr_output to, const char *text, size_t size, int patience_ms)
{
    int fd = descriptor_of(to);
    if (!has_room(fd, patience_ms)) {
        return false;
    }
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno != EINTR) {
            return errno != EAGAIN;
        }
        if (written > 0) {
            text += written;
            size -= (size_t)written;
        }
    }
    return true;
}
