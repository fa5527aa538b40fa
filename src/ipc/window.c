/* SPDX-License-Identifier: MIT
 *
 * The window (contract in window.h): a ring that grows with what it holds.
 */
#include "ipc/window.h"

#include <assert.h>
#include <stdlib.h>

#define RING_START 64u
/* More than one, so that what is acknowledged does not pile up; few, so that no put takes long. */
#define RELEASED_PER_PUT 3u

static wr_window_place *place(const wr_window *window, uint64_t number)
{
    return &window->ring[number & (window->capacity - 1)];
}

static uint64_t image_size(const weir_message *msg)
{
    size_t size = 0;
    (void)weir_message_image(msg, &size);
    return size;
}

static weir_err grow(wr_window *window)
{
    wr_window grown = {.capacity = window->capacity == 0 ? RING_START : 2 * window->capacity};
    grown.ring = malloc(grown.capacity * sizeof(wr_window_place));
    if (grown.ring == NULL) {
        return WEIR_ERR_MEMORY;
    }
    for (uint64_t n = window->kept; n < window->end; n++) {
        *place(&grown, n) = *place(window, n);
    }
    free(window->ring);
    window->ring = grown.ring;
    window->capacity = grown.capacity;
    return WEIR_OK;
}

/* Release the oldest that counts; give up what need not be remembered any more. */
static void release_oldest(wr_window *window)
{
    uint64_t size = place(window, window->base++)->size;
    window->bytes -= size;
    window->bytes_kept += size;
    while (window->base - window->kept > window->keep_last ||
           window->bytes_kept > WR_WINDOW_KEPT_BYTES) {
        const wr_window_place *oldest = place(window, window->kept++);
        window->bytes_kept -= oldest->size;
        weir_message_unref(oldest->msg);
    }
}

static void release_up_to(wr_window *window, unsigned count)
{
    while (count > 0 && window->base < window->acknowledged) {
        release_oldest(window);
        count--;
    }
}

void wr_window_release(wr_window *window)
{
    while (window->base < window->acknowledged) {
        release_oldest(window);
    }
}

/* Release a little, and have a place for one more. */
static weir_err make_room(wr_window *window)
{
    release_up_to(window, RELEASED_PER_PUT);
    return window->end - window->kept == window->capacity ? grow(window) : WEIR_OK;
}

/* What the peer says in its shared memory. A number that cannot be is none. */
static void look(wr_window *window, const wr_channel *channel)
{
    uint64_t count = window->keep ? wr_channel_peer_processed(channel) : 0;
    if (count > window->acknowledged && count <= window->next) {
        window->acknowledged = count;
    }
    if (wr_window_full(window)) {
        wr_window_release(window);
    }
}

static void set_waits(wr_window *window, wr_channel *channel, bool waits)
{
    if (window->waits != waits) {
        window->waits = waits;
        wr_channel_set_waits(channel, waits);
    }
}

bool wr_window_blocked(wr_window *window, wr_channel *channel)
{
    if (wr_window_full(window)) {
        look(window, channel);
    }
    if (wr_window_full(window)) {
        set_waits(window, channel, true);
        look(window, channel);
    }
    if (!wr_window_full(window)) {
        set_waits(window, channel, false);
        return false;
    }
    return true;
}

size_t wr_window_send(wr_window *window, wr_channel *channel, weir_message **msgs, size_t count,
                      uint64_t limit, weir_err *err)
{
    size_t taken = 0;
    *err = WEIR_OK;
    assert(window->next == window->end);
    look(window, channel);
    while (taken < count && image_size(msgs[taken]) <= limit &&
           !wr_window_blocked(window, channel)) {
        weir_message *msg = msgs[taken];
        *err = make_room(window);
        if (*err == WEIR_OK) {
            *err = wr_channel_send(channel, msg);
        }
        if (*err != WEIR_OK) {
            break;
        }
        uint64_t size = image_size(msg);
        *place(window, window->end++) = (wr_window_place){msg, size};
        window->bytes_waiting += size;
        wr_window_pass(window);
        taken++;
    }
    return taken;
}

weir_err wr_window_put(wr_window *window, weir_message *msg)
{
    weir_err err = make_room(window);
    if (err != WEIR_OK) {
        return err;
    }
    uint64_t size = image_size(msg);
    *place(window, window->end++) = (wr_window_place){weir_message_ref(msg), size};
    window->bytes_waiting += size;
    return WEIR_OK;
}

weir_message *wr_window_peek(const wr_window *window)
{
    return window->next < window->end ? place(window, window->next)->msg : NULL;
}

/* The next message needs no sending any more, or was just sent. */
static void advance(wr_window *window)
{
    uint64_t size = place(window, window->next++)->size;
    window->bytes_waiting -= size;
    window->bytes += size;
}

void wr_window_pass(wr_window *window)
{
    advance(window);
    window->sent = window->next > window->sent ? window->next : window->sent;
    if (!window->keep) {
        window->acknowledged = window->next;
        wr_window_release(window);
    }
}

void wr_window_drop(wr_window *window)
{
    const wr_window_place *dropped = place(window, window->next);
    window->bytes_waiting -= dropped->size;
    weir_message_unref(dropped->msg);
    for (uint64_t n = window->next + 1; n < window->end; n++) {
        *place(window, n - 1) = *place(window, n);
    }
    window->end--;
    window->sent -= window->sent > window->next;
}

bool wr_window_is_part(uint64_t messages, uint64_t bytes, unsigned part, bool shared)
{
    bool few = shared && messages * part < WR_WINDOW_FEW;
    return messages * part >= WR_WINDOW_MESSAGES ||
           bytes * part >= (few ? WR_WINDOW_BYTES_SHARED : WR_WINDOW_BYTES);
}

bool wr_window_full(const wr_window *window)
{
    return wr_window_is_part(window->next - window->acknowledged, window->bytes, 1, window->shared);
}

uint64_t wr_window_waiting(const wr_window *window)
{
    return window->end - window->next;
}

weir_err wr_window_acknowledge(wr_window *window, uint64_t count)
{
    if (count > window->sent) {
        return WEIR_ERR_PROTOCOL;
    }
    while (window->next < count) {
        advance(window); /* sent on an earlier connection */
    }
    if (count > window->acknowledged) {
        window->acknowledged = count;
    }
    return WEIR_OK;
}

void wr_window_rewind(wr_window *window, bool keep)
{
    wr_window_release(window);
    window->next = window->base;
    window->bytes_waiting += window->bytes;
    window->bytes = 0;
    window->keep = keep;
    window->waits = false;
}

size_t wr_window_given_count(const wr_window *window)
{
    return (size_t)(window->next - window->kept);
}

void wr_window_get_given(const wr_window *window, wr_window_given *out)
{
    for (uint64_t n = window->kept; n < window->next; n++) {
        *out++ = (wr_window_given){
            .msg = weir_message_ref(place(window, n)->msg),
            .number = n,
            .acknowledged = n < window->acknowledged,
        };
    }
}

void wr_window_deinit(wr_window *window)
{
    for (uint64_t n = window->kept; n < window->end; n++) {
        weir_message_unref(place(window, n)->msg);
    }
    free(window->ring);
    *window = (wr_window){.ring = NULL};
}
