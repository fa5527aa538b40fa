/* SPDX-License-Identifier: MIT
 *
 * Tests of shared memory on a message channel: the frames, and what is refused of a hostile peer's.
 */
#include "ipc/sharing_hostile_test.h"

static void well_behaved_peer_is_served(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_same(msg, got);
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void small_message_in_shared_memory_is_copied(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(10, 1);
    wr_shared_frame frame = lay(h, msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_same(msg, got);
    assert_false(is_view(got));
    weir_message_unref(got);
    weir_message_unref(msg);
}

static void frames_of_wrong_size_are_refused(void **state)
{
    hostile *h = *state;
    const uint8_t pool[] = {0xa1, 0x61, 0, 0, 0};
    put_frame(h, pool, sizeof(pool));
    expect(h, WEIR_ERR_PROTOCOL, "a pool frame has 5 bytes, expected 6");
    const uint8_t reference[] = {0xa1, 0x62};
    put_frame(h, reference, sizeof(reference));
    expect(h, WEIR_ERR_PROTOCOL, "a reference frame has 2 bytes, expected 26");
    const uint8_t back[20] = {0xa1, 0x63};
    put_frame(h, back, sizeof(back));
    expect(h, WEIR_ERR_PROTOCOL, "a given-back frame has 20 bytes, expected 18");
}

/* It is read into a place of its own, which must not be lost. */
static void large_frame_that_is_none_is_refused(void **state)
{
    hostile *h = *state;
    uint8_t *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    bytes[0] = 0xa1;
    bytes[1] = 0x62;
    put_frame(h, bytes, LARGE);
    free(bytes);
    expect(h, WEIR_ERR_PROTOCOL, "a reference frame has 100000 bytes, expected 26");
}

static void pool_without_its_memory_is_refused(void **state)
{
    hostile *h = *state;
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = WR_SHARED_POOL_SIZE});
    expect(h, WEIR_ERR_UNSUPPORTED,
           "a pool frame came without its memory; the next connection does without shared memory");
}

static void pool_of_another_size_is_refused(void **state)
{
    hostile *h = *state;
    wr_stream_attach_memory(h->peer, wr_shared_pool_memory(h->pool));
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = 1234567});
    expect(h, WEIR_ERR_PROTOCOL,
           "a pool frame speaks of 1234567 bytes, and its memory has 33554432");
}

static void pool_without_room_here_ends_the_sharing(void **state)
{
    hostile *h = *state;
    wr_shared_memory *memory = NULL;
    size_t size = (size_t)WR_SHARED_POOL_SIZE_MAX + 1;
    assert_int_equal(WEIR_OK, wr_shared_memory_create(size, &memory, NULL));
    wr_stream_attach_memory(h->peer, memory);
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_POOL, .pool_size = (uint32_t)size});
    expect(h, WEIR_ERR_UNSUPPORTED,
           "the peer's shared memory has 67108865 bytes, over the limit of 67108864");
    wr_shared_memory_close(memory);
}

static void second_pool_is_refused(void **state)
{
    hostile *h = *state;
    put_pool(h);
    put_pool(h);
    expect(h, WEIR_ERR_PROTOCOL, "a second pool on one channel");
}

static void reference_before_the_pool_is_refused(void **state)
{
    hostile *h = *state;
    put_shared(h, &(wr_shared_frame){.kind = WR_SHARED_REFERENCE, .lent = {0, 1}});
    expect(h, WEIR_ERR_PROTOCOL, "a reference to a pool that never came");
}

static void wrong_reference(void **state, wr_shared_frame frame, weir_err wanted, const char *words)
{
    hostile *h = *state;
    put_pool(h);
    put_shared(h, &frame);
    expect(h, wanted, words);
}

static void slot_that_is_none_is_refused(void **state)
{
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(*state, msg);
    weir_message_unref(msg);
    frame.lent.slot = 4096;
    wrong_reference(state, frame, WEIR_ERR_PROTOCOL,
                    "a message lent by slot 4096 with generation 1, of 4096 slots and without "
                    "generation 0");
}

static void generation_zero_is_refused(void **state)
{
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(*state, msg);
    weir_message_unref(msg);
    frame.lent.generation = 0;
    wrong_reference(state, frame, WEIR_ERR_PROTOCOL,
                    "a message lent by slot 0 with generation 0, of 4096 slots and without "
                    "generation 0");
}

static void reference_into_the_marks_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_DATA_AT - 1,
                                      .head_size = 14,
                                      .size = 14},
                    WEIR_ERR_PROTOCOL,
                    "a reference to 14 bytes at 20479, not all of them in the pool");
}

static void reference_past_the_end_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_SIZE - 13,
                                      .head_size = 14,
                                      .size = 14},
                    WEIR_ERR_PROTOCOL,
                    "a reference to 14 bytes at 33554419, not all of them in the pool");
}

static void offset_that_wraps_around_is_refused(void **state)
{
    wrong_reference(
        state,
        (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                          .lent = {0, 1},
                          .offset = UINT64_MAX - 5,
                          .head_size = 14,
                          .size = 100},
        WEIR_ERR_PROTOCOL,
        "a reference to 100 bytes at 18446744073709551610, not all of them in the pool");
}

static void reference_over_the_limit_is_refused(void **state)
{
    wrong_reference(state,
                    (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                                      .lent = {0, 1},
                                      .offset = WR_SHARED_POOL_DATA_AT,
                                      .head_size = 14,
                                      .size = LIMIT + 1},
                    WEIR_ERR_TOO_LARGE, "a reference to 8388609 bytes, over the limit of 8388608");
}

static void head_of_another_size_is_refused(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    weir_message_unref(msg);
    frame.head_size++;
    put_pool(h);
    put_shared(h, &frame);
    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_PROTOCOL, wr_channel_receive(h->channel, &none, NULL));
}

