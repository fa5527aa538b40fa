/* SPDX-License-Identifier: MIT
 *
 * Sharing (contract in sharing.h).
 */
#include "ipc/sharing.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/lending.h"
#include "ipc/shared_pool.h"
#include "message/message.h"
#include "message/pool.h"
#include "platform/thread.h"

_Static_assert(WR_LENDING_SLOTS == WR_SHARED_POOL_MARKS, "a mark for each slot");

/* What borrowed messages need: the memory that they lie in, as long as they live, and that of the
 * marks by which they are returned, as long as there is a channel. */
typedef struct borrower {
    _Atomic uint32_t references; /* as those of a message */
    wr_peer_pool *peer;          /* set once, before anything is borrowed */
    wr_mutex lock;               /* guards what follows */
    wr_shared_pool *own;         /* likewise; NULL again, when the channel has ended */
} borrower;

/* A message that came back: lent to us, and lent by us before. */
typedef struct came_back {
    borrower *from;
    weir_message *lent; /* whose image it has */
    wr_lent returned;   /* what to return */
} came_back;

struct wr_sharing {
    wr_stream *stream;
    uint64_t limit;
    wr_lending *lending;
    borrower *borrower;

    wr_mutex lock; /* guards the making of the pool, and what it says from the start: */
    bool failed;   /* it could not be made */
    bool waits;    /* as set last */
    _Atomic(wr_shared_pool *) own;

    /* The peer's pool; NULL: it has not come yet. */
    _Atomic(const wr_peer_pool *) peer;

    atomic_bool told; /* the peer knows of the pool; written by the sending half */
    bool attached;    /* its memory was given to the stream; the sending half's */
};

/* ---- borrowing ---- */

static void drop_borrower(borrower *from)
{
    if (atomic_fetch_sub_explicit(&from->references, 1, memory_order_acq_rel) == 1) {
        wr_peer_pool_destroy(from->peer);
        wr_mutex_deinit(&from->lock);
        free(from);
    }
}

static borrower *keep_borrower(borrower *from)
{
    atomic_fetch_add_explicit(&from->references, 1, memory_order_relaxed);
    return from;
}

static void give_back(borrower *from, const wr_lent *lent)
{
    wr_mutex_lock(&from->lock);
    if (from->own != NULL) {
        /* Releases: all that was done with the image comes before its memory is reused. */
        atomic_store_explicit(&wr_shared_pool_marks(from->own)[lent->slot], lent->generation,
                              memory_order_release);
    }
    wr_mutex_unlock(&from->lock);
}

/* The channel ends, and nothing is returned any more: what was given back may lie unread in the
 * stream, and the peer must find it where it lent it. So this side's pool is not needed either. */
static void end_borrowing(borrower *from)
{
    wr_mutex_lock(&from->lock);
    wr_shared_pool *own = from->own;
    from->own = NULL;
    wr_mutex_unlock(&from->lock);
    if (own != NULL) {
        wr_shared_pool_close(own);
        wr_shared_pool_destroy(own);
    }
}

static uint64_t tag_of(const wr_lent *lent)
{
    return (uint64_t)lent->slot << 32 | lent->generation;
}

static wr_lent lent_of(uint64_t tag)
{
    return (wr_lent){.slot = (uint32_t)(tag >> 32), .generation = (uint32_t)tag};
}

static void release_borrowed(const wr_message_origin *origin)
{
    borrower *from = origin->owner;
    wr_lent lent = lent_of(origin->tag);
    give_back(from, &lent);
    drop_borrower(from);
}

static void release_came_back(const wr_message_origin *origin)
{
    came_back *back = origin->owner;
    give_back(back->from, &back->returned);
    weir_message_unref(back->lent);
    drop_borrower(back->from);
    wr_pool_put(back, sizeof(*back));
}

bool wr_sharing_is_borrowed(const weir_message *msg)
{
    const wr_message_origin *origin = wr_message_get_origin(msg);
    return origin != NULL && origin->release == release_borrowed;
}

/* The image as it was checked, whatever has become of its head. */
static void copy_image(unsigned char *to, const weir_message *msg)
{
    size_t head_size = 0;
    size_t content_size = 0;
    const void *head = wr_message_head(msg, &head_size);
    const void *content = weir_message_content(msg, &content_size);
    memcpy(to, head, head_size);
    memcpy(to + head_size, content, content_size);
}

