/* SPDX-License-Identifier: MIT
 *
 * The receiving half of an SP stream: one buffer that is read into as far as it goes and from which
 * small frames are shown in place; large ones are read straight into memory of the caller's.
 * One thread at a time.
 *
 * Invariant: while a placed frame is incomplete the buffer is empty.
 */
#ifndef WR_IPC_SP_RX_H
#define WR_IPC_SP_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/sp_stream.h"

typedef struct wr_sp_rx {
    wr_sp_options options;
    uint8_t
        *buffer; /* options.rx_buffer_size bytes; buffer[start..end) is read and not yet shown */
    size_t start;
    size_t end;
    bool greeted;
    uint8_t *placed; /* the frame that is being read; NULL: none */
    size_t placed_size;
    size_t placed_got;
    void *own; /* the last large frame where options.place is NULL */
} wr_sp_rx;

/* The options are copied. Errors: INVALID (a buffer too small for a frame), MEMORY. */
WEIR_MUST_CHECK weir_err wr_sp_rx_init(wr_sp_rx *rx, const wr_sp_options *options);
/* A zeroed struct is allowed. */
void wr_sp_rx_deinit(wr_sp_rx *rx);
/* As wr_sp_receive. `rx->greeted` may become true also where this fails. */
WEIR_MUST_CHECK weir_err wr_sp_rx_receive(wr_sp_rx *rx, wr_stream *stream, wr_sp_frame *out,
                                          wr_error *error);

#endif
