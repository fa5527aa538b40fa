/* SPDX-License-Identifier: MIT
 *
 * Tests of shared pools: a table of what is out stands beside the pool; what the peer sees is a
 * second map of the same memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "ipc/shared_pool.h"
#include "message/message.h"
#include "platform/random.h"
#include "platform/stream.h"
#include "platform/thread.h"

#define UNIT 1024u
#define UNITS 4096u
#define POOL_SIZE (WR_SHARED_POOL_DATA_AT + UNITS * UNIT)
#define BLOCK_MAX (UNITS * UNIT / WR_SHARED_POOL_BLOCK_PART)
#define STEPS 20000u
#define BLOCKS 200u
#define THREADS 4u

typedef struct block {
    unsigned char *bytes; /* NULL: not out */
    size_t size;
    unsigned char filled_with;
} block;

/* Stands in for madvise (tests/CMakeLists.txt): so often may memory be secured before the system
 * has no more; or it knows of no such advice, for which it is asked with no bytes. */
static unsigned madvise_calls = UINT_MAX;
static bool system_is_old;
int __real_madvise(void *bytes, size_t size, int advice);
int __wrap_madvise(void *bytes, size_t size, int advice);

int __wrap_madvise(void *bytes, size_t size, int advice)
{
    if (size == 0) {
        errno = EINVAL;
        return system_is_old ? -1 : 0;
    }
    if (madvise_calls == 0) {
        errno = EFAULT;
        return -1;
    }
    madvise_calls -= madvise_calls < UINT_MAX;
    return __real_madvise(bytes, size, advice);
}

static wr_shared_pool *make(void)
{
    wr_shared_pool *pool = NULL;
    assert_int_equal(wr_shared_pool_create(POOL_SIZE, &pool, NULL), WEIR_OK);
    return pool;
}

/* The pool as the other side of a channel gets it. */
static wr_peer_pool *peer_of(wr_shared_pool *pool)
{
    wr_stream *a = NULL;
    wr_stream *b = NULL;
    assert_int_equal(wr_stream_pair(&a, &b), WEIR_OK);
    wr_stream_accept_memory(b);
    wr_stream_attach_memory(a, wr_shared_pool_memory(pool));
    const wr_slice slice = {"x", 1};
    size_t moved = 0;
    char byte;
    assert_int_equal(wr_stream_write(a, &slice, 1, &moved), WEIR_OK);
    assert_int_equal(wr_stream_read(b, &byte, 1, &moved), WEIR_OK);
    wr_shared_memory *memory = NULL;
    assert_int_equal(wr_stream_take_memory(b, WR_SHARED_POOL_SIZE_MAX, &memory, NULL), WEIR_OK);
    wr_stream_close(a);
    wr_stream_close(b);
    wr_peer_pool *peer = NULL;
    assert_int_equal(wr_peer_pool_create(memory, &peer, NULL), WEIR_OK);
    return peer;
}

static uint64_t offset_of(const wr_shared_pool *pool, const void *bytes, size_t size)
{
    uint64_t offset = 0;
    assert_true(wr_shared_pool_offset(pool, bytes, size, &offset));
    return offset;
}

static unsigned next_random(unsigned *seed, unsigned limit)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 8) % limit;
}

static unsigned make_seed(void)
{
    unsigned seed;
    wr_random_fill(&seed, sizeof(seed));
    print_message("seed %u\n", seed);
    return seed;
}

/* Small ones mostly, and some up to the limit. */
static size_t random_size(unsigned *seed)
{
    return 1 + next_random(seed, next_random(seed, 20) == 0 ? BLOCK_MAX : 20000);
}

static void fill(block *at, size_t size, unsigned char with)
{
    at->size = size;
    at->filled_with = with;
    memset(at->bytes, with, size);
}

