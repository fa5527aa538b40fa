/* SPDX-License-Identifier: MIT
 *
 * A hostile peer's shared memory, see lender.h.
 */
#define _GNU_SOURCE
#include "lender.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "descriptor_os.h"
#include "ipc/sp_stream.h"
#include "message/message.h"
#include "peer.h"
#include "shared_memory_os.h"

#define POOL_SIZE (2u * 1024u * 1024u)
#define ODD_SIZE 5000u

void fuzz_lender_close(fuzz_lender *lender)
{
    for (size_t i = 0; i < lender->block_count; i++) {
        const fuzz_block *block = &lender->blocks[i];
        wr_shared_pool_put(lender->pool, block->bytes, block->frame.size);
    }
    wr_shared_pool_destroy(lender->pool);
    wr_peer_pool_destroy(lender->theirs);
    *lender = (fuzz_lender){.pool = NULL};
}

/* ---- as it should be ---- */

static void put_frame(fuzz_peer *peer, const wr_shared_frame *frame, size_t cut)
{
    uint8_t bytes[WR_SHARED_FRAME_MAX];
    size_t size = wr_shared_frame_encode(frame, bytes);
    fuzz_peer_frame(peer, bytes, size - cut % (size - 1));
}

static void make_pool(fuzz_lender *lender)
{
    if (lender->pool == NULL) {
        REQUIRE(wr_shared_pool_create(POOL_SIZE, &lender->pool, NULL) == WEIR_OK);
    }
}

static void tell_pool(fuzz_lender *lender, fuzz_peer *peer)
{
    make_pool(lender);
    if (!lender->told && peer->stream != NULL) {
        wr_stream_attach_memory(peer->stream, wr_shared_pool_memory(lender->pool));
        put_frame(peer, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = POOL_SIZE}, 0);
        lender->told = true;
    }
}

/* Put it into the pool; NULL: no room. */
static fuzz_block *lay(fuzz_lender *lender, const weir_message *msg)
{
    size_t size = 0;
    size_t head = 0;
    const void *image = weir_message_image(msg, &size);
    (void)wr_message_head(msg, &head);
    make_pool(lender);
    void *bytes =
        lender->block_count < FUZZ_BLOCKS_MAX ? wr_shared_pool_get(lender->pool, size) : NULL;
    if (bytes == NULL) {
        return NULL;
    }
    memcpy(bytes, image, size);
    uint32_t number = (uint32_t)lender->block_count;
    fuzz_block *block = &lender->blocks[lender->block_count++];
    *block = (fuzz_block){bytes,
                          {.kind = WR_SHARED_REFERENCE,
                           .lent = {number, 1},
                           .head_size = (uint32_t)head,
                           .size = (uint32_t)size}};
    REQUIRE(wr_shared_pool_offset(lender->pool, bytes, size, &block->frame.offset));
    return block;
}

bool fuzz_lender_send(fuzz_lender *lender, struct fuzz_peer *peer, const weir_message *msg)
{
    const fuzz_block *block = lay(lender, msg);
    if (block == NULL) {
        return false;
    }
    tell_pool(lender, peer);
    put_frame(peer, &block->frame, 0);
    return true;
}

static void give_back(fuzz_lender *lender, const wr_lent *lent)
{
    atomic_store_explicit(&wr_shared_pool_marks(lender->pool)[lent->slot], lent->generation,
                          memory_order_release);
}

static void take_pool(fuzz_lender *lender, fuzz_peer *peer, const wr_shared_frame *frame)
{
    wr_shared_memory *memory = NULL;
    REQUIRE(lender->theirs == NULL);
    weir_err err = wr_stream_take_memory(peer->stream, WR_SHARED_POOL_SIZE_MAX, &memory, NULL);
    REQUIRE(err == WEIR_OK);
    REQUIRE(wr_shared_memory_size(memory) == frame->pool_size);
    REQUIRE(wr_peer_pool_create(memory, &lender->theirs, NULL) == WEIR_OK);
    tell_pool(lender, peer);
}

static weir_message *take_reference(fuzz_lender *lender, const wr_shared_frame *frame)
{
    weir_message *msg = NULL;
    size_t head = 0;
    REQUIRE(lender->theirs != NULL);
    REQUIRE(frame->lent.slot < WR_LENDING_SLOTS && frame->lent.generation != 0);
    const void *image = wr_peer_pool_find(lender->theirs, frame->offset, frame->size);
    REQUIRE(image != NULL);
    if (lender->wild) {
        return NULL;
    }
    REQUIRE(weir_message_decode(image, frame->size, &msg) == WEIR_OK);
    (void)wr_message_head(msg, &head);
    REQUIRE(head == frame->head_size);
    if (lender->keeps && lender->lent_count < FUZZ_LENT_MAX) {
        lender->lent[lender->lent_count++] = frame->lent;
    } else {
        give_back(lender, &frame->lent);
    }
    return msg;
}

