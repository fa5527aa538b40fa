/* SPDX-License-Identifier: MIT
 *
 * An SP stream is its two halves and what they share: the connection, and whether the peer has
 * greeted.
 */
#include "ipc/sp_stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_greeting.h"
#include "ipc/sp_rx.h"
#include "ipc/sp_tx.h"

const uint8_t wr_sp_greeting[WR_SP_GREETING_SIZE] = {0x00, 0x53, 0x50, 0x00,
                                                     0x00, 0x10, 0x00, 0x00};

struct wr_sp_stream {
    wr_stream *stream;
    /* Set by the receiving half, read by the sending one; it guards nothing but itself. */
    atomic_bool greeted;
    wr_sp_tx tx;
    wr_sp_rx rx;
};

/* At once, while the halves are still one: eight bytes always fit into a fresh connection. */
static weir_err greet(wr_stream *stream)
{
    wr_slice greeting = {wr_sp_greeting, WR_SP_GREETING_SIZE};
    size_t sent = 0;
    weir_err err = wr_stream_write(stream, &greeting, 1, &sent);
    if (err == WEIR_ERR_WOULD_BLOCK || (err == WEIR_OK && sent != WR_SP_GREETING_SIZE)) {
        return WEIR_ERR_IO;
    }
    return err;
}

weir_err wr_sp_create(wr_stream *stream, const wr_sp_options *options, wr_sp_stream **out)
{
    wr_sp_stream *sp = calloc(1, sizeof(*sp));
    if (sp == NULL) {
        wr_stream_close(stream);
        return WEIR_ERR_MEMORY;
    }
    sp->stream = stream;
    atomic_init(&sp->greeted, false);
    weir_err err = wr_sp_tx_init(&sp->tx);
    if (err == WEIR_OK) {
        err = wr_sp_rx_init(&sp->rx, options);
    }
    if (err == WEIR_OK) {
        err = greet(stream);
    }
    if (err != WEIR_OK) {
        wr_sp_destroy(sp);
        return err;
    }
    *out = sp;
    return WEIR_OK;
}

void wr_sp_destroy(wr_sp_stream *sp)
{
    if (sp == NULL) {
        return;
    }
    wr_sp_tx_deinit(&sp->tx);
    wr_sp_rx_deinit(&sp->rx);
    wr_stream_close(sp->stream);
    free(sp);
}

/* Before the greeting nothing is written: WOULD_BLOCK. */
static weir_err write_queued(wr_sp_stream *sp)
{
    if (sp->tx.count > 0 && !wr_sp_greeted(sp)) {
        return WEIR_ERR_WOULD_BLOCK;
    }
    return wr_sp_tx_write(&sp->tx, sp->stream);
}

static weir_err make_room(wr_sp_stream *sp, size_t size)
{
    weir_err err = write_queued(sp);
    if (err == WEIR_ERR_WOULD_BLOCK && wr_sp_tx_fits(&sp->tx, size)) {
        return WEIR_OK;
    }
    return err;
}

/* Write when it is much. What is queued stays so whatever comes of it; the next call tells of a
 * failure. */
static inline void write_much(wr_sp_stream *sp)
{
    if (sp->tx.unsent >= WR_SP_TX_BUFFER_SIZE && !sp->tx.blocked) {
        weir_err err = write_queued(sp);
        (void)err;
    }
}

weir_err wr_sp_send(wr_sp_stream *sp, const void *data, size_t size, void (*release)(void *owner),
                    void *owner)
{
    wr_sp_tx *tx = &sp->tx;
    if (tx->failed != WEIR_OK) {
        return tx->failed;
    }
    if (!wr_sp_tx_fits(tx, size)) {
        weir_err err = make_room(sp, size);
        if (err != WEIR_OK) {
            return err;
        }
    }
    wr_sp_tx_put(tx, data, size, release, owner);
    write_much(sp);
    return WEIR_OK;
}

void wr_sp_write_header(uint8_t *at, size_t size)
{
    at[0] = WR_SP_FRAME_TYPE;
    wr_put_u64(at + 1, size);
}

/* No more waits for a socket that is full than if it were copied. */
static bool may_queue_frame(const wr_sp_tx *tx)
{
    return tx->unsent < WR_SP_TX_BUFFER_SIZE && tx->count < WR_SP_TX_SEGMENTS;
}

weir_err wr_sp_send_frame(wr_sp_stream *sp, const void *frame, size_t size)
{
    wr_sp_tx *tx = &sp->tx;
    if (tx->failed != WEIR_OK) {
        return tx->failed;
    }
    if (!may_queue_frame(tx)) {
        weir_err err = write_queued(sp);
        if (err != WEIR_OK && !(err == WEIR_ERR_WOULD_BLOCK && may_queue_frame(tx))) {
            return err;
        }
    }
    wr_sp_tx_put_frame(tx, frame, size);
    write_much(sp);
    return WEIR_OK;
}

weir_err wr_sp_flush(wr_sp_stream *sp)
{
    return write_queued(sp);
}

size_t wr_sp_unsent(const wr_sp_stream *sp)
{
    return sp->tx.unsent;
}

uint64_t wr_sp_written(const wr_sp_stream *sp)
{
    return sp->tx.written;
}

weir_err wr_sp_receive(wr_sp_stream *sp, wr_sp_frame *out, wr_error *error)
{
    bool before = sp->rx.greeted;
    weir_err err = wr_sp_rx_receive(&sp->rx, sp->stream, out, error);
    if (sp->rx.greeted && !before) {
        atomic_store_explicit(&sp->greeted, true, memory_order_release);
    }
    return err;
}

bool wr_sp_greeted(const wr_sp_stream *sp)
{
    return atomic_load_explicit(&sp->greeted, memory_order_acquire);
}

wr_stream *wr_sp_inner(wr_sp_stream *sp)
{
    return sp->stream;
}