static void what_is_not_lent_cannot_be_given_back(void **state)
{
    hostile *h = *state;
    put_shared(
        h, &(wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {0, 1}, .returned = {7, 1}});
    expect(h, WEIR_ERR_PROTOCOL,
           "slot 7 with generation 1 is given back, by which nothing was lent by reference");
}

/* What was given back to it, it cannot give back: that lies in its own memory. */
static void what_it_lent_itself_cannot_be_given_back(void **state)
{
    hostile *h = *state;
    weir_message *msg = make(LARGE, 1);
    wr_shared_frame frame = lay(h, msg);
    weir_message_unref(msg);
    put_pool(h);
    put_shared(h, &frame);
    weir_message *got = receive(h->channel);
    assert_non_null(got);
    send(h->channel, got);
    weir_message_unref(got);
    put_shared(
        h, &(wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {1, 1}, .returned = {0, 1}});
    expect(h, WEIR_ERR_PROTOCOL,
           "slot 0 with generation 1 is given back, by which nothing was lent by reference");
}

/* ---- frames ---- */

/* The examples of docs/wire-protocol.md. */
static void frames_are_as_documented(void **state)
{
    (void)state;
    static const uint8_t pool[] = {0xa1, 0x61, 0x00, 0x10, 0x00, 0x00};
    static const uint8_t reference[] = {0xa1, 0x62, 0, 0,    0,    0, 0, 0, 0,  1, 0, 0,    0,
                                        0,    0,    0, 0x50, 0x00, 0, 0, 0, 14, 0, 0, 0x20, 0x0e};
    static const uint8_t back[] = {0xa1, 0x63, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t out[WR_SHARED_FRAME_MAX];
    wr_shared_frame frame = {.kind = WR_SHARED_POOL, .pool_size = 1024 * 1024};
    assert_int_equal(sizeof(pool), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(pool, out, sizeof(pool));
    frame = (wr_shared_frame){.kind = WR_SHARED_REFERENCE,
                              .lent = {0, 1},
                              .offset = 20480,
                              .head_size = 14,
                              .size = 8192 + 14};
    assert_int_equal(sizeof(reference), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(reference, out, sizeof(reference));
    frame = (wr_shared_frame){.kind = WR_SHARED_GIVEN_BACK, .lent = {0, 1}, .returned = {0, 1}};
    assert_int_equal(sizeof(back), wr_shared_frame_encode(&frame, out));
    assert_memory_equal(back, out, sizeof(back));
}

static void frames_are_read_as_they_were_written(void **state)
{
    (void)state;
    const wr_shared_frame frames[] = {
        {.kind = WR_SHARED_POOL, .pool_size = 0xfedcba98},
        {.kind = WR_SHARED_REFERENCE,
         .lent = {0x01020304, 0xfffefdfc},
         .offset = 0x1122334455667788,
         .head_size = 0xa0b0c0d0,
         .size = 0x0a0b0c0d},
        {.kind = WR_SHARED_GIVEN_BACK, .lent = {1, 2}, .returned = {0xffffffff, 4}},
    };
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        uint8_t bytes[WR_SHARED_FRAME_MAX];
        wr_shared_frame got = {.kind = WR_SHARED_POOL};
        size_t size = wr_shared_frame_encode(&frames[i], bytes);
        assert_true(wr_shared_frame_is(bytes, size));
        assert_int_equal(WEIR_OK, wr_shared_frame_decode(bytes, size, &got, NULL));
        assert_int_equal(frames[i].kind, got.kind);
        assert_int_equal(frames[i].pool_size, got.pool_size);
        assert_int_equal(frames[i].lent.slot, got.lent.slot);
        assert_int_equal(frames[i].lent.generation, got.lent.generation);
        assert_int_equal(frames[i].offset, got.offset);
        assert_int_equal(frames[i].head_size, got.head_size);
        assert_int_equal(frames[i].size, got.size);
        assert_int_equal(frames[i].returned.slot, got.returned.slot);
        assert_int_equal(frames[i].returned.generation, got.returned.generation);
    }
}

int main(void)
{
    const struct CMUnitTest frames[] = {
        cmocka_unit_test(frames_are_as_documented),
        cmocka_unit_test(frames_are_read_as_they_were_written),
    };
    const struct CMUnitTest tests[] = {
        WITH_HOSTILE(well_behaved_peer_is_served),
        WITH_HOSTILE(small_message_in_shared_memory_is_copied),
        WITH_HOSTILE(frames_of_wrong_size_are_refused),
        WITH_HOSTILE(large_frame_that_is_none_is_refused),
        WITH_HOSTILE(pool_without_its_memory_is_refused),
        WITH_HOSTILE(pool_of_another_size_is_refused),
        WITH_HOSTILE(pool_without_room_here_ends_the_sharing),
        WITH_HOSTILE(second_pool_is_refused),
        WITH_HOSTILE(reference_before_the_pool_is_refused),
        WITH_HOSTILE(slot_that_is_none_is_refused),
        WITH_HOSTILE(generation_zero_is_refused),
        WITH_HOSTILE(reference_into_the_marks_is_refused),
        WITH_HOSTILE(reference_past_the_end_is_refused),
        WITH_HOSTILE(offset_that_wraps_around_is_refused),
        WITH_HOSTILE(reference_over_the_limit_is_refused),
        WITH_HOSTILE(head_of_another_size_is_refused),
        WITH_HOSTILE(what_is_not_lent_cannot_be_given_back),
        WITH_HOSTILE(what_it_lent_itself_cannot_be_given_back),
    };
    int failed = cmocka_run_group_tests(frames, NULL, NULL);
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return failed;
    }
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
