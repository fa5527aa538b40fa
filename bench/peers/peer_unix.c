/* SPDX-License-Identifier: MIT
 *
 * A bare stream that copies small messages into one buffer, which leaves when it is full; large
 * ones leave by one gathered write. This is the most that one socket carries.
 */
#include <stdint.h>
#include <string.h>

#include "peer.h"
#include "unix_stream.h"

#define TX_SIZE 65536u

static unsigned char tx[TX_SIZE];
static size_t tx_used;
static unsigned char large_out[UNIX_LARGE_MAX];
static uint64_t reserved;

bool peer_flush(void)
{
    struct iovec part = {tx, tx_used};
    bool sent = tx_used == 0 || unix_write_all(&part, 1);
    tx_used = 0;
    return sent;
}

void *peer_reserve(size_t size)
{
    reserved = size;
    if (size > UNIX_SMALL_MAX) {
        return large_out;
    }
    if (size + UNIX_HEADER_SIZE > TX_SIZE - tx_used && !peer_flush()) {
        return NULL;
    }
    return tx + tx_used + UNIX_HEADER_SIZE;
}

static bool send_large(const void *data)
{
    struct iovec parts[] = {{tx, tx_used}, {&reserved, UNIX_HEADER_SIZE}, {(void *)data, reserved}};
    tx_used = 0;
    return unix_write_all(parts, 3);
}

bool peer_commit(void)
{
    if (reserved > UNIX_SMALL_MAX) {
        return send_large(large_out);
    }
    memcpy(tx + tx_used, &reserved, UNIX_HEADER_SIZE);
    tx_used += UNIX_HEADER_SIZE + reserved;
    return true;
}

bool peer_return(void)
{
    size_t size;
    const void *received = unix_received(&size);
    void *to = peer_reserve(size);
    if (size > UNIX_SMALL_MAX) {
        return send_large(received);
    }
    if (to == NULL) {
        return false;
    }
    memcpy(to, received, size);
    return peer_commit();
}
