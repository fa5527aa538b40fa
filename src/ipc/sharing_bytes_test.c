/* SPDX-License-Identifier: MIT
 *
 * Tests of shared memory with a hostile peer: bytes that are missing, or change, or are used twice.
 */
#include <errno.h>

#include "ipc/sharing_hostile_test.h"
#include "platform/thread.h"

/* Stands in for madvise (tests/CMakeLists.txt): there is no memory for what nobody has touched. */
static bool memory_is_short;
int __real_madvise(void *bytes, size_t size, int advice);
int __wrap_madvise(void *bytes, size_t size, int advice);

int __wrap_madvise(void *bytes, size_t size, int advice)
{
    if (memory_is_short) {
        errno = EFAULT;
        return -1;
    }
    return __real_madvise(bytes, size, advice);
}

/* A reference to the last LARGE bytes of the pool, of which only a head was ever touched. */
static wr_shared_frame lay_untouched(hostile *h)
{
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = {.kind = WR_SHARED_REFERENCE, .lent = {0, 1}};
    size_t size = 0;
    size_t head = 0;
    (void)weir_message_image(msg, &size);
    const void *bytes = wr_message_head(msg, &head);
    frame.offset = WR_SHARED_POOL_SIZE - size;
    frame.size = (uint32_t)size;
    frame.head_size = (uint32_t)head;
    unsigned char *pool = wr_shared_memory_bytes(wr_shared_pool_memory(h->pool));
    memcpy(pool + frame.offset, bytes, head);
    weir_message_unref(msg);
    return frame;
}

static void what_the_peer_never_touched_is_zero(void **state)
{
    hostile *h = *state;
    wr_shared_frame frame = lay_untouched(h);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    size_t size = 0;
    const unsigned char *content = weir_message_content(got, &size);
    assert_int_equal(LARGE, size);
    assert_int_equal(0, content[LARGE - 1]);
    assert_int_equal(0, content[LARGE / 2]);
    weir_message_unref(got);
}

static void without_memory_for_the_marks_the_sharing_ends(void **state)
{
    hostile *h = *state;
    put_pool(h);
    memory_is_short = true;
    expect(h, WEIR_ERR_UNSUPPORTED, "no memory to read the marks in the peer's shared pool");
    memory_is_short = false;
}

static void without_memory_for_untouched_pages_the_sharing_ends(void **state)
{
    hostile *h = *state;
    wr_shared_frame frame = lay_untouched(h);
    put_pool(h);
    assert_null(receive(h->channel)); /* the pool is taken */
    put_shared(h, &frame);
    memory_is_short = true;
    expect(h, WEIR_ERR_UNSUPPORTED,
           "no memory for pages of the peer's pool that it has never touched; the next connection "
           "does without shared memory");
    memory_is_short = false;
}

typedef struct flipper {
    unsigned char *head;
    size_t size;
    atomic_bool stop;
} flipper;

/* Each byte becomes something else, and then again what it was. */
static void flip(void *arg)
{
    flipper *f = arg;
    while (!atomic_load(&f->stop)) {
        for (size_t i = 0; i < f->size; i++) {
            f->head[i] ^= 0x41;
            f->head[i] ^= 0x41;
        }
    }
}

/* What was accepted agrees with itself, whatever the peer writes before, while and after. */
static void check_whole(const weir_message *msg)
{
    weir_property_iter iter = {0};
    size_t image_size = 0;
    size_t head_size = 0;
    size_t content_size = 0;
    size_t properties = 0;
    (void)weir_message_image(msg, &image_size);
    (void)wr_message_head(msg, &head_size);
    (void)weir_message_content(msg, &content_size);
    assert_int_equal(image_size, head_size + content_size);
    while (weir_message_next(msg, &iter)) {
        properties++;
    }
    assert_int_equal(weir_message_property_count(msg), properties);
    weir_message *copy = NULL;
    assert_int_equal(WEIR_OK, wr_sharing_copy_out(msg, &copy));
    weir_message_unref(copy);
}