weir_err wr_sharing_copy_out(const weir_message *msg, weir_message **out)
{
    void *image = NULL;
    weir_err err = wr_message_image_new(wr_message_size(msg), &image, out);
    if (err != WEIR_OK) {
        return err;
    }
    copy_image(image, msg);
    err = wr_message_image_seal(*out, NULL);
    if (err != WEIR_OK) {
        weir_message_unref(*out);
    }
    return err;
}

/* ---- life ---- */

static weir_err make_parts(wr_sharing *sharing)
{
    sharing->borrower = calloc(1, sizeof(*sharing->borrower));
    if (sharing->borrower == NULL) {
        return WEIR_ERR_MEMORY;
    }
    atomic_init(&sharing->borrower->references, 1);
    wr_mutex_init(&sharing->borrower->lock);
    return wr_lending_create(&sharing->lending);
}

weir_err wr_sharing_create(wr_stream *stream, uint64_t limit, wr_sharing **out)
{
    wr_sharing *sharing = calloc(1, sizeof(*sharing));
    if (sharing == NULL) {
        return WEIR_ERR_MEMORY;
    }
    wr_mutex_init(&sharing->lock);
    sharing->stream = stream;
    sharing->limit = limit;
    if (make_parts(sharing) != WEIR_OK) {
        wr_sharing_destroy(sharing);
        return WEIR_ERR_MEMORY;
    }
    wr_stream_accept_memory(stream);
    *out = sharing;
    return WEIR_OK;
}

void wr_sharing_destroy(wr_sharing *sharing)
{
    if (sharing == NULL) {
        return;
    }
    if (sharing->borrower != NULL) {
        end_borrowing(sharing->borrower); /* before what was given back is released */
    }
    wr_lending_destroy(sharing->lending);
    if (sharing->borrower != NULL) {
        drop_borrower(sharing->borrower);
    }
    wr_mutex_deinit(&sharing->lock);
    free(sharing);
}

/* This side's pool, made now if there is none; NULL: there can be none. Both halves. */
static wr_shared_pool *own_pool(wr_sharing *sharing)
{
    wr_shared_pool *own = atomic_load_explicit(&sharing->own, memory_order_acquire);
    if (own != NULL) {
        return own;
    }
    wr_mutex_lock(&sharing->lock);
    own = atomic_load_explicit(&sharing->own, memory_order_relaxed);
    if (own == NULL && !sharing->failed) {
        sharing->failed = wr_shared_pool_create(WR_SHARED_POOL_SIZE, &own, NULL) != WEIR_OK;
        if (!sharing->failed) {
            wr_mutex_lock(&sharing->borrower->lock);
            sharing->borrower->own = own;
            wr_mutex_unlock(&sharing->borrower->lock);
            atomic_store(wr_shared_pool_waits(own), sharing->waits);
            atomic_store_explicit(&sharing->own, own, memory_order_release);
        }
    }
    wr_mutex_unlock(&sharing->lock);
    return own;
}

wr_message_place *wr_sharing_place(wr_sharing *sharing)
{
    wr_shared_pool *own = own_pool(sharing);
    return own == NULL ? NULL : wr_shared_pool_place(own);
}

/* ---- sending ---- */

bool wr_sharing_owes(const wr_sharing *sharing)
{
    return !atomic_load_explicit(&sharing->told, memory_order_relaxed) &&
           atomic_load_explicit(&sharing->own, memory_order_relaxed) != NULL;
}

void wr_sharing_tell(wr_sharing *sharing, wr_shared_frame *out)
{
    wr_shared_memory *memory = wr_shared_pool_memory(own_pool(sharing));
    if (!sharing->attached) {
        wr_stream_attach_memory(sharing->stream, memory);
        sharing->attached = true;
    }
    *out = (wr_shared_frame){.kind = WR_SHARED_POOL,
                             .pool_size = (uint32_t)wr_shared_memory_size(memory)};
}

void wr_sharing_told(wr_sharing *sharing)
{
    atomic_store_explicit(&sharing->told, true, memory_order_relaxed);
}