weir_message *fuzz_lender_take(fuzz_lender *lender, struct fuzz_peer *peer, const uint8_t *frame,
                               size_t size)
{
    wr_shared_frame got = {.kind = WR_SHARED_POOL};
    REQUIRE(wr_shared_frame_decode(frame, size, &got, NULL) == WEIR_OK);
    switch (got.kind) {
    case WR_SHARED_POOL:
        take_pool(lender, peer, &got);
        return NULL;
    case WR_SHARED_REFERENCE:
        return take_reference(lender, &got);
    case WR_SHARED_GIVEN_BACK:
        break;
    }
    REQUIRE(got.returned.slot < lender->block_count);
    return NULL;
}

void fuzz_lender_say(fuzz_lender *lender, struct fuzz_peer *peer, uint64_t count, bool waits)
{
    tell_pool(lender, peer);
    atomic_store(wr_shared_pool_count(lender->pool), count);
    atomic_store(wr_shared_pool_waits(lender->pool), waits);
}

/* ---- odd or wrong ---- */

/* A message without numbers, in the pool; NULL: no room. */
static fuzz_block *lay_odd(fuzz_lender *lender)
{
    weir_message *msg = NULL;
    void *content = NULL;
    REQUIRE(weir_message_reserve(NULL, 0, ODD_SIZE, &content, &msg) == WEIR_OK);
    memset(content, 0xa1, ODD_SIZE);
    fuzz_block *block = lay(lender, msg);
    weir_message_unref(msg);
    return block;
}

static int open_odd(unsigned kind)
{
    static const int seals[] = {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE};
    if (kind % 6 == 4) {
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    }
    if (kind % 6 == 5) {
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    int fd = memfd_create("weir-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(fd >= 0 && ftruncate(fd, POOL_SIZE) == 0);
    REQUIRE(fcntl(fd, F_ADD_SEALS, seals[kind % 6]) == 0);
    return fd;
}

/* The descriptor goes with a frame's first byte. */
static void put_with(fuzz_peer *peer, const wr_shared_frame *frame, int fd)
{
    uint8_t bytes[WR_SP_HEADER_SIZE + WR_SHARED_FRAME_MAX] = {1};
    size_t size = wr_shared_frame_encode(frame, bytes + WR_SP_HEADER_SIZE);
    struct iovec part = {bytes, 1};
    wr_put_u64(bytes + 1, size);
    if (peer->stream != NULL && !peer->jammed &&
        wr_descriptor_write((int)wr_stream_waitable(peer->stream), &part, 1, fd) == 1) {
        fuzz_peer_write(peer, bytes + 1, WR_SP_HEADER_SIZE - 1 + size);
    } else {
        peer->jammed = true;
    }
    close(fd);
}

static void play_pool_of_another_kind(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)lender;
    const wr_shared_frame pool = {.kind = WR_SHARED_POOL, .pool_size = POOL_SIZE};
    put_with(peer, &pool, open_odd(step->number));
}

static void play_pool_without_memory(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)lender;
    put_frame(peer, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = POOL_SIZE},
              step->number % 4u);
}

static void play_pool_of_another_size(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    make_pool(lender);
    if (!lender->told && peer->stream != NULL) {
        wr_stream_attach_memory(peer->stream, wr_shared_pool_memory(lender->pool));
        lender->told = true;
    }
    put_frame(peer, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = step->number}, 0);
}

/* As it should be. */
static void play_pool(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)step;
    tell_pool(lender, peer);
}

/* A descriptor that belongs to nothing, with a frame that is right. */
static void play_surplus(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    const fuzz_block *block = lay_odd(lender);
    if (block != NULL) {
        tell_pool(lender, peer);
        put_with(peer, &block->frame, open_odd(step->number));
    }
}

static void break_frame(wr_shared_frame *frame, const fuzz_step *step)
{
    switch (step->slot % 8) {
    case 0:
        frame->offset += step->number;
        break;
    case 1:
        frame->offset -= (uint64_t)step->number << step->kind % 64;
        break;
    case 2:
        frame->size += step->number;
        break;
    case 3:
        frame->head_size += step->number;
        break;
    case 4:
        frame->size = UINT32_MAX - step->number;
        break;
    case 5:
        frame->lent = (wr_lent){UINT32_MAX - step->number, 1};
        break;
    case 6:
        frame->lent.generation = 0;
        break;
    default:
        frame->offset = POOL_SIZE - step->number;
        break;
    }
}

