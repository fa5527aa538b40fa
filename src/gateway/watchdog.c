/* SPDX-License-Identifier: MIT
 *
 * The watchdog's thread, and its sleep (contract in watchdog.h).
 *
 * Sleep: the watchdog says that it is asleep and then looks whether anybody is inside a call; a
 * module's thread says that it is inside and then looks whether the watchdog is asleep. Both are
 * seq_cst, so one of them sees the other (tests/model/watchdog.pml).
 */
#include "gateway/watchdog.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "platform/clock.h"
#include "platform/thread.h"

#define NAME_SHOWN_MAX 256

struct wr_watchdog {
    /* Set once. */
    uint64_t deadline_ns;
    uint64_t period_ns;

    atomic_bool asleep; /* set by the watchdog; cleared under the lock, by whoever wakes it */

    wr_mutex lock; /* guards what follows, and the watchdog's fields of all that is watched */
    wr_cond changed;
    bool ending;
    wr_watched *first;
    wr_thread thread; /* started by the first that is watched */
};

/* A line for the log, made under the lock and written without it. */
typedef struct finding {
    char name[NAME_SHOWN_MAX];
    uint64_t lasted_ns;
    bool returned;
} finding;

static void report(const wr_watchdog *dog, const finding *found)
{
    double seconds = (double)found->lasted_ns / 1e9;
    if (found->returned) {
        wr_log(found->name, WEIR_LOG_WARN, "returned from receive after more than %.1f s", seconds);
    } else {
        wr_log(found->name, WEIR_LOG_WARN,
               "has not returned from receive for more than %.1f s (receive.deadline.ms is %llu)",
               seconds, (unsigned long long)(dog->deadline_ns / WR_NS_PER_MS));
    }
}

static void set_finding(finding *found, const wr_watched *watched, uint64_t now_ns, bool returned)
{
    (void)snprintf(found->name, sizeof(found->name), "%s", watched->name);
    found->lasted_ns = now_ns - watched->since_ns;
    found->returned = returned;
}

/* A call was reported just when it returned: nobody has said yet that it did. */
static bool find_unreported_return(wr_watched *watched, uint64_t calls, uint64_t now_ns,
                                   finding *found)
{
    uint64_t overdue = atomic_load(&watched->overdue);
    if (overdue == 0 || overdue == calls ||
        !atomic_compare_exchange_strong(&watched->overdue, &overdue, 0)) {
        return false;
    }
    set_finding(found, watched, now_ns, true);
    return true;
}

/* Look at one module. `*active`: it was inside a call, or has been since the last look. True: there
 * is something to report. */
static bool look_at(const wr_watchdog *dog, wr_watched *watched, uint64_t now_ns, bool *active,
                    finding *found)
{
    uint64_t calls = atomic_load_explicit(&watched->calls, memory_order_acquire);
    if (find_unreported_return(watched, calls, now_ns, found)) {
        return true;
    }
    *active |= calls != watched->seen || calls % 2 == 1;
    if (calls != watched->seen) {
        watched->seen = calls;
        watched->since_ns = now_ns;
        return false;
    }
    if (calls % 2 == 0 || now_ns - watched->since_ns < dog->deadline_ns ||
        atomic_load(&watched->overdue) == calls) {
        return false;
    }
    set_finding(found, watched, now_ns, false);
    atomic_fetch_add(&watched->overruns, 1);
    atomic_store(&watched->overdue, calls);
    return true;
}

/* Look at all and report; gives up the lock in between. Returns whether anybody was active. */
static bool look(wr_watchdog *dog)
{
    bool active = false;
    uint64_t now_ns = wr_clock_ns();
    finding found;
    wr_watched *watched = dog->first;
    while (watched != NULL) {
        if (!look_at(dog, watched, now_ns, &active, &found)) {
            watched = watched->after;
            continue;
        }
        active = true;
        wr_mutex_unlock(&dog->lock);
        report(dog, &found);
        wr_mutex_lock(&dog->lock);
        watched = dog->first; /* the list may have changed; nothing is reported twice */
    }
    return active;
}

static bool anybody_inside(const wr_watchdog *dog)
{
    for (const wr_watched *watched = dog->first; watched != NULL; watched = watched->after) {
        if (atomic_load(&watched->calls) % 2 == 1) {
            return true;
        }
    }
    return false;
}

