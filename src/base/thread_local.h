/* SPDX-License-Identifier: MIT
 *
 * A thread-local variable that is looked at for every message: where the C library keeps room for
 * such variables of libraries that a program loads late (glibc does, a few hundred bytes for all of
 * them), reading it is one instruction, else a call. So only for pointers and flags.
 */
#ifndef WR_BASE_THREAD_LOCAL_H
#define WR_BASE_THREAD_LOCAL_H

#include <stdlib.h> /* says whether this is glibc */

#if defined(__GLIBC__) && (defined(__GNUC__) || defined(__clang__))
#define WR_THREAD_LOCAL_SMALL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define WR_THREAD_LOCAL_SMALL _Thread_local
#endif

#endif