/* Still what it was filled with, so nobody else has it. */
static void assert_own(const block *at)
{
    for (size_t i = 0; i < at->size; i++) {
        if (at->bytes[i] != at->filled_with) {
            fail_msg("byte %zu of %zu was written by another block's owner", i, at->size);
        }
    }
}

static void give_back(wr_shared_pool *pool, block *at)
{
    assert_own(at);
    wr_shared_pool_put(pool, at->bytes, at->size);
    at->bytes = NULL;
}

static void give_all_back(wr_shared_pool *pool, block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].bytes != NULL) {
            give_back(pool, &blocks[i]);
        }
    }
}

/* Takes four of the largest blocks: possible only when all is free, in one piece. */
static void assert_all_free(wr_shared_pool *pool)
{
    void *blocks[WR_SHARED_POOL_BLOCK_PART];
    for (size_t i = 0; i < WR_SHARED_POOL_BLOCK_PART; i++) {
        blocks[i] = wr_shared_pool_get(pool, BLOCK_MAX);
        assert_non_null(blocks[i]);
    }
    assert_null(wr_shared_pool_get(pool, 1));
    for (size_t i = 0; i < WR_SHARED_POOL_BLOCK_PART; i++) {
        wr_shared_pool_put(pool, blocks[i], BLOCK_MAX);
    }
}

static void get_and_put_at_random(wr_shared_pool *pool, unsigned seed, size_t steps)
{
    block blocks[BLOCKS] = {{NULL, 0, 0}};
    for (size_t step = 0; step < steps; step++) {
        block *at = &blocks[next_random(&seed, BLOCKS)];
        if (at->bytes != NULL) {
            give_back(pool, at);
            continue;
        }
        size_t size = random_size(&seed);
        at->bytes = wr_shared_pool_get(pool, size);
        if (at->bytes != NULL) {
            assert_int_equal((uintptr_t)at->bytes % 64, 0);
            (void)offset_of(pool, at->bytes, size);
            fill(at, size, (unsigned char)next_random(&seed, 256));
        }
    }
    give_all_back(pool, blocks, BLOCKS);
}

static void blocks_never_overlap_and_grow_together_again(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    get_and_put_at_random(pool, make_seed(), STEPS);
    assert_all_free(pool);
    wr_shared_pool_destroy(pool);
}

/* What first fit over the table says must come out. */
static size_t expected_unit(const bool *used, size_t count)
{
    for (size_t at = 0; at + count <= UNITS; at++) {
        size_t free = 0;
        while (free < count && !used[at + free]) {
            free++;
        }
        if (free == count) {
            return at;
        }
    }
    return UNITS;
}

static void every_block_is_at_the_lowest_address_that_fits(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    unsigned seed = make_seed();
    bool used[UNITS] = {false};
    block blocks[BLOCKS] = {{NULL, 0, 0}};
    for (size_t step = 0; step < STEPS / 10; step++) {
        block *at = &blocks[next_random(&seed, BLOCKS)];
        bool get = at->bytes == NULL;
        size_t size = get ? random_size(&seed) : at->size;
        size_t count = (size + UNIT - 1) / UNIT;
        size_t unit = get ? expected_unit(used, count)
                          : (offset_of(pool, at->bytes, 1) - WR_SHARED_POOL_DATA_AT) / UNIT;
        if (!get) {
            give_back(pool, at);
        } else if (unit < UNITS) {
            at->bytes = wr_shared_pool_get(pool, size);
            assert_int_equal(offset_of(pool, at->bytes, size),
                             WR_SHARED_POOL_DATA_AT + unit * UNIT);
            fill(at, size, 0x5a);
        } else {
            assert_null(wr_shared_pool_get(pool, size));
            continue;
        }
        memset(&used[unit], get, count * sizeof(bool));
    }
    give_all_back(pool, blocks, BLOCKS);
    wr_shared_pool_destroy(pool);
}

