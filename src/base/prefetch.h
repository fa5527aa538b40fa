/* SPDX-License-Identifier: MIT
 *
 * A hint that memory will be read soon, where the compiler has one.
 */
#ifndef WR_BASE_PREFETCH_H
#define WR_BASE_PREFETCH_H

#if defined(__GNUC__) || defined(__clang__)
#define wr_prefetch(address) __builtin_prefetch(address)
#else
#define wr_prefetch(address) ((void)(address))
#endif

#endif
