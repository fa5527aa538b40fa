/* SPDX-License-Identifier: MIT
 *
 * Bursts of frames, see bursts.h.
 */
#include "bursts.h"

#include <string.h>

#include "../fuzz/repair.h"
#include "base/bytes.h"
#include "ipc/control.h"
#include "ipc/sp_stream.h"
#include "weir/message.h"

#define MESSAGES_MAX 200u
#define CONTROLS_MAX 20u
#define PROPERTIES_MAX 5u
#define CONTENT_MAX 300u
#define LARGE_CONTENT_MAX 40000u
/* One in so many is large: over what is copied into buffers. */
#define LARGE_ONE_IN 500u
#define IMAGE_MAX 65536u
/* Mutations that are tried for one that is no longer well-formed. */
#define MUTATIONS_MAX 8u

typedef struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t size;
} image;

static _Thread_local image scratch;

void burst_deinit(burst *b)
{
    wr_buffer_deinit(&b->bytes);
}

static void clear(burst *b)
{
    wr_buffer_clear(&b->bytes);
    b->counted = 0;
    b->accepted = 0;
}

static void append_frame(burst *b, const void *data, size_t size)
{
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, size);
    wr_buffer_append(&b->bytes, header, sizeof(header));
    wr_buffer_append(&b->bytes, data, size);
    REQUIRE(!b->bytes.failed);
}

/* Something that is no frame. */
static void append_nonsense(burst *b, fuzz_random *random)
{
    static const char *const starts[] = {"\x00SP\x00\x00\x10\x00\x00\x00",
                                         "\x02\x00\x00\x00\x00\x00\x00\x00\x05",
                                         "\x01\xff\xff\xff\xff\xff\xff\xff\xff",
                                         "\x01\x00\x00\x01\x00\x00\x00\x00\x00", "GET / HTT"};
    const char *start = starts[fuzz_below(random, sizeof(starts) / sizeof(starts[0]))];
    wr_buffer_append(&b->bytes, start, WR_SP_HEADER_SIZE);
    REQUIRE(!b->bytes.failed);
    b->counted++;
}

static void put(image *to, const void *data, size_t size)
{
    memcpy(to->bytes + to->size, data, size);
    to->size += size;
}

static void put_u32(image *to, uint32_t value)
{
    wr_put_u32(to->bytes + to->size, value);
    to->size += 4;
}

static void put_random(image *to, fuzz_random *random, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t bits = fuzz_next(random);
        size_t part = size - i < sizeof(bits) ? size - i : sizeof(bits);
        put(to, &bits, part);
    }
}

/* Messages */

static void put_property(image *to, fuzz_random *random, size_t nth)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%zu-%llx", nth,
                        (unsigned long long)(fuzz_next(random) & 0xffff));
    put(to, text, (size_t)size + 1);
    size = snprintf(text, sizeof(text), "%llu", (unsigned long long)fuzz_next(random));
    put(to, text, (size_t)size + 1);
}

static void make_message(image *to, fuzz_random *random)
{
    size_t properties = fuzz_below(random, PROPERTIES_MAX);
    size_t content = fuzz_below(random, CONTENT_MAX);
    if (fuzz_one_in(random, LARGE_ONE_IN)) {
        content = fuzz_below(random, LARGE_CONTENT_MAX);
    }
    to->size = 0;
    put(to, "\xa1\x60", 2);
    put_u32(to, 0);
    put_u32(to, (uint32_t)properties);
    for (size_t i = 0; i < properties; i++) {
        put_property(to, random, i);
    }
    put_u32(to, (uint32_t)content);
    put_random(to, random, content);
    wr_put_u32(to->bytes + 2, (uint32_t)to->size);
}

static void flip(image *it, fuzz_random *random)
{
    for (size_t i = 0; i <= fuzz_below(random, 4) && it->size > 0; i++) {
        it->bytes[fuzz_below(random, it->size)] ^= (uint8_t)(1u << fuzz_below(random, 8));
    }
}

/* What is the same for messages and control messages: bytes flipped, cut, all new. */
static void spoil(image *it, fuzz_random *random, const fuzz_fields *fields)
{
    switch (fuzz_below(random, 4)) {
    case 0:
        flip(it, random);
        break;
    case 1:
        it->size = fuzz_below(random, it->size + 1);
        break;
    case 2:
        it->size = 0;
        put_random(it, random, fuzz_below(random, CONTENT_MAX));
        break;
    default:
        fuzz_break_field(it->bytes, it->size, fields, random);
        break;
    }
}

static bool is_message(const image *it)
{
    weir_message *msg = NULL;
    weir_err err = weir_message_decode(it->bytes, it->size, &msg);
    weir_message_unref(msg);
    return err == WEIR_OK;
}

/* Mutated messages until one is none any more. */
static void end_messages(burst *b, fuzz_random *random)
{
    for (size_t i = 0; i < MUTATIONS_MAX; i++) {
        fuzz_fields fields = {0};
        make_message(&scratch, random);
        fuzz_repair_message(scratch.bytes, scratch.size, &fields);
        spoil(&scratch, random, &fields);
        append_frame(b, scratch.bytes, scratch.size);
        b->counted++;
        if (!is_message(&scratch)) {
            return;
        }
        b->accepted++;
    }
    append_nonsense(b, random);
}