static void play_broken(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    const fuzz_block *block = lay_odd(lender);
    if (block != NULL) {
        wr_shared_frame frame = block->frame;
        tell_pool(lender, peer);
        break_frame(&frame, step);
        put_frame(peer, &frame, 0);
    }
}

static void play_cut(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    const fuzz_block *block = lay_odd(lender);
    if (block != NULL) {
        put_frame(peer, &block->frame, step->number); /* maybe without a pool */
    }
}

/* The same bytes many times, under slots and generations of all kinds. */
static void play_repeated(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    const fuzz_block *block = lay_odd(lender);
    if (block == NULL) {
        return;
    }
    tell_pool(lender, peer);
    for (uint32_t i = 0; i <= step->number; i++) {
        wr_shared_frame frame = block->frame;
        frame.lent = (wr_lent){(step->slot * i) % WR_LENDING_SLOTS, UINT32_MAX - i};
        put_frame(peer, &frame, 0);
    }
}

/* Pages that were never touched, behind a head that is right. */
static void play_untouched(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    const fuzz_block *block = lay_odd(lender);
    if (block == NULL) {
        return;
    }
    wr_shared_frame frame = block->frame;
    unsigned char *bytes = wr_shared_memory_bytes(wr_shared_pool_memory(lender->pool));
    frame.offset = POOL_SIZE - frame.size - step->number;
    memcpy(bytes + frame.offset, block->bytes, frame.head_size);
    tell_pool(lender, peer);
    put_frame(peer, &frame, 0);
}

static void play_given_back(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    wr_shared_frame frame = {.kind = WR_SHARED_GIVEN_BACK, .lent = {step->number, 7}};
    bool is_right = lender->lent_count > 0 && step->slot % 4 != 3;
    frame.returned = is_right ? lender->lent[step->number % lender->lent_count]
                              : (wr_lent){step->number, step->slot};
    put_frame(peer, &frame, 0);
}

static void play_keep(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)peer;
    lender->keeps = step->number % 4u != 0;
}

/* Some of them twice, or in a wrong slot, too; what is returned may be given back later. */
static void play_return(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)peer;
    lender->wild = lender->wild || (lender->lent_count > 0 && step->number != 0);
    for (size_t i = 0; i < lender->lent_count; i++) {
        give_back(lender, &lender->lent[i]);
        wr_lent wrong = {(lender->lent[i].slot + step->number) % WR_LENDING_SLOTS,
                         lender->lent[i].generation};
        give_back(lender, &wrong);
    }
    lender->lent_count = step->slot % 2 == 0 ? 0 : lender->lent_count;
}

static void play_wild_marks(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)peer;
    make_pool(lender);
    lender->wild = true;
    for (uint32_t i = 0; i < 64; i++) {
        give_back(lender, &(wr_lent){(i * (1u + step->slot)) % WR_LENDING_SLOTS, step->number});
    }
}

/* The first bytes of all that was laid: what was not read yet is refused. */
static void play_spoiled_heads(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)peer;
    (void)step;
    for (size_t i = 0; i < lender->block_count; i++) {
        *(unsigned char *)lender->blocks[i].bytes ^= 0xffu;
    }
}

/* The end of what was laid: content, behind the numbers. */
static void play_spoiled_contents(fuzz_lender *lender, fuzz_peer *peer, const fuzz_step *step)
{
    (void)peer;
    for (size_t i = 0; i < lender->block_count; i++) {
        const fuzz_block *block = &lender->blocks[i];
        memset((unsigned char *)block->bytes + block->frame.size - 1024, step->number, 1024);
    }
}

void fuzz_lender_play(fuzz_lender *lender, struct fuzz_peer *peer, const fuzz_step *step)
{
    static void (*const ways[FUZZ_LENDER_WAYS])(fuzz_lender *, fuzz_peer *, const fuzz_step *) = {
        play_pool_of_another_kind,
        play_pool_without_memory,
        play_pool_of_another_size,
        play_pool,
        play_surplus,
        play_broken,
        play_cut,
        play_repeated,
        play_untouched,
        play_given_back,
        play_keep,
        play_return,
        play_wild_marks,
        play_spoiled_heads,
        play_spoiled_contents,
        play_given_back,
    };
    ways[step->kind % FUZZ_LENDER_WAYS](lender, peer, step);
}
