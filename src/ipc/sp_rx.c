/* SPDX-License-Identifier: MIT
 *
 * The receiving half of an SP stream. A small frame costs a look at nine bytes; only the incomplete
 * rest at the buffer's end is ever moved.
 */
#include "ipc/sp_rx.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/sp_greeting.h"

/* A frame up to WR_SP_COPY_MAX must find this much room behind its first byte. */
#define ROOM_MIN (WR_SP_HEADER_SIZE + WR_SP_COPY_MAX)

/* What next_in_buffer found. */
typedef enum found { FOUND_NOTHING, FOUND_FRAME, FOUND_LARGE } found;

weir_err wr_sp_rx_init(wr_sp_rx *rx, const wr_sp_options *options)
{
    rx->options = *options;
    if (rx->options.rx_buffer_size == 0) {
        rx->options.rx_buffer_size = WR_SP_RX_BUFFER_SIZE;
    }
    if (rx->options.rx_buffer_size < 2 * (size_t)WR_SP_COPY_MAX) {
        return WEIR_ERR_INVALID;
    }
    rx->buffer = malloc(rx->options.rx_buffer_size);
    return rx->buffer == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void wr_sp_rx_deinit(wr_sp_rx *rx)
{
    free(rx->buffer);
    free(rx->own);
    rx->buffer = NULL;
    rx->own = NULL;
}

/* WOULD_BLOCK: not here yet. */
static weir_err take_greeting(wr_sp_rx *rx, wr_error *error)
{
    if (rx->end - rx->start < WR_SP_GREETING_SIZE) {
        return WEIR_ERR_WOULD_BLOCK;
    }
    const uint8_t *got = rx->buffer + rx->start;
    if (memcmp(got, wr_sp_greeting, WR_SP_GREETING_SIZE) != 0) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "the peer's greeting is %02x %02x %02x %02x %02x %02x %02x %02x, not "
                            "that of SP/ipc PAIR version 0",
                            got[0], got[1], got[2], got[3], got[4], got[5], got[6], got[7]);
    }
    rx->start += WR_SP_GREETING_SIZE;
    rx->greeted = true;
    return WEIR_OK;
}

static weir_err check_frame_header(const wr_sp_rx *rx, const uint8_t *header, uint64_t *size,
                                   wr_error *error)
{
    if (header[0] != WR_SP_FRAME_TYPE) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "a frame begins with %02x, expected %02x",
                            header[0], WR_SP_FRAME_TYPE);
    }
    *size = wr_get_u64(header + 1);
    if (*size > rx->options.frame_limit || *size > SIZE_MAX - WR_SP_HEADER_SIZE) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE,
                            "a frame of %" PRIu64 " bytes, over the limit of %" PRIu64, *size,
                            rx->options.frame_limit);
    }
    return WEIR_OK;
}

/* Look at the buffer's first frame: show it when it is whole. `*size` is set for FOUND_LARGE. */
static weir_err next_in_buffer(wr_sp_rx *rx, wr_sp_frame *out, found *what, size_t *size,
                               wr_error *error)
{
    *what = FOUND_NOTHING;
    size_t there = rx->end - rx->start;
    if (there < WR_SP_HEADER_SIZE) {
        return WEIR_OK;
    }
    uint8_t *header = rx->buffer + rx->start;
    uint64_t stated = 0;
    weir_err err = check_frame_header(rx, header, &stated, error);
    if (err != WEIR_OK) {
        return err;
    }
    *size = (size_t)stated;
    if (*size <= there - WR_SP_HEADER_SIZE) {
        *out = (wr_sp_frame){header + WR_SP_HEADER_SIZE, *size, false};
        rx->start += WR_SP_HEADER_SIZE + *size;
        *what = FOUND_FRAME;
    } else if (*size > WR_SP_COPY_MAX) {
        *what = FOUND_LARGE;
    }
    return WEIR_OK;
}

static void *get_place(wr_sp_rx *rx, size_t size)
{
    if (rx->options.place != NULL) {
        return rx->options.place(rx->options.user, size);
    }
    rx->own = malloc(size);
    return rx->own;
}

