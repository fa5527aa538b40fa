/* SPDX-License-Identifier: MIT
 *
 * The poller over epoll; an eventfd in the same set is the wake. Invariant: the eventfd's token is
 * the poller's own address, which no caller can have.
 */
#define _GNU_SOURCE
#include "platform/poller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/clock.h"

/* Taken from the system at a time; what is more comes with the next wait. */
#define BATCH_MAX 64u

struct wr_poller {
    int epoll;
    int wake;
};

static weir_err watch_error(int number)
{
    bool no_room = number == ENOMEM || number == ENOSPC;
    return no_room ? WEIR_ERR_MEMORY : WEIR_ERR_IO;
}

weir_err wr_poller_create(wr_poller **out)
{
    wr_poller *poller = malloc(sizeof(*poller));
    if (poller == NULL) {
        return WEIR_ERR_MEMORY;
    }
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    weir_err err = WEIR_ERR_IO;
    if (poller->epoll >= 0 && poller->wake >= 0) {
        err = wr_poller_set(poller, poller->wake, WR_POLL_READ, poller);
    }
    if (err != WEIR_OK) {
        wr_poller_destroy(poller);
        return err;
    }
    *out = poller;
    return WEIR_OK;
}

void wr_poller_destroy(wr_poller *poller)
{
    if (poller == NULL) {
        return;
    }
    if (poller->wake >= 0) {
        close(poller->wake);
    }
    if (poller->epoll >= 0) {
        close(poller->epoll);
    }
    free(poller);
}

static weir_err unwatch(const wr_poller *poller, int fd)
{
    if (epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL) != 0 && errno != ENOENT) {
        return watch_error(errno);
    }
    return WEIR_OK;
}

weir_err wr_poller_set(wr_poller *poller, wr_waitable what, unsigned events, void *token)
{
    int fd = (int)what;
    if (events == 0) {
        return unwatch(poller, fd);
    }
    struct epoll_event event = {.data = {.ptr = token}};
    event.events |= (events & WR_POLL_READ) != 0 ? (uint32_t)EPOLLIN : 0;
    event.events |= (events & WR_POLL_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0;
    int result = epoll_ctl(poller->epoll, EPOLL_CTL_MOD, fd, &event);
    if (result != 0 && errno == ENOENT) {
        result = epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event);
    }
    return result == 0 ? WEIR_OK : watch_error(errno);
}

/* Until the deadline, rounded up so that a wait never ends early and spins. */
static int ms_until(uint64_t deadline_ns)
{
    uint64_t now = wr_clock_ns();
    if (now >= deadline_ns) {
        return 0;
    }
    return (int)((deadline_ns - now + WR_NS_PER_MS - 1) / WR_NS_PER_MS);
}

/* epoll_wait that goes on after a signal, for what is left of the time. */
static size_t wait_batch(const wr_poller *poller, struct epoll_event *batch, size_t max,
                         int timeout_ms)
{
    uint64_t deadline_ns = 0;
    if (timeout_ms > 0) {
        deadline_ns = wr_clock_ns() + (unsigned)timeout_ms * WR_NS_PER_MS;
    }
    int count = epoll_wait(poller->epoll, batch, (int)max, timeout_ms);
    while (count < 0 && errno == EINTR) {
        int left = timeout_ms > 0 ? ms_until(deadline_ns) : timeout_ms;
        count = epoll_wait(poller->epoll, batch, (int)max, left);
    }
    return count > 0 ? (size_t)count : 0;
}

static void drain_wake(const wr_poller *poller)
{
    uint64_t wakes;
    ssize_t result;
    do {
        result = read(poller->wake, &wakes, sizeof(wakes));
    } while (result < 0 && errno == EINTR);
}

static unsigned ready_of(uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        return WR_POLL_READ | WR_POLL_WRITE;
    }
    unsigned ready = (events & EPOLLIN) != 0 ? WR_POLL_READ : 0;
    return ready | ((events & EPOLLOUT) != 0 ? WR_POLL_WRITE : 0);
}

size_t wr_poller_wait(wr_poller *poller, wr_poll_event *events, size_t max, int timeout_ms)
{
    struct epoll_event batch[BATCH_MAX];
    size_t room = max < BATCH_MAX ? max : BATCH_MAX;
    size_t count = wait_batch(poller, batch, room, timeout_ms);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (batch[i].data.ptr == poller) {
            drain_wake(poller);
            continue;
        }
        events[used].token = batch[i].data.ptr;
        events[used].ready = ready_of(batch[i].events);
        used++;
    }
    return used;
}

void wr_poller_wake(wr_poller *poller)
{
    /* A signal handler must leave errno as it was. The write fails only when the counter is full,
     * and then a wake is pending already. */
    int before = errno;
    const uint64_t one = 1;
    ssize_t result;
    do {
        result = write(poller->wake, &one, sizeof(one));
    } while (result < 0 && errno == EINTR);
    errno = before;
}

wr_waitable wr_poller_waitable(const wr_poller *poller)
{
    return poller->epoll;
}
