/* SPDX-License-Identifier: MIT
 *
 * Tests of the message channel: two ends, or one end and a bare stream that plays a hostile peer.
 */
#include "ipc/channel_test.h"

#include "base/bytes.h"

static void messages_of_all_sizes_arrive(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 100, 16000, WR_SP_COPY_MAX, 300000, 5000000, 64};
    wr_channel *a = NULL;
    wr_channel *b = NULL;
    open_ends(&a, &b, false);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        weir_message *msg = make(sizes[i], 0);
        assert_int_equal(WEIR_OK, wr_channel_send(a, msg));
        weir_message *got = move(a, b);
        assert_same(msg, got);
        weir_message_unref(got);
        weir_message_unref(msg);
    }
    wr_channel_destroy(a);
    wr_channel_destroy(b);
}

/* The sanitizers see a reference too few or too many. */
static void large_message_lives_while_it_is_queued(void **state)
{
    (void)state;
    wr_channel *a = NULL;
    wr_channel *b = NULL;
    open_ends(&a, &b, false);
    weir_message *msg = make(1000000, 0);
    weir_message *same = make(1000000, 0);
    assert_int_equal(WEIR_OK, wr_channel_send(a, msg));
    weir_message_unref(msg);
    weir_message *got = move(a, b);
    assert_same(same, got);
    weir_message_unref(got);
    weir_message_unref(same);
    wr_channel_destroy(a);
    wr_channel_destroy(b);
}

static void destroy_gives_back_what_is_queued_and_half_received(void **state)
{
    (void)state;
    wr_channel *a = NULL;
    wr_channel *b = NULL;
    open_ends(&a, &b, false);
    weir_message *msg = make(5000000, 0);
    while (wr_channel_send(a, msg) == WEIR_OK) {
    }
    weir_message_unref(msg);
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_channel_flush(a));
    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, wr_channel_receive(b, &none, NULL));
    wr_channel_destroy(b);
    wr_channel_destroy(a);
    wr_channel_destroy(NULL);
}

/* One end, whose peer sends the greeting, a frame header and `size` bytes. */
static weir_err receive_from_hostile(const void *image, size_t size, uint64_t stated,
                                     wr_error *error)
{
    static const uint8_t greeting[WR_SP_GREETING_SIZE] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};
    uint8_t header[WR_SP_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, stated);
    wr_stream *end = NULL;
    wr_stream *peer = NULL;
    wr_channel *channel = NULL;
    assert_int_equal(WEIR_OK, wr_stream_pair(&end, &peer));
    assert_int_equal(WEIR_OK, wr_channel_create(end, LIMIT, &channel));
    wr_slice slices[] = {{greeting, sizeof(greeting)}, {header, sizeof(header)}, {image, size}};
    size_t sent = 0;
    assert_int_equal(WEIR_OK, wr_stream_write(peer, slices, 3, &sent));
    assert_int_equal(sizeof(greeting) + sizeof(header) + size, sent);
    weir_message *msg = NULL;
    weir_err err = wr_channel_receive(channel, &msg, error);
    weir_message_unref(msg);
    wr_channel_destroy(channel);
    wr_stream_close(peer);
    return err;
}

static void image_that_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    uint8_t image[14] = {0xa1, 0x60, 0, 0, 0, 14};
    wr_error error = {0};
    assert_int_equal(WEIR_OK, receive_from_hostile(image, 14, 14, &error));
    assert_int_equal(WEIR_ERR_PROTOCOL, receive_from_hostile(image, 13, 13, &error));
    assert_string_equal("byte 13: the image ends here, and the smallest has 14 bytes",
                        wr_error_text(&error));
    image[0] = 0xa0;
    assert_int_equal(WEIR_ERR_PROTOCOL, receive_from_hostile(image, 14, 14, &error));
    assert_int_equal(WEIR_ERR_PROTOCOL, receive_from_hostile("", 0, 0, &error));
}

static void large_image_that_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    size_t size = 100000;
    uint8_t *image = calloc(1, size);
    assert_non_null(image);
    assert_int_equal(WEIR_ERR_PROTOCOL, receive_from_hostile(image, size, size, NULL));
    free(image);
}

static void image_over_the_limit_is_refused(void **state)
{
    (void)state;
    wr_error error = {0};
    assert_int_equal(WEIR_ERR_TOO_LARGE, receive_from_hostile("x", 1, LIMIT + 1, &error));
    assert_string_equal("a frame of 8388609 bytes, over the limit of 8388608",
                        wr_error_text(&error));
    assert_int_equal(WEIR_ERR_WOULD_BLOCK, receive_from_hostile("x", 1, LIMIT, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_all_sizes_arrive),
        cmocka_unit_test(large_message_lives_while_it_is_queued),
        cmocka_unit_test(destroy_gives_back_what_is_queued_and_half_received),
        cmocka_unit_test(image_that_is_not_well_formed_is_refused),
        cmocka_unit_test(large_image_that_is_not_well_formed_is_refused),
        cmocka_unit_test(image_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
