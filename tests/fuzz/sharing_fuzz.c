/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: a script against a message channel with shared memory. The peer has a pool of its
 * own, and sends frames that may be right or wrong in one number, writes into its memory whenever
 * it likes, and returns what it was or was not lent; this side sends, receives, keeps and passes
 * on. What is received can be read, and its properties and sizes stay what they were.
 */
#include <string.h>

#include "base/bytes.h"
#include "ipc/channel.h"
#include "ipc/shared_frame.h"
#include "ipc/shared_pool.h"
#include "message/message.h"
#include "message/place.h"
#include "script.h"

#define LIMIT (4u * 1024u * 1024u)
#define KEPT_MAX 8u
#define BLOCKS_MAX 32u
#define POOL_SIZE (4u * 1024u * 1024u)

typedef struct kept {
    weir_message *msg;
    size_t size;
    size_t content_size;
} kept;

typedef struct stage {
    wr_channel *channel;
    wr_stream *peer; /* NULL: it has closed the connection */
    wr_shared_pool *pool;
    void *blocks[BLOCKS_MAX]; /* of the peer's pool */
    size_t block_sizes[BLOCKS_MAX];
    size_t block_count;
    wr_shared_frame last; /* that stands for the last block */
    kept kept[KEPT_MAX];
    size_t kept_next;
    bool over;
} stage;

static void write_all(stage *s, const void *data, size_t size)
{
    wr_slice slice = {data, size};
    size_t sent = 0;
    if (wr_stream_write(s->peer, &slice, 1, &sent) != WEIR_OK || sent != size) {
        s->over = true; /* it does not read, so the socket is full by now */
    }
}

static void put_frame(stage *s, const wr_shared_frame *frame, size_t cut)
{
    uint8_t bytes[WR_SP_HEADER_SIZE + WR_SHARED_FRAME_MAX] = {1};
    size_t size = wr_shared_frame_encode(frame, bytes + WR_SP_HEADER_SIZE);
    size -= cut < size - 2 ? cut : 0;
    wr_put_u64(bytes + 1, size);
    write_all(s, bytes, WR_SP_HEADER_SIZE + size);
}

static size_t size_of(uint8_t kind)
{
    static const size_t sizes[] = {0,    100,  2047,  2048,   2049,   5000,    16384,  65536,
                                   1000, 4096, 70000, 300000, 600000, 1100000, 200000, 3000};
    return sizes[kind & 15];
}

static weir_message *make(uint8_t kind)
{
    static const weir_property properties[] = {{"name", "value"}, {"other", ""}};
    void *content;
    weir_message *msg = NULL;
    size_t size = size_of(kind);
    REQUIRE(weir_message_reserve(properties, (kind >> 4) % 3, size, &content, &msg) == WEIR_OK);
    memset(content, kind, size);
    return msg;
}

/* ---- what the peer does ---- */

static void lay(stage *s, const fuzz_step *step)
{
    size_t size = 0;
    size_t head = 0;
    wr_message_place_set(NULL);
    weir_message *msg = make(step->kind);
    const void *image = weir_message_image(msg, &size);
    (void)wr_message_head(msg, &head);
    void *block = s->block_count < BLOCKS_MAX ? wr_shared_pool_get(s->pool, size) : NULL;
    if (block != NULL) {
        memcpy(block, image, size);
        s->blocks[s->block_count] = block;
        s->block_sizes[s->block_count++] = size;
        s->last = (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                    .lent = {step->slot, step->number},
                                    .head_size = (uint32_t)head,
                                    .size = (uint32_t)size};
        REQUIRE(wr_shared_pool_offset(s->pool, block, size, &s->last.offset));
    }
    weir_message_unref(msg);
}

static void refer(stage *s, const fuzz_step *step)
{
    wr_shared_frame frame = s->last;
    frame.kind = WR_SHARED_REFERENCE;
    switch (step->kind % 8) {
    case 1:
        frame.offset += step->number;
        break;
    case 2:
        frame.offset -= (uint64_t)step->number << step->slot % 64;
        break;
    case 3:
        frame.size += step->number;
        break;
    case 4:
        frame.head_size += step->number;
        break;
    case 5:
        frame.size = UINT32_MAX - step->number;
        break;
    case 6:
        frame.lent = (wr_lent){UINT32_MAX - step->number, step->slot};
        break;
    default:
        break;
    }
    put_frame(s, &frame, step->kind == 7 ? step->number : 0);
}

static void send_pool(stage *s, const fuzz_step *step)
{
    if (step->kind % 4 != 1) {
        wr_stream_attach_memory(s->peer, wr_shared_pool_memory(s->pool));
    }
    uint32_t size = step->kind % 4 == 2 ? step->number : POOL_SIZE;
    put_frame(s, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = size}, 0);
}

static void give_back(stage *s, const fuzz_step *step)
{
    put_frame(s,
              &(wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK,
                                 .lent = {step->slot, 1},
                                 .returned = {step->kind, step->number}},
              0);
}

static void spoil(stage *s, const fuzz_step *step)
{
    if (s->block_count > 0) {
        size_t which = step->slot % s->block_count;
        size_t size = s->block_sizes[which];
        size_t at = (size_t)step->kind * 4 % size;
        memset((unsigned char *)s->blocks[which] + at, step->number, size - at < 8 ? size - at : 8);
    }
}

static void mark(stage *s, const fuzz_step *step)
{
    _Atomic uint32_t *marks = wr_shared_pool_marks(s->pool);
    atomic_store(&marks[step->slot * 16u + step->kind % 16], step->number);
    atomic_store(wr_shared_pool_count(s->pool), (uint64_t)step->number << step->kind % 64);
    atomic_store(wr_shared_pool_waits(s->pool), step->number);
}

