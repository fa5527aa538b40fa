/* SPDX-License-Identifier: MIT
 *
 * Random bytes, good enough for ids that nobody else has.
 */
#ifndef WR_PLATFORM_RANDOM_H
#define WR_PLATFORM_RANDOM_H

#include <stddef.h>

#include "base/api.h"

/* Never fails and never blocks for long. Any thread. */
WR_SHARED void wr_random_fill(void *data, size_t size);

#endif
