/* SPDX-License-Identifier: MIT
 *
 * Threads of POSIX. Conditions run on the clock of wr_clock_ns; threads start with signals blocked.
 */
#define _GNU_SOURCE
#include "platform/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

#include "platform/clock.h"

#define NS_PER_S (1000u * WR_NS_PER_MS)
#define NAME_SIZE 16u
#define NICER_ASIDE 10

typedef struct thread_start {
    void (*run)(void *arg);
    void *arg;
    char name[NAME_SIZE];
} thread_start;

/* These fail only where the caller broke the rules, and going on would corrupt what they guard. */
static void must(int result)
{
    if (result != 0) {
        abort();
    }
}

void wr_mutex_init(wr_mutex *mutex)
{
    must(pthread_mutex_init(&mutex->os, NULL));
}

void wr_mutex_deinit(wr_mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->os));
}

void wr_mutex_lock(wr_mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->os));
}

void wr_mutex_unlock(wr_mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->os));
}

void wr_cond_init(wr_cond *cond)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr));
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->os, &attr));
    must(pthread_condattr_destroy(&attr));
}

void wr_cond_deinit(wr_cond *cond)
{
    must(pthread_cond_destroy(&cond->os));
}

void wr_cond_wait(wr_cond *cond, wr_mutex *mutex)
{
    must(pthread_cond_wait(&cond->os, &mutex->os));
}

bool wr_cond_wait_until(wr_cond *cond, wr_mutex *mutex, uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S),
        .tv_nsec = (long)(deadline_ns % NS_PER_S),
    };
    int result = pthread_cond_timedwait(&cond->os, &mutex->os, &deadline);
    if (result == ETIMEDOUT) {
        return false;
    }
    must(result);
    return true;
}

void wr_cond_signal(wr_cond *cond)
{
    must(pthread_cond_signal(&cond->os));
}

void wr_cond_broadcast(wr_cond *cond)
{
    must(pthread_cond_broadcast(&cond->os));
}

static void *run_thread(void *arg)
{
    thread_start start = *(thread_start *)arg;
    free(arg);
    /* The name is a help for debuggers; the thread works as well without. */
    (void)pthread_setname_np(pthread_self(), start.name);
    start.run(start.arg);
    return NULL;
}

/* All signals but those that report a fault of the thread itself. */
static void mask_of_new_threads(sigset_t *mask)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(mask, faults[i]);
    }
}

/* A thread inherits its creator's mask: setting it before leaves no moment with signals open. */
static int create_masked(pthread_t *thread, thread_start *start)
{
    sigset_t mask;
    sigset_t before;
    mask_of_new_threads(&mask);
    must(pthread_sigmask(SIG_BLOCK, &mask, &before));
    int result = pthread_create(thread, NULL, run_thread, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    return result;
}

weir_err wr_thread_start(wr_thread *thread, const char *name, void (*run)(void *arg), void *arg)
{
    thread_start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return WEIR_ERR_MEMORY;
    }
    start->run = run;
    start->arg = arg;
    (void)snprintf(start->name, sizeof(start->name), "%s", name);
    if (create_masked(&thread->os, start) != 0) {
        free(start);
        return WEIR_ERR_MEMORY;
    }
    thread->started = true;
    return WEIR_OK;
}

void wr_thread_join(wr_thread *thread)
{
    if (!thread->started) {
        return;
    }
    must(pthread_join(thread->os, NULL));
    thread->started = false;
}

void wr_thread_detach(wr_thread *thread)
{
    if (!thread->started) {
        return;
    }
    must(pthread_detach(thread->os));
    thread->started = false;
}

void wr_thread_stand_back(void)
{
    /* Linux: of this thread alone. Not SCHED_IDLE: who waits for its end would wait too long. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER_ASIDE);
}

unsigned wr_thread_cores(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
        int count = CPU_COUNT(&allowed);
        return count > 0 ? (unsigned)count : 1;
    }
    /* A machine with more cores than a cpu_set_t holds. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

void wr_once_run(wr_once *once, void (*run)(void))
{
    must(pthread_once(&once->os, run));
}

typedef struct exit_call {
    void (*run)(void *arg);
    void *arg;
} exit_call;

typedef struct exit_calls {
    exit_call calls[WR_THREAD_EXIT_CALLS_MAX];
    unsigned count;
} exit_calls;

static _Thread_local exit_calls own_exit_calls;
static pthread_key_t exit_key;
static wr_once exit_key_made = WR_ONCE_INIT;

/* A call may add others. */
static void run_exit_calls(void *arg)
{
    exit_calls *own = arg;
    while (own->count > 0) {
        exit_call call = own->calls[--own->count];
        call.run(call.arg);
    }
}

static void make_exit_key(void)
{
    must(pthread_key_create(&exit_key, run_exit_calls));
}

void wr_thread_on_exit(void (*run)(void *arg), void *arg)
{
    exit_calls *own = &own_exit_calls;
    unsigned at = 0;
    while (at < own->count && own->calls[at].run != run) {
        at++;
    }
    if (at == WR_THREAD_EXIT_CALLS_MAX) {
        abort();
    }
    own->calls[at] = (exit_call){run, arg};
    own->count += at == own->count;
    wr_once_run(&exit_key_made, make_exit_key);
    must(pthread_setspecific(exit_key, own));
}

static bool can_fence_others;
static wr_once fence_made = WR_ONCE_INIT;

#ifdef __linux__
static int membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

static void make_fence(void)
{
    can_fence_others = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void wr_thread_fence_others(void)
{
    must(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)); /* it was registered */
}
#else
static void make_fence(void)
{
    can_fence_others = false;
}

void wr_thread_fence_others(void)
{
    abort();
}
#endif

bool wr_thread_can_fence_others(void)
{
    wr_once_run(&fence_made, make_fence);
    return can_fence_others;
}

void wr_thread_yield(void)
{
    (void)sched_yield(); /* cannot fail */
}

void wr_thread_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#else
    (void)sched_yield();
#endif
}