static void full_pool_has_no_block_until_one_comes_back(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    static void *blocks[UNITS];
    for (size_t i = 0; i < UNITS; i++) {
        blocks[i] = wr_shared_pool_get(pool, UNIT);
        assert_non_null(blocks[i]);
    }
    assert_null(wr_shared_pool_get(pool, 1));
    wr_shared_pool_put(pool, blocks[UNITS - 1], UNIT);
    assert_null(wr_shared_pool_get(pool, UNIT + 1));
    assert_ptr_equal(wr_shared_pool_get(pool, 1), blocks[UNITS - 1]);
    for (size_t i = 0; i < UNITS; i++) {
        wr_shared_pool_put(pool, blocks[i], UNIT);
    }
    assert_all_free(pool);
    wr_shared_pool_destroy(pool);
}

static void one_block_takes_at_most_a_quarter(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    assert_null(wr_shared_pool_get(pool, 0));
    assert_null(wr_shared_pool_get(pool, BLOCK_MAX + 1));
    assert_null(wr_shared_pool_get(pool, SIZE_MAX));
    void *largest = wr_shared_pool_get(pool, BLOCK_MAX);
    assert_non_null(largest);
    wr_shared_pool_put(pool, largest, BLOCK_MAX);
    wr_shared_pool_destroy(pool);
}

static void without_more_memory_the_pool_stays_as_it_is(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    madvise_calls = 1;
    void *first = wr_shared_pool_get(pool, BLOCK_MAX);
    assert_non_null(first); /* with this all that was secured is used */
    assert_null(wr_shared_pool_get(pool, 1));
    madvise_calls = UINT_MAX;
    assert_null(wr_shared_pool_get(pool, 1));
    wr_shared_pool_put(pool, first, BLOCK_MAX);
    assert_ptr_equal(wr_shared_pool_get(pool, BLOCK_MAX), first);
    wr_shared_pool_put(pool, first, BLOCK_MAX);
    wr_shared_pool_destroy(pool);
}

static void without_memory_for_the_marks_there_is_no_pool(void **state)
{
    (void)state;
    wr_shared_pool *pool = NULL;
    wr_error error;
    madvise_calls = 0;
    assert_int_equal(wr_shared_pool_create(POOL_SIZE, &pool, &error), WEIR_ERR_MEMORY);
    madvise_calls = UINT_MAX;
    assert_non_null(strstr(error.text, "return marks"));
    assert_null(pool);
}

static void an_old_system_has_no_pools(void **state)
{
    (void)state;
    wr_shared_pool *pool = NULL;
    wr_error error;
    system_is_old = true;
    assert_int_equal(wr_shared_pool_create(POOL_SIZE, &pool, &error), WEIR_ERR_UNSUPPORTED);
    system_is_old = false;
    assert_non_null(strstr(error.text, "Linux 5.14 has"));
    assert_null(pool);
}

static void sizes_that_are_no_pool_are_refused(void **state)
{
    (void)state;
    wr_shared_pool *pool = NULL;
    wr_error error;
    assert_int_equal(wr_shared_pool_create(WR_SHARED_POOL_SIZE_MIN - 1, &pool, &error),
                     WEIR_ERR_INVALID);
    assert_non_null(strstr(error.text, "40959"));
    assert_int_equal(wr_shared_pool_create((size_t)WR_SHARED_POOL_SIZE_MAX + 1, &pool, NULL),
                     WEIR_ERR_INVALID);
    assert_null(pool);
    assert_int_equal(wr_shared_pool_create(WR_SHARED_POOL_SIZE_MIN, &pool, NULL), WEIR_OK);
    wr_shared_pool_destroy(pool);
    assert_int_equal(wr_shared_pool_create(WR_SHARED_POOL_SIZE_MAX, &pool, NULL), WEIR_OK);
    wr_shared_pool_destroy(pool);
}