static void release_copy(const wr_message_origin *origin)
{
    wr_shared_pool_put(origin->owner, origin->image, origin->size);
}

/* A block, where need be of what the peer has returned. */
static void *get_block(wr_sharing *sharing, wr_shared_pool *own, size_t size)
{
    void *block = wr_shared_pool_get(own, size);
    while (block == NULL && wr_lending_collect(sharing->lending) > 0) {
        block = wr_shared_pool_get(own, size);
    }
    return block;
}

/* The same message in this side's pool; NULL: no room, or a head too large for a view. */
static weir_message *copy(wr_sharing *sharing, wr_shared_pool *own, const weir_message *msg)
{
    size_t size = wr_message_size(msg);
    size_t head_size = 0;
    (void)wr_message_head(msg, &head_size);
    void *block = head_size > WR_MESSAGE_VIEW_HEAD_MAX ? NULL : get_block(sharing, own, size);
    if (block == NULL) {
        return NULL;
    }
    copy_image(block, msg);
    const wr_message_origin origin = {
        .image = block, .size = size, .release = release_copy, .owner = own};
    weir_message *made = NULL;
    if (wr_message_view_new(&origin, head_size, &made, NULL) != WEIR_OK) {
        wr_shared_pool_put(own, block, size);
        return NULL;
    }
    return made;
}

/* Lend what lies in this side's pool. */
static bool lend_own(wr_sharing *sharing, weir_message *msg, uint64_t offset, wr_shared_frame *out)
{
    size_t head_size = 0;
    (void)wr_message_head(msg, &head_size);
    *out = (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                             .offset = offset,
                             .head_size = (uint32_t)head_size,
                             .size = wr_message_size(msg)};
    return wr_lending_lend(sharing->lending, msg, &out->lent);
}

static bool lend_copy(wr_sharing *sharing, wr_shared_pool *own, const weir_message *msg,
                      wr_shared_frame *out)
{
    uint64_t offset = 0;
    weir_message *made = copy(sharing, own, msg);
    if (made == NULL) {
        return false;
    }
    const wr_message_origin *origin = wr_message_get_origin(made);
    bool lent = wr_shared_pool_offset(own, origin->image, origin->size, &offset) &&
                lend_own(sharing, made, offset, out);
    weir_message_unref(made);
    return lent;
}

bool wr_sharing_lend(wr_sharing *sharing, weir_message *msg, wr_shared_frame *out)
{
    uint64_t offset = 0;
    const wr_message_origin *origin = wr_message_get_origin(msg);
    if (origin != NULL && origin->release == release_borrowed &&
        origin->owner == sharing->borrower) {
        *out = (wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .returned = lent_of(origin->tag)};
        return wr_lending_lend(sharing->lending, msg, &out->lent);
    }
    wr_shared_pool *own = own_pool(sharing);
    if (own == NULL) {
        return false;
    }
    /* What came back keeps a slot on either side: one that circulates would take a further two with
     * each lap, so its next lap begins with a copy. */
    if (origin != NULL && origin->release != release_came_back &&
        wr_shared_pool_offset(own, origin->image, origin->size, &offset)) {
        return lend_own(sharing, msg, offset, out);
    }
    return lend_copy(sharing, own, msg, out);
}

void wr_sharing_cancel(wr_sharing *sharing, const wr_shared_frame *frame)
{
    wr_lending_cancel(sharing->lending, &frame->lent);
}

/* ---- how far each side is ----
 *
 * One side says how far it is and then looks whether the other waits; the other says that it waits
 * and then looks how far that is. All four are seq_cst, so one of them sees what the other said. */

uint64_t wr_sharing_peer_processed(const wr_sharing *sharing)
{
    const wr_peer_pool *peer = atomic_load_explicit(&sharing->peer, memory_order_acquire);
    return peer == NULL ? 0 : atomic_load(wr_peer_pool_count(peer));
}

void wr_sharing_set_waits(wr_sharing *sharing, bool waits)
{
    wr_mutex_lock(&sharing->lock);
    wr_shared_pool *own = atomic_load_explicit(&sharing->own, memory_order_relaxed);
    sharing->waits = waits;
    if (own != NULL) {
        atomic_store(wr_shared_pool_waits(own), waits);
    }
    wr_mutex_unlock(&sharing->lock);
}