static void send_plain(stage *s, const fuzz_step *step)
{
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    size_t size = 0;
    wr_message_place_set(NULL);
    weir_message *msg = make(step->kind % 4); /* small: nobody may be reading */
    const void *image = weir_message_image(msg, &size);
    wr_put_u64(header + 1, size);
    write_all(s, header, sizeof(header));
    if (!s->over) {
        write_all(s, image, size);
    }
    weir_message_unref(msg);
}

/* ---- what this side does ---- */

static void check(const kept *k)
{
    if (k->msg == NULL) {
        return;
    }
    size_t size = 0;
    size_t head = 0;
    size_t content_size = 0;
    uint64_t sum = 0;
    weir_property_iter iter = {0};
    size_t properties = 0;
    const unsigned char *content = weir_message_content(k->msg, &content_size);
    (void)weir_message_image(k->msg, &size);
    (void)wr_message_head(k->msg, &head);
    REQUIRE(size == k->size && content_size == k->content_size && head + content_size == size);
    for (size_t i = 0; i < content_size; i += 64) {
        sum += content[i];
    }
    while (weir_message_next(k->msg, &iter)) {
        sum += strlen(iter.name) + strlen(iter.value);
        properties++;
    }
    REQUIRE(properties == weir_message_property_count(k->msg));
    REQUIRE(sum <= UINT64_MAX / 2);
}

static void keep(stage *s, weir_message *msg)
{
    kept *place = &s->kept[s->kept_next++ % KEPT_MAX];
    check(place);
    weir_message_unref(place->msg);
    place->msg = msg;
    (void)weir_message_image(msg, &place->size);
    (void)weir_message_content(msg, &place->content_size);
    REQUIRE(place->size <= LIMIT);
    check(place);
}

static void receive(stage *s, const fuzz_step *step)
{
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i <= step->number && err == WEIR_OK; i++) {
        weir_message *msg = NULL;
        err = wr_channel_receive(s->channel, &msg, NULL);
        if (err == WEIR_OK) {
            keep(s, msg);
        }
    }
    s->over = err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK;
}

static void drop(stage *s, const fuzz_step *step)
{
    kept *place = &s->kept[step->slot % KEPT_MAX];
    check(place);
    weir_message_unref(place->msg);
    place->msg = NULL;
}

static void ignore(weir_err err)
{
    (void)err; /* a full socket, a peer that went: whatever it is, it must only not do harm */
}

static void send_own(stage *s, const fuzz_step *step)
{
    if (step->slot % 2 == 0) {
        wr_channel_set_place(s->channel);
    } else {
        wr_message_place_set(NULL);
    }
    weir_message *msg = make(step->kind);
    ignore(wr_channel_send(s->channel, msg));
    weir_message_unref(msg);
}

static void pass_on(stage *s, const fuzz_step *step)
{
    const kept *place = &s->kept[step->slot % KEPT_MAX];
    if (place->msg != NULL) {
        ignore(wr_channel_send(s->channel, place->msg));
    }
}

static void flush(stage *s, const fuzz_step *step)
{
    ignore(wr_channel_flush(s->channel));
    wr_channel_set_processed(s->channel, step->number);
    wr_channel_set_waits(s->channel, step->kind % 2 != 0);
    (void)wr_channel_peer_processed(s->channel);
    (void)wr_channel_peer_waits(s->channel);
}

/* ---- the script ---- */

typedef void (*operation)(stage *s, const fuzz_step *step);

static const operation operations[] = {lay,        refer,   send_pool, give_back, spoil,   mark,
                                       send_plain, receive, drop,      send_own,  pass_on, flush};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void open_stage(stage *s)
{
    static const uint8_t greeting[WR_SP_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};
    wr_stream *end = NULL;
    REQUIRE(wr_stream_pair(&end, &s->peer) == WEIR_OK);
    REQUIRE(wr_channel_create(end, LIMIT, &s->channel) == WEIR_OK);
    REQUIRE(wr_channel_share(s->channel) == WEIR_OK);
    REQUIRE(wr_shared_pool_create(POOL_SIZE, &s->pool, NULL) == WEIR_OK);
    write_all(s, greeting, sizeof(greeting));
}

/* What is kept outlives the connection. */
static void close_stage(stage *s)
{
    wr_message_place_set(NULL);
    wr_channel_destroy(s->channel);
    wr_stream_close(s->peer);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        check(&s->kept[i]);
        weir_message_unref(s->kept[i].msg);
    }
    for (size_t i = 0; i < s->block_count; i++) {
        wr_shared_pool_put(s->pool, s->blocks[i], s->block_sizes[i]);
    }
    wr_shared_pool_destroy(s->pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_step steps[FUZZ_STEPS_MAX];
    size_t count = fuzz_script_read(data, size, steps);
    stage s = {.last = {.kind = WR_SHARED_REFERENCE}};
    fuzz_silence();
    if (!wr_shared_memory_supported()) {
        return 0;
    }
    open_stage(&s);
    for (size_t i = 0; i < count && !s.over; i++) {
        operations[steps[i].op % OPERATIONS](&s, &steps[i]);
    }
    close_stage(&s);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    return fuzz_script_mutate(data, size, max_size, seed, OPERATIONS);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t max_size,
                                 unsigned int seed)
{
    return fuzz_script_cross(first, first_size, second, second_size, out, max_size, seed);
}