static void only_bytes_of_the_pool_have_an_offset(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    unsigned char *first = wr_shared_pool_get(pool, 100);
    size_t room = UNITS * UNIT;
    uint64_t offset = 7;
    assert_int_equal(offset_of(pool, first, 100), WR_SHARED_POOL_DATA_AT);
    assert_int_equal(offset_of(pool, first + 5, 1), WR_SHARED_POOL_DATA_AT + 5);
    assert_int_equal(offset_of(pool, first, room), WR_SHARED_POOL_DATA_AT);
    assert_false(wr_shared_pool_offset(pool, first, room + 1, &offset));
    assert_false(wr_shared_pool_offset(pool, first, SIZE_MAX, &offset));
    assert_false(wr_shared_pool_offset(pool, first - 1, 1, &offset));
    assert_false(wr_shared_pool_offset(pool, first + room, 1, &offset));
    assert_false(wr_shared_pool_offset(pool, &offset, 1, &offset));
    assert_int_equal(offset, 7);
    wr_shared_pool_put(pool, first, 100);
    wr_shared_pool_destroy(pool);
}

static void the_peer_finds_a_block_by_its_offset_and_size(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_peer_pool *peer = peer_of(pool);
    void *before = wr_shared_pool_get(pool, 3 * UNIT);
    char *bytes = wr_shared_pool_get(pool, 6);
    memcpy(bytes, "hello", 6);
    const char *found = wr_peer_pool_find(peer, offset_of(pool, bytes, 6), 6);
    assert_string_equal(found, "hello");
    assert_ptr_not_equal(found, bytes);
    wr_shared_pool_put(pool, bytes, 6);
    wr_shared_pool_put(pool, before, 3 * UNIT);
    wr_shared_pool_destroy(pool);
    assert_string_equal(found, "hello"); /* as long as the peer's side */
    wr_peer_pool_destroy(peer);
    wr_peer_pool_destroy(NULL);
}

static void the_peer_finds_nothing_outside_the_data(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_peer_pool *peer = peer_of(pool);
    assert_non_null(wr_peer_pool_find(peer, WR_SHARED_POOL_DATA_AT, UNITS * UNIT));
    assert_non_null(wr_peer_pool_find(peer, POOL_SIZE - 1, 1));
    assert_null(wr_peer_pool_find(peer, 0, 1));
    assert_null(wr_peer_pool_find(peer, WR_SHARED_POOL_DATA_AT - 1, 1));
    assert_null(wr_peer_pool_find(peer, WR_SHARED_POOL_DATA_AT, UNITS * UNIT + 1));
    assert_null(wr_peer_pool_find(peer, POOL_SIZE - 1, 2));
    assert_null(wr_peer_pool_find(peer, POOL_SIZE + 1, 0));
    assert_null(wr_peer_pool_find(peer, POOL_SIZE, SIZE_MAX));
    assert_null(wr_peer_pool_find(peer, UINT64_MAX, 2));
    assert_null(wr_peer_pool_find(peer, UINT64_MAX - 1, SIZE_MAX));
    wr_peer_pool_destroy(peer);
    wr_shared_pool_destroy(pool);
}

static void memory_of_a_wrong_size_is_no_pool(void **state)
{
    (void)state;
    wr_shared_memory *memory = NULL;
    wr_peer_pool *peer = NULL;
    wr_error error;
    assert_int_equal(wr_shared_memory_create(WR_SHARED_POOL_SIZE_MIN - 1, &memory, NULL), WEIR_OK);
    assert_int_equal(wr_peer_pool_create(memory, &peer, &error), WEIR_ERR_PROTOCOL);
    assert_non_null(strstr(error.text, "40959"));
    assert_int_equal(wr_shared_memory_create((size_t)WR_SHARED_POOL_SIZE_MAX + 1, &memory, NULL),
                     WEIR_OK);
    assert_int_equal(wr_peer_pool_create(memory, &peer, NULL), WEIR_ERR_PROTOCOL);
    assert_null(peer);
}