void wr_sharing_set_processed(wr_sharing *sharing, uint64_t count)
{
    wr_shared_pool *own = atomic_load_explicit(&sharing->own, memory_order_acquire);
    if (own != NULL) {
        atomic_store(wr_shared_pool_count(own), count);
    }
}

bool wr_sharing_peer_waits(const wr_sharing *sharing)
{
    const wr_peer_pool *peer = atomic_load_explicit(&sharing->peer, memory_order_acquire);
    return peer == NULL || atomic_load(wr_peer_pool_waits(peer)) != 0;
}

/* ---- receiving ---- */

static weir_err take_memory(wr_sharing *sharing, uint32_t stated, wr_shared_memory **out,
                            wr_error *error)
{
    weir_err err = wr_stream_take_memory(sharing->stream, WR_SHARED_POOL_SIZE_MAX, out, error);
    if (err == WEIR_ERR_NOT_FOUND) {
        return wr_error_set(error, WEIR_ERR_UNSUPPORTED,
                            "a pool frame came without its memory; the next connection does "
                            "without shared memory");
    }
    if (err == WEIR_ERR_IO) {
        return WEIR_ERR_UNSUPPORTED; /* as error says */
    }
    if (err == WEIR_OK && wr_shared_memory_size(*out) != stated) {
        err = wr_error_set(error, WEIR_ERR_PROTOCOL,
                           "a pool frame speaks of %" PRIu32 " bytes, and its memory has %zu",
                           stated, wr_shared_memory_size(*out));
        wr_shared_memory_close(*out);
    }
    return err;
}

static weir_err adopt_pool(wr_sharing *sharing, const wr_shared_frame *frame, wr_error *error)
{
    borrower *to = sharing->borrower;
    wr_shared_memory *memory = NULL;
    if (to->peer != NULL) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "a second pool on one channel");
    }
    weir_err err = take_memory(sharing, frame->pool_size, &memory, error);
    if (err == WEIR_OK) {
        err = wr_peer_pool_create(memory, &to->peer, error);
    }
    if (err != WEIR_OK) {
        return err;
    }
    if (own_pool(sharing) == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no shared memory to return messages in");
    }
    wr_lending_set_marks(sharing->lending, wr_peer_pool_marks(to->peer));
    atomic_store_explicit(&sharing->peer, to->peer, memory_order_release);
    return WEIR_OK;
}

/* What is not the peer's fault would most likely fail on the next connection again: that one does
 * without shared memory. */
static weir_err without_sharing(wr_error *error)
{
    if (error != NULL) {
        error->code = WEIR_ERR_UNSUPPORTED;
    }
    return WEIR_ERR_UNSUPPORTED;
}

static weir_err receive_pool(wr_sharing *sharing, const wr_shared_frame *frame, wr_error *error)
{
    weir_err err = adopt_pool(sharing, frame, error);
    return err == WEIR_OK || err == WEIR_ERR_PROTOCOL ? err : without_sharing(error);
}

static weir_err check_lent(const wr_lent *lent, wr_error *error)
{
    if (lent->slot < WR_LENDING_SLOTS && lent->generation != 0) {
        return WEIR_OK;
    }
    return wr_error_set(error, WEIR_ERR_PROTOCOL,
                        "a message lent by slot %" PRIu32 " with generation %" PRIu32
                        ", of %u slots and without generation 0",
                        lent->slot, lent->generation, WR_LENDING_SLOTS);
}

/* Only what is large is shared from here on. */
static weir_err copy_small(weir_message **msg, wr_error *error)
{
    weir_message *view = *msg;
    if (wr_message_is_bulk(view)) {
        return WEIR_OK;
    }
    weir_err err = wr_sharing_copy_out(view, msg);
    weir_message_unref(view);
    if (err != WEIR_OK) {
        *msg = NULL;
        err = wr_error_set(error, err, "no memory for a small message in shared memory");
    }
    return err;
}