/* The large frame at the buffer's start moves to a place of its own. */
static weir_err begin_placed(wr_sp_rx *rx, size_t size, wr_error *error)
{
    uint8_t *place = get_place(rx, size);
    if (place == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a frame of %zu bytes", size);
    }
    size_t got = rx->end - rx->start - WR_SP_HEADER_SIZE;
    memcpy(place, rx->buffer + rx->start + WR_SP_HEADER_SIZE, got);
    rx->placed = place;
    rx->placed_size = size;
    rx->placed_got = got;
    rx->start = 0;
    rx->end = 0;
    return WEIR_OK;
}

/* The placed frame is whole: show it. */
static void end_placed(wr_sp_rx *rx, wr_sp_frame *out)
{
    *out = (wr_sp_frame){rx->placed, rx->placed_size, rx->options.place != NULL};
    rx->placed = NULL;
}

static weir_err fill_placed(wr_sp_rx *rx, wr_stream *stream)
{
    size_t rest = rx->placed_size - rx->placed_got;
    size_t got = 0;
    weir_err err = wr_stream_read2(stream, rx->placed + rx->placed_got, rest, rx->buffer,
                                   rx->options.rx_buffer_size, &got);
    if (err != WEIR_OK) {
        return err;
    }
    rx->placed_got += got < rest ? got : rest;
    rx->end = got > rest ? got - rest : 0;
    return WEIR_OK;
}

static weir_err fill_buffer(wr_sp_rx *rx, wr_stream *stream)
{
    if (rx->start == rx->end) {
        rx->start = 0;
        rx->end = 0;
    } else if (rx->options.rx_buffer_size - rx->start < ROOM_MIN) {
        memmove(rx->buffer, rx->buffer + rx->start, rx->end - rx->start);
        rx->end -= rx->start;
        rx->start = 0;
    }
    size_t got = 0;
    weir_err err =
        wr_stream_read(stream, rx->buffer + rx->end, rx->options.rx_buffer_size - rx->end, &got);
    rx->end += err == WEIR_OK ? got : 0;
    return err;
}

static weir_err fill(wr_sp_rx *rx, wr_stream *stream, wr_error *error)
{
    weir_err err = rx->placed != NULL ? fill_placed(rx, stream) : fill_buffer(rx, stream);
    if (err == WEIR_ERR_CLOSED) {
        bool cut = rx->placed != NULL || rx->start != rx->end;
        return wr_error_set(error, err, "the peer closed the connection%s",
                            cut ? " in the middle of a frame" : "");
    }
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        return wr_error_set(error, err, "reading failed: %s", weir_err_text(err));
    }
    return err;
}

/* What can be done without reading. WOULD_BLOCK: more bytes are needed. */
static weir_err advance(wr_sp_rx *rx, wr_sp_frame *out, wr_error *error)
{
    if (rx->placed != NULL) {
        if (rx->placed_got < rx->placed_size) {
            return WEIR_ERR_WOULD_BLOCK;
        }
        end_placed(rx, out);
        return WEIR_OK;
    }
    if (!rx->greeted) {
        weir_err err = take_greeting(rx, error);
        if (err != WEIR_OK) {
            return err;
        }
    }
    found what = FOUND_NOTHING;
    size_t size = 0;
    weir_err err = next_in_buffer(rx, out, &what, &size, error);
    if (err != WEIR_OK || what == FOUND_FRAME) {
        return err;
    }
    if (what == FOUND_LARGE) {
        err = begin_placed(rx, size, error);
    }
    return err == WEIR_OK ? WEIR_ERR_WOULD_BLOCK : err;
}

weir_err wr_sp_rx_receive(wr_sp_rx *rx, wr_stream *stream, wr_sp_frame *out, wr_error *error)
{
    if (rx->own != NULL && rx->placed == NULL) {
        free(rx->own);
        rx->own = NULL;
    }
    weir_err err = advance(rx, out, error);
    while (err == WEIR_ERR_WOULD_BLOCK) {
        err = fill(rx, stream, error);
        if (err != WEIR_OK) {
            return err;
        }
        err = advance(rx, out, error);
    }
    return err;
}