void burst_messages(burst *b, fuzz_random *random)
{
    clear(b);
    size_t count = fuzz_below(random, MESSAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        make_message(&scratch, random);
        append_frame(b, scratch.bytes, scratch.size);
    }
    b->counted = count;
    b->accepted = count;
    if (fuzz_one_in(random, 4)) {
        append_nonsense(b, random);
    } else {
        end_messages(b, random);
    }
}

/* Control messages */

static void encode(image *to, const wr_control_message *message)
{
    wr_buffer bytes = WR_BUFFER_INIT;
    REQUIRE(wr_control_encode(message, &bytes) == WEIR_OK && bytes.size <= IMAGE_MAX);
    to->size = 0;
    put(to, bytes.data, bytes.size);
    wr_buffer_deinit(&bytes);
}

static uint64_t random_count(fuzz_random *random)
{
    return fuzz_one_in(random, 2) ? fuzz_below(random, 100) : fuzz_next(random);
}

static void fill_extension(wr_extension *extension, fuzz_random *random)
{
    extension->present = fuzz_one_in(random, 2);
    extension->features = (uint32_t)fuzz_below(random, 4);
    extension->message_limit = (uint32_t)fuzz_next(random);
    extension->instance.bytes[0] = (uint8_t)fuzz_next(random);
    extension->session.bytes[0] = (uint8_t)fuzz_next(random);
    extension->position.received = fuzz_one_in(random, 2) ? 0 : random_count(random);
    extension->position.first = random_count(random);
    extension->position.sent = extension->position.first;
    if (!extension->present) {
        *extension = (wr_extension){.present = false};
    }
}

static wr_control_message random_control(fuzz_random *random, const char *uri, const char *args)
{
    static const uint8_t statuses[] = {0, 0, 1, 2, 77, 255};
    wr_control_message message = {.type = (wr_control_type)(1 + fuzz_below(random, 7)),
                                  .uri = uri,
                                  .args = args,
                                  .status = statuses[fuzz_below(random, sizeof(statuses))],
                                  .count = random_count(random)};
    fill_extension(&message.extension, random);
    return message;
}

typedef enum effect {
    EFFECT_NONE,  /* the connection goes on */
    EFFECT_MAYBE, /* that depends on the victim's state */
    EFFECT_END,
    EFFECT_NEVER_SEND
} effect;

typedef effect (*effect_fn)(const wr_control_message *message);

static effect effect_on_gateway(const wr_control_message *message)
{
    bool reply = message->type == WR_CONTROL_REPLY;
    if (reply && message->status == WR_REPLY_DETACHED) {
        return EFFECT_END;
    }
    bool claims = reply && (message->extension.features & WR_FEATURE_ACKNOWLEDGE) != 0 &&
                  message->extension.position.received > 0;
    return claims || message->type == WR_CONTROL_ACKNOWLEDGE ? EFFECT_MAYBE : EFFECT_NONE;
}

/* A mutated path must not lead out of the victim's folder: there it is free to listen. */
static effect effect_on_remote(const wr_control_message *message)
{
    if (message->type == WR_CONTROL_CREATE && strncmp(message->uri, "ipc:///", 7) == 0) {
        return EFFECT_NEVER_SEND;
    }
    return message->type == WR_CONTROL_ACKNOWLEDGE ? EFFECT_MAYBE : EFFECT_NONE;
}

static effect effect_of(const image *it, effect_fn effect_on)
{
    wr_control_message message;
    weir_err err = wr_control_decode(it->bytes, it->size, &message, NULL);
    if (err == WEIR_ERR_UNSUPPORTED) {
        return EFFECT_NONE;
    }
    return err == WEIR_OK ? effect_on(&message) : EFFECT_END;
}

static void make_controls(burst *b, fuzz_random *random, const wr_control_message *own,
                          effect_fn effect_on)
{
    bool counting = true;
    clear(b);
    for (size_t i = 0; i < CONTROLS_MAX; i++) {
        fuzz_fields fields = {0};
        wr_control_message message = random_control(random, own->uri, own->args);
        encode(&scratch, &message);
        if (fuzz_one_in(random, 3)) {
            fuzz_repair_control(scratch.bytes, scratch.size, &fields);
            spoil(&scratch, random, &fields);
        }
        effect what = effect_of(&scratch, effect_on);
        if (what == EFFECT_NEVER_SEND) {
            continue;
        }
        append_frame(b, scratch.bytes, scratch.size);
        b->counted += counting;
        b->accepted += counting && what != EFFECT_END;
        counting = counting && what == EFFECT_NONE;
        if (what == EFFECT_END) {
            return;
        }
    }
    uint64_t counted = b->counted;
    append_nonsense(b, random);
    b->counted = counted + counting;
}

void burst_replies(burst *b, fuzz_random *random)
{
    make_controls(b, random, &(wr_control_message){.uri = "ipc://m", .args = "null"},
                  effect_on_gateway);
}

void burst_orders(burst *b, fuzz_random *random, const char *uri, const char *args)
{
    make_controls(b, random, &(wr_control_message){.uri = uri, .args = args}, effect_on_remote);
}
