/* SPDX-License-Identifier: MIT
 *
 * A bare stream on which each message is a block of its own, as messages are that somebody made and
 * somebody else passes on; a gathered write takes as many as one call may.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "unix_stream.h"

#define PARTS_MAX 1024 /* the system's limit for one call, IOV_MAX */
#define BYTES_MAX 65536u

static struct iovec parts[PARTS_MAX];
static void *blocks[PARTS_MAX]; /* each begins with the frame's size */
static int count;
static size_t bytes;

bool peer_flush(void)
{
    bool sent = count == 0 || unix_write_all(parts, count);
    for (int i = 0; i < count; i++) {
        free(blocks[i]);
    }
    count = 0;
    bytes = 0;
    return sent;
}

void *peer_reserve(size_t size)
{
    unsigned char *block = malloc(UNIX_HEADER_SIZE + size);
    if (block == NULL) {
        return NULL;
    }
    uint64_t stated = size;
    memcpy(block, &stated, sizeof(stated));
    blocks[count] = block;
    parts[count] = (struct iovec){block, UNIX_HEADER_SIZE + size};
    return block + UNIX_HEADER_SIZE;
}

bool peer_commit(void)
{
    bytes += parts[count++].iov_len;
    return (count < PARTS_MAX && bytes < BYTES_MAX) || peer_flush();
}

bool peer_return(void)
{
    size_t size;
    const void *received = unix_received(&size);
    void *to = peer_reserve(size);
    if (to == NULL) {
        return false;
    }
    memcpy(to, received, size);
    return peer_commit();
}
