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

#endif