static void sleep_until_woken(wr_watchdog *dog)
{
    atomic_store(&dog->asleep, true);
    if (anybody_inside(dog)) {
        atomic_store(&dog->asleep, false);
    }
    while (atomic_load(&dog->asleep) && !dog->ending) {
        wr_cond_wait(&dog->changed, &dog->lock);
    }
}

static void sleep_for_a_period(wr_watchdog *dog)
{
    uint64_t end_ns = wr_clock_ns() + dog->period_ns;
    while (!dog->ending && wr_cond_wait_until(&dog->changed, &dog->lock, end_ns)) {
    }
}

static void watch(void *arg)
{
    wr_watchdog *dog = arg;
    wr_mutex_lock(&dog->lock);
    while (!dog->ending) {
        if (look(dog)) {
            sleep_for_a_period(dog);
        } else {
            sleep_until_woken(dog);
        }
    }
    wr_mutex_unlock(&dog->lock);
}

static void wake(wr_watchdog *dog)
{
    wr_mutex_lock(&dog->lock);
    atomic_store(&dog->asleep, false);
    wr_cond_signal(&dog->changed);
    wr_mutex_unlock(&dog->lock);
}

void wr_watched_begin(wr_watched *watched)
{
    uint64_t calls = atomic_load_explicit(&watched->calls, memory_order_relaxed);
    atomic_store(&watched->calls, calls + 1);
    if (atomic_load(&watched->dog->asleep)) {
        wake(watched->dog);
    }
}

/* The count is moved on in the middle: before that, the watchdog leaves since_ns alone; after it,
 * it may report the return itself, but not the call once more. */
void wr_watched_leave_late(wr_watched *watched)
{
    finding found;
    uint64_t calls = atomic_load(&watched->overdue);
    set_finding(&found, watched, wr_clock_ns(), true);
    atomic_store(&watched->calls, calls + 1);
    if (atomic_compare_exchange_strong(&watched->overdue, &calls, 0)) {
        report(watched->dog, &found);
    }
}

weir_err wr_watchdog_create(uint64_t deadline_ns, uint64_t period_ns, wr_watchdog **out)
{
    wr_watchdog *dog = calloc(1, sizeof(*dog));
    if (dog == NULL) {
        return WEIR_ERR_MEMORY;
    }
    dog->deadline_ns = deadline_ns;
    dog->period_ns = period_ns;
    wr_mutex_init(&dog->lock);
    wr_cond_init(&dog->changed);
    *out = dog;
    return WEIR_OK;
}

void wr_watchdog_stop(wr_watchdog *dog)
{
    if (dog == NULL) {
        return;
    }
    wr_mutex_lock(&dog->lock);
    dog->ending = true;
    wr_cond_signal(&dog->changed);
    wr_mutex_unlock(&dog->lock);
    wr_thread_join(&dog->thread);
}

void wr_watchdog_destroy(wr_watchdog *dog)
{
    if (dog == NULL) {
        return;
    }
    wr_watchdog_stop(dog);
    wr_cond_deinit(&dog->changed);
    wr_mutex_deinit(&dog->lock);
    free(dog);
}

weir_err wr_watchdog_add(wr_watchdog *dog, wr_watched *watched, const char *name)
{
    weir_err err = WEIR_OK;
    wr_mutex_lock(&dog->lock);
    if (!dog->thread.started) {
        err = wr_thread_start(&dog->thread, "weir-watchdog", watch, dog);
    }
    if (err == WEIR_OK) {
        *watched = (wr_watched){.dog = dog, .name = name, .after = dog->first};
        if (dog->first != NULL) {
            dog->first->before = watched;
        }
        dog->first = watched;
    }
    wr_mutex_unlock(&dog->lock);
    return err;
}

void wr_watchdog_remove(wr_watched *watched)
{
    wr_watchdog *dog = watched->dog;
    if (dog == NULL) {
        return;
    }
    wr_mutex_lock(&dog->lock);
    if (watched->before == NULL) {
        dog->first = watched->after;
    } else {
        watched->before->after = watched->after;
    }
    if (watched->after != NULL) {
        watched->after->before = watched->before;
    }
    watched->dog = NULL;
    wr_mutex_unlock(&dog->lock);
}