static void marks_are_zero_and_then_what_was_written(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_peer_pool *peer = peer_of(pool);
    const _Atomic uint32_t *seen = wr_peer_pool_marks(peer);
    for (size_t i = 0; i < WR_SHARED_POOL_MARKS; i++) {
        assert_int_equal(atomic_load(&seen[i]), 0);
    }
    atomic_store(&wr_shared_pool_marks(pool)[WR_SHARED_POOL_MARKS - 1], 77);
    assert_int_equal(atomic_load(&seen[WR_SHARED_POOL_MARKS - 1]), 77);
    void *data = wr_shared_pool_get(pool, UNIT);
    memset(data, 0xff, UNIT);
    assert_int_equal(atomic_load(&seen[WR_SHARED_POOL_MARKS - 1]), 77);
    wr_shared_pool_put(pool, data, UNIT);
    wr_peer_pool_destroy(peer);
    wr_shared_pool_destroy(pool);
}

static void closed_pool_keeps_its_blocks_and_gives_no_more(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    block out = {wr_shared_pool_get(pool, 5000), 0, 0};
    fill(&out, 5000, 0x3c);
    wr_shared_pool_close(pool);
    assert_null(wr_shared_pool_get(pool, 1));
    wr_shared_pool_destroy(pool);
    give_back(pool, &out);
}

static void a_block_outlives_the_pool(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    block out[2] = {{wr_shared_pool_get(pool, 5000), 0, 0}, {wr_shared_pool_get(pool, 70), 0, 0}};
    fill(&out[0], 5000, 0x3c);
    fill(&out[1], 70, 0xc3);
    wr_shared_pool_destroy(pool);
    give_back(pool, &out[0]);
    give_back(pool, &out[1]);
    wr_shared_pool_destroy(NULL);
}

static weir_message *make_bulk(void)
{
    weir_message *msg = NULL;
    void *content = NULL;
    const weir_property prop = {"name", "value"};
    assert_int_equal(weir_message_reserve(&prop, 1, 10000, &content, &msg), WEIR_OK);
    memset(content, 0x42, 10000);
    return msg;
}

static void messages_are_built_in_the_pool(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_peer_pool *peer = peer_of(pool);
    wr_message_place_set(wr_shared_pool_place(pool));
    weir_message *msg = make_bulk();
    size_t size = 0;
    const void *image = weir_message_image(msg, &size);
    const void *seen = wr_peer_pool_find(peer, offset_of(pool, image, size), size);
    weir_message *copy = NULL;
    assert_int_equal(weir_message_decode(seen, size, &copy), WEIR_OK);
    assert_string_equal(weir_message_property(copy, "name"), "value");
    weir_message_unref(copy);
    weir_message_unref(msg);
    assert_all_free(pool);
    wr_message_place_set(NULL);
    wr_peer_pool_destroy(peer);
    wr_shared_pool_destroy(pool);
}

static void a_thread_gives_up_the_place_of_a_closed_pool(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_message_place_set(wr_shared_pool_place(pool));
    weir_message *before = make_bulk();
    wr_shared_pool_close(pool);
    wr_shared_pool_destroy(pool);
    assert_ptr_equal(wr_message_place_now(), wr_shared_pool_place(pool));
    weir_message *after = make_bulk();
    assert_null(wr_message_place_now());
    assert_null(wr_message_get_origin(after));
    assert_int_equal(weir_message_property_count(before), 1);
    weir_message_unref(before);
    weir_message_unref(after);
}

static void a_place_alone_does_not_keep_the_memory(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_message_place_set(wr_shared_pool_place(pool));
    wr_shared_pool_destroy(pool);
    assert_null(wr_shared_pool_get(pool, 1)); /* it was the last */
    wr_message_place_set(NULL);
}

static void build_and_end(void *arg)
{
    wr_message_place_set(arg);
    weir_message_unref(make_bulk());
}

