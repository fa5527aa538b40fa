/* SPDX-License-Identifier: MIT
 *
 * Random bytes of the kernel.
 */
#define _GNU_SOURCE
#include "platform/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void wr_random_fill(void *data, size_t size)
{
    unsigned char *at = data;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR) {
            abort(); /* a kernel without it cannot run the rest either */
        }
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}
