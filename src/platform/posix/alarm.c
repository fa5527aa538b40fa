/* SPDX-License-Identifier: MIT
 *
 * Alarms by timerfd.
 */
#define _GNU_SOURCE
#include "platform/alarm.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

struct wr_alarm {
    int fd;
};

weir_err wr_alarm_open(wr_alarm **out)
{
    wr_alarm *alarm = malloc(sizeof(*alarm));
    if (alarm == NULL) {
        return WEIR_ERR_MEMORY;
    }
    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (alarm->fd < 0) {
        free(alarm);
        return WEIR_ERR_IO;
    }
    *out = alarm;
    return WEIR_OK;
}

void wr_alarm_set(wr_alarm *alarm, uint64_t delay_ns)
{
    struct itimerspec when = {
        .it_value = {(time_t)(delay_ns / NS_PER_S), (long)(delay_ns % NS_PER_S)}};
    (void)timerfd_settime(alarm->fd, 0, &when, NULL); /* cannot fail with these values */
}

void wr_alarm_take(wr_alarm *alarm)
{
    uint64_t rings;
    ssize_t got = read(alarm->fd, &rings, sizeof(rings));
    (void)got; /* nothing there: it was set again meanwhile */
}

wr_waitable wr_alarm_waitable(const wr_alarm *alarm)
{
    return alarm->fd;
}

void wr_alarm_close(wr_alarm *alarm)
{
    if (alarm != NULL) {
        close(alarm->fd);
        free(alarm);
    }
}