/* The leak checker of the sanitizers sees where it does not. */
static void a_thread_gives_up_its_place_when_it_ends(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    wr_thread thread = {0};
    assert_int_equal(wr_thread_start(&thread, "build", build_and_end, wr_shared_pool_place(pool)),
                     WEIR_OK);
    wr_thread_join(&thread);
    assert_all_free(pool);
    wr_shared_pool_destroy(pool);
}

typedef struct worker {
    wr_thread thread;
    wr_shared_pool *pool;
    unsigned seed;
} worker;

static void work(void *arg)
{
    worker *self = arg;
    get_and_put_at_random(self->pool, self->seed, STEPS / 10);
}

static void threads_get_and_put_at_the_same_time(void **state)
{
    (void)state;
    wr_shared_pool *pool = make();
    unsigned seed = make_seed();
    worker workers[THREADS] = {{.pool = NULL}};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].pool = pool;
        workers[i].seed = seed + i;
        assert_int_equal(wr_thread_start(&workers[i].thread, "work", work, &workers[i]), WEIR_OK);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        wr_thread_join(&workers[i].thread);
    }
    assert_all_free(pool);
    wr_shared_pool_destroy(pool);
}

/* The last block, the last reference and the last place, each on a thread of its own. */
static void put_last(void *arg)
{
    block *out = ((void **)arg)[1];
    give_back(((void **)arg)[0], out);
}

static void set_none(void *arg)
{
    wr_message_place_set(arg);
    wr_message_place_set(NULL);
}

static void whoever_is_last_frees_it(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        wr_shared_pool *pool = make();
        wr_message_place_set(wr_shared_pool_place(pool));
        block out = {wr_shared_pool_get(pool, 100), 0, 0};
        fill(&out, 100, (unsigned char)round);
        void *args[2] = {pool, &out};
        wr_thread first = {0};
        wr_thread second = {0};
        assert_int_equal(wr_thread_start(&first, "put", put_last, args), WEIR_OK);
        assert_int_equal(wr_thread_start(&second, "set", set_none, wr_shared_pool_place(pool)),
                         WEIR_OK);
        wr_shared_pool_destroy(pool);
        wr_thread_join(&second); /* before the place that it was given may go */
        wr_message_place_set(NULL);
        wr_thread_join(&first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_never_overlap_and_grow_together_again),
        cmocka_unit_test(every_block_is_at_the_lowest_address_that_fits),
        cmocka_unit_test(full_pool_has_no_block_until_one_comes_back),
        cmocka_unit_test(one_block_takes_at_most_a_quarter),
        cmocka_unit_test(without_more_memory_the_pool_stays_as_it_is),
        cmocka_unit_test(without_memory_for_the_marks_there_is_no_pool),
        cmocka_unit_test(an_old_system_has_no_pools),
        cmocka_unit_test(sizes_that_are_no_pool_are_refused),
        cmocka_unit_test(only_bytes_of_the_pool_have_an_offset),
        cmocka_unit_test(the_peer_finds_a_block_by_its_offset_and_size),
        cmocka_unit_test(the_peer_finds_nothing_outside_the_data),
        cmocka_unit_test(memory_of_a_wrong_size_is_no_pool),
        cmocka_unit_test(marks_are_zero_and_then_what_was_written),
        cmocka_unit_test(closed_pool_keeps_its_blocks_and_gives_no_more),
        cmocka_unit_test(a_block_outlives_the_pool),
        cmocka_unit_test(messages_are_built_in_the_pool),
        cmocka_unit_test(a_thread_gives_up_the_place_of_a_closed_pool),
        cmocka_unit_test(a_place_alone_does_not_keep_the_memory),
        cmocka_unit_test(a_thread_gives_up_its_place_when_it_ends),
        cmocka_unit_test(threads_get_and_put_at_the_same_time),
        cmocka_unit_test(whoever_is_last_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
