/* SPDX-License-Identifier: MIT
 *
 * The window (contract in window.h): a ring that grows with what it holds.
 */
#include "ipc/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "message/message.h"

#define RING_START 64u
/* More than one, so that what is acknowledged does not pile up; few, so that no put takes long. */
#define RELEASED_PER_PUT 3u
/* A ring that could hold so many times as much may be made smaller. */
#define ROOMY 4u

static wr_window_place *place(const wr_window *window, uint64_t number)
{
    return &window->ring[number & (window->capacity - 1)];
}

/* Move all to a ring of this capacity. */
static weir_err resize(wr_window *window, size_t capacity)
{
    wr_window resized = {.capacity = capacity};
    resized.ring = malloc(capacity * sizeof(wr_window_place));
    if (resized.ring == NULL) {
        return WEIR_ERR_MEMORY;
    }
    for (uint64_t n = window->kept; n < window->end; n++) {
        *place(&resized, n) = *place(window, n);
    }
    free(window->ring);
    window->ring = resized.ring;
    window->capacity = capacity;
    return WEIR_OK;
}

static weir_err grow(wr_window *window)
{
    return resize(window, window->capacity == 0 ? RING_START : 2 * window->capacity);
}

static void forget(wr_window *window, const wr_window_place *of)
{
    if (of->copied) {
        wr_byte_ring_release(&window->copies, of->copy_at + WR_SP_HEADER_SIZE + of->size);
    } else {
        weir_message_unref(of->msg);
    }
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
        forget(window, oldest);
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

/* A number that cannot be is none. */
void wr_window_look(wr_window *window, const wr_channel *channel)
{
    uint64_t count = window->shared && window->keep ? wr_channel_peer_processed(channel) : 0;
    if (count > window->acknowledged && count <= window->next) {
        window->acknowledged = count;
    }
}

static void look(wr_window *window, const wr_channel *channel)
{
    wr_window_look(window, channel);
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

/* Build the frame in `copies` and send it from there. NOT_FOUND: there is no room. */
static weir_err send_copy(wr_window *window, wr_channel *channel, const weir_message *msg,
                          wr_window_place *held)
{
    size_t size = 0;
    uint64_t at = 0;
    const void *image = weir_message_image(msg, &size);
    size_t frame_size = WR_SP_HEADER_SIZE + size;
    uint8_t *frame =
        wr_byte_ring_put(&window->copies, frame_size, wr_channel_unsent(channel) == 0, &at);
    if (frame == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    wr_sp_write_header(frame, size);
    memcpy(frame + WR_SP_HEADER_SIZE, image, size);
    weir_err err = wr_channel_send_frame(channel, frame, frame_size);
    if (err != WEIR_OK) {
        wr_byte_ring_undo(&window->copies, at);
        return err;
    }
    held->copied = true;
    held->copy_at = at;
    return WEIR_OK;
}

/* Send a message, and decide how it is held: as a copy, or by a reference, which is the caller's to
 * see to. */
static weir_err send_held(wr_window *window, wr_channel *channel, weir_message *msg,
                          wr_window_place *held)
{
    weir_err err = WEIR_ERR_NOT_FOUND;
    if (window->keep && held->size <= WR_WINDOW_COPY_MAX) {
        err = send_copy(window, channel, msg, held);
    }
    if (err == WEIR_ERR_NOT_FOUND) {
        held->msg = msg;
        err = wr_channel_send(channel, msg);
    }
    return err;
}

/* All below `next` was sent. */
static void note_sent(wr_window *window)
{
    window->sent = window->next > window->sent ? window->next : window->sent;
    if (!window->keep) {
        window->acknowledged = window->next;
        wr_window_release(window);
    }
}

static weir_err give(wr_window *window, wr_channel *channel, weir_message *msg, bool own)
{
    assert(window->next == window->end);
    wr_window_place held = {.size = wr_message_size(msg)};
    weir_err err = make_room(window);
    if (err == WEIR_OK) {
        err = send_held(window, channel, msg, &held);
    }
    if (err != WEIR_OK) {
        return err;
    }
    if (held.copied && own) {
        weir_message_unref(msg);
    } else if (!held.copied && !own) {
        (void)weir_message_ref(msg);
    }
    *place(window, window->end++) = held;
    window->next = window->end;
    window->bytes += held.size;
    note_sent(window);
    return WEIR_OK;
}

weir_err wr_window_give(wr_window *window, wr_channel *channel, weir_message *msg)
{
    return give(window, channel, msg, false);
}

size_t wr_window_send(wr_window *window, wr_channel *channel, weir_message **msgs, size_t count,
                      uint64_t limit, weir_err *err)
{
    size_t taken = 0;
    *err = WEIR_OK;
    look(window, channel);
    /* Asked first: so wr_window_full, whatever ends this, counts nothing that is acknowledged. */
    while (taken < count && !wr_window_blocked(window, channel) &&
           wr_message_size(msgs[taken]) <= limit) {
        *err = give(window, channel, msgs[taken], true);
        if (*err != WEIR_OK) {
            break;
        }
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
    wr_window_place waiting = {.msg = weir_message_ref(msg), .size = wr_message_size(msg)};
    *place(window, window->end++) = waiting;
    window->bytes_waiting += waiting.size;
    return WEIR_OK;
}

static const uint8_t *frame_of(const wr_window *window, const wr_window_place *of)
{
    return wr_byte_ring_get(&window->copies, of->copy_at);
}

static const void *image_of(const wr_window *window, const wr_window_place *of)
{
    size_t size = 0;
    return of->copied ? frame_of(window, of) + WR_SP_HEADER_SIZE
                      : weir_message_image(of->msg, &size);
}

const void *wr_window_peek(const wr_window *window, size_t *size)
{
    if (window->next == window->end) {
        return NULL;
    }
    const wr_window_place *next = place(window, window->next);
    *size = next->size;
    return image_of(window, next);
}

/* The next message needs no sending any more, or was just sent. */
static void advance(wr_window *window)
{
    uint64_t size = place(window, window->next++)->size;
    window->bytes_waiting -= size;
    window->bytes += size;
}

/* What the peer said, as far as it was sent on this connection. */
static void count_acknowledged(wr_window *window)
{
    uint64_t count = window->told < window->next ? window->told : window->next;
    if (count > window->acknowledged) {
        window->acknowledged = count;
    }
}

void wr_window_pass(wr_window *window)
{
    advance(window);
    count_acknowledged(window);
    note_sent(window);
}

/* One that waits by reference. If it was sent before, copies of later ones may lie in the ring,
 * which are released in order: it stays a reference. */
static weir_err send_waiting(wr_window *window, wr_channel *channel, wr_window_place *next)
{
    if (window->next < window->sent) {
        return wr_channel_send(channel, next->msg);
    }
    wr_window_place held = {.size = next->size};
    weir_err err = send_held(window, channel, next->msg, &held);
    if (err != WEIR_OK) {
        return err;
    }
    if (held.copied) {
        weir_message_unref(next->msg);
    }
    *next = held;
    return WEIR_OK;
}

weir_err wr_window_send_next(wr_window *window, wr_channel *channel)
{
    assert(window->next < window->end);
    wr_window_place *next = place(window, window->next);
    weir_err err = next->copied ? wr_channel_send_frame(channel, frame_of(window, next),
                                                        WR_SP_HEADER_SIZE + next->size)
                                : send_waiting(window, channel, next);
    if (err == WEIR_OK) {
        wr_window_pass(window);
    }
    return err;
}

static void give_up(wr_window *window, const wr_window_place *dropped)
{
    window->bytes_waiting -= dropped->size;
    if (!dropped->copied) { /* a copy goes with its neighbours */
        weir_message_unref(dropped->msg);
    }
}

void wr_window_drop(wr_window *window)
{
    give_up(window, place(window, window->next));
    for (uint64_t n = window->next + 1; n < window->end; n++) {
        *place(window, n - 1) = *place(window, n);
    }
    window->end--;
    window->sent -= window->sent > window->next;
    window->told -= window->told > window->next;
}

uint64_t wr_window_drop_over(wr_window *window, uint64_t limit)
{
    const uint64_t end = window->end;
    const uint64_t sent = window->sent;
    window->end = window->next;
    for (uint64_t n = window->next; n < end; n++) {
        const wr_window_place *of = place(window, n);
        if (of->size <= limit) {
            *place(window, window->end++) = *of;
        } else {
            give_up(window, of);
            window->sent -= n < sent;
        }
    }
    return end - window->end;
}

weir_err wr_window_acknowledge(wr_window *window, uint64_t count)
{
    if (count > window->sent) {
        return WEIR_ERR_PROTOCOL;
    }
    if (count > window->told) {
        window->told = count;
    }
    count_acknowledged(window);
    return WEIR_OK;
}

weir_err wr_window_skip(wr_window *window, uint64_t count)
{
    if (count > window->sent) {
        return WEIR_ERR_PROTOCOL;
    }
    while (window->next < count) {
        advance(window);
    }
    return wr_window_acknowledge(window, count);
}

void wr_window_rewind(wr_window *window, bool keep)
{
    wr_window_release(window);
    window->told = window->acknowledged; /* of the connection before, this one knows nothing */
    window->next = window->base;
    window->bytes_waiting += window->bytes;
    window->bytes = 0;
    window->keep = keep;
    window->waits = false;
}

/* Is so much room for what is held that most of it may be given back? */
static bool is_roomy(uint64_t capacity, uint64_t held)
{
    return held <= capacity / ROOMY;
}

static void shrink_ring(wr_window *window)
{
    size_t capacity = window->capacity;
    while (capacity > RING_START && is_roomy(capacity, window->end - window->kept)) {
        capacity /= 2;
    }
    if (capacity < window->capacity) {
        weir_err ignored = resize(window, capacity);
        (void)ignored; /* it stays as it is */
    }
}

/* In a smaller ring a piece may not lie in one part at its place: all get new ones. */
static void shrink_copies(wr_window *window)
{
    wr_byte_ring smaller = {.bytes = NULL};
    uint64_t held = window->copies.end - window->copies.first;
    if (window->copies.capacity <= WR_BYTE_RING_START || !is_roomy(window->copies.capacity, held) ||
        !wr_byte_ring_init(&smaller, held)) {
        return;
    }
    for (uint64_t n = window->kept; n < window->end; n++) {
        wr_window_place *of = place(window, n);
        size_t size = WR_SP_HEADER_SIZE + of->size;
        if (of->copied) {
            const uint8_t *frame = frame_of(window, of);
            void *copy = wr_byte_ring_put(&smaller, size, false, &of->copy_at);
            assert(copy != NULL); /* it was made for all of them */
            memcpy(copy, frame, size);
        }
    }
    wr_byte_ring_deinit(&window->copies);
    window->copies = smaller;
}

bool wr_window_shrink(wr_window *window, const wr_channel *channel)
{
    if (channel != NULL && wr_channel_unsent(channel) > 0) {
        return false;
    }
    wr_window_release(window);
    shrink_ring(window);
    shrink_copies(window);
    return true;
}

size_t wr_window_given_count(const wr_window *window)
{
    return (size_t)(window->next - window->kept);
}

/* NULL: out of memory. */
static weir_message *message_of(const wr_window *window, const wr_window_place *of)
{
    if (!of->copied) {
        return weir_message_ref(of->msg);
    }
    weir_message *msg = NULL;
    weir_err err = weir_message_decode(image_of(window, of), of->size, &msg);
    assert(err == WEIR_OK || err == WEIR_ERR_MEMORY); /* it was a message's image */
    return err == WEIR_OK ? msg : NULL;
}

weir_err wr_window_get_given(const wr_window *window, wr_window_given *out)
{
    for (uint64_t n = window->kept; n < window->next; n++) {
        wr_window_given *given = &out[n - window->kept];
        *given = (wr_window_given){
            .msg = message_of(window, place(window, n)),
            .number = n,
            .acknowledged = n < window->acknowledged,
        };
        if (given->msg == NULL) {
            while (given > out) {
                weir_message_unref((--given)->msg);
            }
            return WEIR_ERR_MEMORY;
        }
    }
    return WEIR_OK;
}

void wr_window_deinit(wr_window *window)
{
    for (uint64_t n = window->kept; n < window->end; n++) {
        if (!place(window, n)->copied) {
            weir_message_unref(place(window, n)->msg);
        }
    }
    wr_byte_ring_deinit(&window->copies);
    free(window->ring);
    *window = (wr_window){.ring = NULL};
}
