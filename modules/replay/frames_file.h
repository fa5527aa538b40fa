/* SPDX-License-Identifier: MIT
 *
 * A file of messages: a row of frames as on the message channel, 01, u64 length, image.
 */
#ifndef REPLAY_FRAMES_FILE_H
#define REPLAY_FRAMES_FILE_H

#include <stddef.h>

#include "weir/message.h"

/* The largest file in bytes: all of it is held in memory. */
#define FRAMES_FILE_MAX (1024L * 1024L * 1024L)
#define FRAMES_WHY_MAX 256u

typedef struct frames {
    weir_message **messages; /* one reference each */
    size_t count;
} frames;

/* Read and check the whole file. On failure `why` says what is wrong and at which byte of the file,
 * and `out` holds nothing. Errors: IO, NOT_FOUND (it cannot be opened), PROTOCOL (it is no such
 * file, or cut), TOO_LARGE, MEMORY. */
weir_err frames_read(const char *path, frames *out, char why[FRAMES_WHY_MAX]);
/* Harmless on a zeroed struct. */
void frames_free(frames *held);

#endif
