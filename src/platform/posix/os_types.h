/* SPDX-License-Identifier: MIT
 *
 * The operating system's types behind platform/thread.h.
 */
#ifndef WR_OS_TYPES_H
#define WR_OS_TYPES_H

#include <pthread.h>

typedef pthread_mutex_t wr_os_mutex;
typedef pthread_cond_t wr_os_cond;
typedef pthread_t wr_os_thread;
typedef pthread_once_t wr_os_once;
#define WR_OS_ONCE_INIT PTHREAD_ONCE_INIT

/* glibc keeps some hundred bytes for such variables of libraries that a program loads late. */
#ifdef __GLIBC__
#define WR_OS_THREAD_LOCAL_SMALL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define WR_OS_THREAD_LOCAL_SMALL _Thread_local
#endif

#endif
