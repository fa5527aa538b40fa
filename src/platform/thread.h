/* SPDX-License-Identifier: MIT
 *
 * Threads, mutexes, conditions. os_types.h comes from the folder of the operating system.
 *
 * None of these can fail but starting a thread: misuse is a bug and stops the program.
 */
#ifndef WR_PLATFORM_THREAD_H
#define WR_PLATFORM_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "os_types.h"

typedef struct wr_mutex {
    wr_os_mutex os;
} wr_mutex;

typedef struct wr_cond {
    wr_os_cond os;
} wr_cond;

typedef struct wr_thread {
    wr_os_thread os;
    bool started;
} wr_thread;

WR_SHARED void wr_mutex_init(wr_mutex *mutex);
WR_SHARED void wr_mutex_deinit(wr_mutex *mutex);
WR_SHARED void wr_mutex_lock(wr_mutex *mutex);
WR_SHARED void wr_mutex_unlock(wr_mutex *mutex);

WR_SHARED void wr_cond_init(wr_cond *cond);
WR_SHARED void wr_cond_deinit(wr_cond *cond);
WR_SHARED void wr_cond_wait(wr_cond *cond, wr_mutex *mutex);
/* `deadline_ns`: a time of wr_clock_ns. False: the deadline passed. */
WR_SHARED bool wr_cond_wait_until(wr_cond *cond, wr_mutex *mutex, uint64_t deadline_ns);
WR_SHARED void wr_cond_signal(wr_cond *cond);
WR_SHARED void wr_cond_broadcast(wr_cond *cond);

/* Start `run(arg)`. The thread takes no signals: they go to the program's own threads. `name` is
 * shown by debuggers, 15 bytes of it. Errors: MEMORY. */
WR_SHARED WEIR_MUST_CHECK weir_err wr_thread_start(wr_thread *thread, const char *name,
                                                   void (*run)(void *arg), void *arg);
/* Wait for its end. Harmless when never started. */
WR_SHARED void wr_thread_join(wr_thread *thread);
/* Let it run on by itself, to its end or the program's. */
WR_SHARED void wr_thread_detach(wr_thread *thread);
/* From here on this thread gets a tenth of the processor time that others get that want it, where
 * the system has that. It should not hold what those wait for. */
WR_SHARED void wr_thread_stand_back(void);
/* Call `run(arg)` on this thread when it ends; not when the program ends. A thread has one such
 * call for each `run`, where a second one replaces the first, and at most WR_THREAD_EXIT_CALLS_MAX;
 * the last one comes first. */
#define WR_THREAD_EXIT_CALLS_MAX 4u
WR_SHARED void wr_thread_on_exit(void (*run)(void *arg), void *arg);

/* Run something once in the life of the program, whoever comes first; the others wait for it. */
typedef struct wr_once {
    wr_os_once os;
} wr_once;
#define WR_ONCE_INIT                                                                               \
    {                                                                                              \
        WR_OS_ONCE_INIT                                                                            \
    }
WR_SHARED void wr_once_run(wr_once *once, void (*run)(void));

/* A thread-local variable that is looked at for every message: where the system allows it, that is
 * one instruction and no call. It has little room for them, so only pointers and flags. */
#define WR_THREAD_LOCAL_SMALL WR_OS_THREAD_LOCAL_SMALL

/* Let another thread that waits for this core have it, whatever it then does with it. */
WR_SHARED void wr_thread_yield(void);
/* Let a moment pass: between two looks at something that another thread is about to change. */
WR_SHARED void wr_thread_relax(void);
/*
 * A fence in every other thread of the process at once, as if each had run a full one somewhere
 * between the call and the return: for two sides that write and then look at what the other wrote,
 * where one comes by a million times a second and the other hardly ever. The first then needs only
 * to keep the compiler from changing the order (atomic_signal_fence). Costs microseconds.
 * Only where wr_thread_can_fence_others says true.
 */
WR_SHARED bool wr_thread_can_fence_others(void);
WR_SHARED void wr_thread_fence_others(void);

/* How many threads can run at once on this machine, for this process; at least 1. */
WR_SHARED unsigned wr_thread_cores(void);

#endif