static void head_that_changes_while_it_is_read_is_refused_or_whole(void **state)
{
    enum { TIMES = 3000 };
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    weir_message_unref(msg);
    put_pool(h);
    flipper f = {.head = h->block, .size = frame.head_size};
    wr_thread thread;
    atomic_init(&f.stop, false);
    assert_int_equal(WEIR_OK, wr_thread_start(&thread, "flip", flip, &f));
    for (size_t i = 0; i < TIMES; i++) {
        weir_message *got = NULL;
        put_shared(h, &frame);
        weir_err err = wr_channel_receive(h->channel, &got, NULL);
        assert_true(err == WEIR_OK || err == WEIR_ERR_PROTOCOL || err == WEIR_ERR_TOO_LARGE);
        if (err == WEIR_OK) {
            check_whole(got);
            weir_message_unref(got);
        }
    }
    atomic_store(&f.stop, true);
    wr_thread_join(&thread);
}

/* Two that share bytes, one of them with a head in the other's content, and one that comes twice.
 */
static void messages_that_overlap_are_messages(void **state)
{
    enum { INNER = 5000, AT = 1001 };
    hostile *h = *state;
    weir_message *outer = make(LARGE, 1);
    weir_message *inner = make(INNER, 2);
    wr_shared_frame frame = lay(h, outer);
    wr_shared_frame within = frame;
    size_t size = 0;
    const void *image = weir_message_image(inner, &size);
    memcpy((unsigned char *)h->block + AT, image, size);
    within.offset += AT;
    within.size = (uint32_t)size;
    within.lent = (wr_lent){1, 1};
    put_pool(h);
    put_shared(h, &frame);
    put_shared(h, &within);
    put_shared(h, &within);
    weir_message *first = receive(h->channel);
    weir_message *second = receive(h->channel);
    weir_message *third = receive(h->channel);
    check_whole(first);
    assert_same(inner, second);
    weir_message_unref(first);
    weir_message_unref(second);
    assert_same(inner, third);
    weir_message_unref(third);
    weir_message_unref(inner);
    weir_message_unref(outer);
}

/* Something that this side lends to the peer, by its first slot. */
static weir_message *lend_one(hostile *h)
{
    weir_message *msg = make(LARGE, 1);
    put_pool(h);
    assert_null(receive(h->channel));
    send(h->channel, msg);
    return msg;
}

static const wr_shared_frame given_back = {
    .kind = WR_SHARED_GIVEN_BACK, .lent = {5, 1}, .returned = {0, 1}};

/* It stays lent, so each is the message once more. */
static void what_is_given_back_twice_comes_twice(void **state)
{
    hostile *h = *state;
    weir_message *msg = lend_one(h);
    put_shared(h, &given_back);
    put_shared(h, &given_back);
    weir_message *first = receive(h->channel);
    weir_message *second = receive(h->channel);
    assert_same(msg, first);
    weir_message_unref(first);
    assert_same(msg, second);
    weir_message_unref(second);
    weir_message_unref(msg);
}

/* The peer says that it does not read it any more, and wants it all the same. */
static void what_came_back_stays_when_it_is_returned_as_well(void **state)
{
    hostile *h = *state;
    weir_message *msg = lend_one(h);
    put_shared(h, &given_back);
    weir_message *back = receive(h->channel);
    atomic_store(&wr_shared_pool_marks(h->pool)[0], 1);
    for (unsigned i = 0; i < 64; i++) { /* it looks for marks, and would use the memory again */
        weir_message *other = make(LARGE, 2);
        weir_err err = wr_channel_send(h->channel, other);
        assert_true(err == WEIR_OK || err == WEIR_ERR_WOULD_BLOCK);
        weir_message_unref(other);
    }
    assert_same(msg, back);
    put_shared(h, &given_back);
    expect(h, WEIR_ERR_PROTOCOL,
           "slot 0 with generation 1 is given back, by which nothing was lent by reference");
    assert_same(msg, back);
    weir_message_unref(back);
    weir_message_unref(msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOSTILE(what_the_peer_never_touched_is_zero),
        WITH_HOSTILE(without_memory_for_the_marks_the_sharing_ends),
        WITH_HOSTILE(without_memory_for_untouched_pages_the_sharing_ends),
        WITH_HOSTILE(head_that_changes_while_it_is_read_is_refused_or_whole),
        WITH_HOSTILE(messages_that_overlap_are_messages),
        WITH_HOSTILE(what_is_given_back_twice_comes_twice),
        WITH_HOSTILE(what_came_back_stays_when_it_is_returned_as_well),
    };
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