/* What a reference refers to, to be read. */
static weir_err find_image(const wr_sharing *sharing, const wr_shared_frame *frame,
                           const void **out, wr_error *error)
{
    wr_peer_pool *peer = sharing->borrower->peer;
    if (peer == NULL) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "a reference to a pool that never came");
    }
    if (frame->size > sharing->limit) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE,
                            "a reference to %" PRIu32 " bytes, over the limit of %" PRIu64,
                            frame->size, sharing->limit);
    }
    const void *image = wr_peer_pool_find(peer, frame->offset, frame->size);
    if (image == NULL) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "a reference to %" PRIu32 " bytes at %" PRIu64
                            ", not all of them in the pool",
                            frame->size, frame->offset);
    }
    if (wr_peer_pool_secure(peer, image, frame->size) != WEIR_OK) {
        (void)wr_error_set(error, WEIR_ERR_MEMORY,
                           "no memory for pages of the peer's pool that it has never touched; the "
                           "next connection does without shared memory");
        return without_sharing(error);
    }
    *out = image;
    return WEIR_OK;
}

size_t wr_sharing_peer_secured(const wr_sharing *sharing)
{
    const wr_peer_pool *peer = sharing->borrower->peer;
    return peer == NULL ? 0 : wr_peer_pool_secured(peer);
}

static weir_err receive_reference(wr_sharing *sharing, const wr_shared_frame *frame,
                                  weir_message **out, wr_error *error)
{
    const void *image = NULL;
    weir_err err = find_image(sharing, frame, &image, error);
    if (err != WEIR_OK) {
        return err;
    }
    const wr_message_origin origin = {.image = image,
                                      .size = frame->size,
                                      .release = release_borrowed,
                                      .owner = sharing->borrower,
                                      .tag = tag_of(&frame->lent)};
    err = wr_message_view_new(&origin, frame->head_size, out, error);
    if (err == WEIR_OK) {
        (void)keep_borrower(sharing->borrower);
        err = copy_small(out, error);
    }
    return err;
}

/* Takes over the reference to `lent`, on success. */
static weir_err make_come_back(wr_sharing *sharing, const wr_shared_frame *frame,
                               weir_message *lent, weir_message **out, wr_error *error)
{
    size_t head_size = 0;
    wr_message_origin origin = {.release = release_came_back};
    came_back *back = wr_pool_get(sizeof(*back));
    if (back == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a message that came back");
    }
    (void)wr_message_head(lent, &head_size);
    origin.image = weir_message_image(lent, &origin.size);
    origin.owner = back;
    *back = (came_back){.from = sharing->borrower, .lent = lent, .returned = frame->lent};
    weir_err err = wr_message_view_new(&origin, head_size, out, error);
    if (err != WEIR_OK) {
        wr_pool_put(back, sizeof(*back));
        return err;
    }
    (void)keep_borrower(sharing->borrower);
    return WEIR_OK;
}

static weir_err receive_given_back(wr_sharing *sharing, const wr_shared_frame *frame,
                                   weir_message **out, wr_error *error)
{
    weir_message *lent = wr_lending_find(sharing->lending, &frame->returned);
    weir_err err = WEIR_OK;
    if (lent == NULL || wr_sharing_is_borrowed(lent)) {
        err = wr_error_set(error, WEIR_ERR_PROTOCOL,
                           "slot %" PRIu32 " with generation %" PRIu32
                           " is given back, by which nothing was lent by reference",
                           frame->returned.slot, frame->returned.generation);
    } else {
        err = make_come_back(sharing, frame, lent, out, error);
    }
    if (err != WEIR_OK) {
        weir_message_unref(lent);
    }
    return err;
}

weir_err wr_sharing_receive(wr_sharing *sharing, const void *data, size_t size, weir_message **out,
                            wr_error *error)
{
    wr_shared_frame frame = {.kind = WR_SHARED_POOL};
    weir_err err = wr_shared_frame_decode(data, size, &frame, error);
    *out = NULL;
    if (err == WEIR_OK && frame.kind == WR_SHARED_POOL) {
        return receive_pool(sharing, &frame, error);
    }
    if (err == WEIR_OK) {
        err = check_lent(&frame.lent, error);
    }
    if (err != WEIR_OK) {
        return err;
    }
    return frame.kind == WR_SHARED_REFERENCE ? receive_reference(sharing, &frame, out, error)
                                             : receive_given_back(sharing, &frame, out, error);
}
