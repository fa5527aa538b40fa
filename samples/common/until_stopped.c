/* SPDX-License-Identifier: MIT
 *
 * Waiting on a libuv loop, so that it is the same on every system. The signal handler only wakes
 * the loop.
 */
#define _DEFAULT_SOURCE /* signal() restarts calls; uv.h shows POSIX types */

#include "until_stopped.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#define STANDARD_INPUT 0
#define EXIT_BY_SIGNAL 128 /* plus the signal's number, as shells have it */

/* timeout(1) and others send a signal to the process and to its group, so that it arrives twice.
 * What comes this soon after the first is no second wish. */
#define SAME_SIGNAL_NS 50000000u

static _Atomic uint64_t first_signal_ns; /* when the first one came; 0: none yet */
static uv_loop_t loop;
static uv_async_t wake; /* sent by the signal handler */
static union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tty_t tty;
    uv_pipe_t pipe;
} input;

static void on_signal(int number)
{
    uint64_t now_ns = uv_hrtime();
    uint64_t first_ns = 0;
    if (atomic_compare_exchange_strong(&first_signal_ns, &first_ns, now_ns)) {
        (void)uv_async_send(&wake);
        return;
    }
    if (now_ns - first_ns >= SAME_SIGNAL_NS) {
        _Exit(EXIT_BY_SIGNAL + number);
    }
}

static void on_wake(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

static void lend_buffer(uv_handle_t *handle, size_t wished, uv_buf_t *out)
{
    static char buffer[256];
    (void)handle;
    (void)wished;
    *out = uv_buf_init(buffer, sizeof(buffer));
}

static void on_input(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got < 0) {
        (void)uv_read_stop(stream); /* the end, or an error: nobody will press ENTER here */
        return;
    }
    if (memchr(buf->base, '\n', (size_t)got) != NULL) {
        uv_stop(stream->loop);
    }
}

/* A file or device that is no terminal has no ENTER, and neither has a closed descriptor. */
static void watch_input(uv_handle_type type)
{
    int failure = UV_ENOTSUP;
    if (type == UV_TTY) {
        failure = uv_tty_init(&loop, &input.tty, STANDARD_INPUT, 0);
    } else if (type == UV_NAMED_PIPE) {
        failure = uv_pipe_init(&loop, &input.pipe, 0);
        if (failure == 0) {
            failure = uv_pipe_open(&input.pipe, STANDARD_INPUT);
        }
    }
    if (failure == 0) {
        (void)uv_read_start(&input.stream, lend_buffer, on_input);
    }
}

bool until_stopped_prepare(void)
{
    /* Before the loop, which would take a closed standard input's number for itself. */
    uv_handle_type type = uv_guess_handle(STANDARD_INPUT);
    int failure = uv_loop_init(&loop);
    if (failure == 0) {
        failure = uv_async_init(&loop, &wake, on_wake);
    }
    if (failure != 0) {
        (void)fprintf(stderr, "cannot wait for signals: %s\n", uv_strerror(failure));
        return false;
    }
    watch_input(type);
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    return true;
}

void until_stopped(void)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}
