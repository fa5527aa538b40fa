/* SPDX-License-Identifier: MIT
 *
 * Tests of streams and of connecting them.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/stream.h"
#include "stream_os.h"

typedef struct pair {
    wr_stream *a;
    wr_stream *b;
} pair;

static int open_pair(void **state)
{
    static pair streams;
    *state = &streams;
    return wr_stream_pair(&streams.a, &streams.b) == WEIR_OK ? 0 : -1;
}

static int close_pair(void **state)
{
    pair *streams = *state;
    wr_stream_close(streams->a);
    wr_stream_close(streams->b);
    return 0;
}

static void slices_arrive_in_order(void **state)
{
    pair *streams = *state;
    const wr_slice slices[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    size_t sent = 0;
    assert_int_equal(wr_stream_write(streams->a, slices, 3, &sent), WEIR_OK);
    assert_int_equal(sent, 5);
    char first[3];
    char second[8];
    size_t got = 0;
    assert_int_equal(wr_stream_read2(streams->b, first, 3, second, sizeof(second), &got), WEIR_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(first, "abc", 3);
    assert_memory_equal(second, "de", 2);
}

static void empty_stream_would_block(void **state)
{
    pair *streams = *state;
    char byte;
    size_t got = 7;
    assert_int_equal(wr_stream_read(streams->a, &byte, 1, &got), WEIR_ERR_WOULD_BLOCK);
    assert_int_equal(got, 7);
}

static void transfer_of_nothing_is_refused(void **state)
{
    pair *streams = *state;
    const wr_slice slice = {"", 0};
    size_t moved = 7;
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &moved), WEIR_ERR_INVALID);
    assert_int_equal(wr_stream_read(streams->a, &moved, 0, &moved), WEIR_ERR_INVALID);
    assert_int_equal(moved, 7);
}

static void full_stream_would_block(void **state)
{
    pair *streams = *state;
    static char block[65536];
    const wr_slice slice = {block, sizeof(block)};
    size_t sent = 0;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK) {
        err = wr_stream_write(streams->a, &slice, 1, &sent);
    }
    assert_int_equal(err, WEIR_ERR_WOULD_BLOCK);
}

static void more_slices_than_fit_are_sent_in_part(void **state)
{
    pair *streams = *state;
    wr_slice slices[WR_SLICES_MAX + 1];
    for (size_t i = 0; i < WR_SLICES_MAX + 1; i++) {
        slices[i] = (wr_slice){"x", 1};
    }
    size_t sent = 0;
    assert_int_equal(wr_stream_write(streams->a, slices, WR_SLICES_MAX + 1, &sent), WEIR_OK);
    assert_int_equal(sent, WR_SLICES_MAX);
}

static void read_after_the_peer_closed_gives_the_rest_then_closed(void **state)
{
    pair *streams = *state;
    const wr_slice slice = {"z", 1};
    size_t moved = 0;
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &moved), WEIR_OK);
    wr_stream_close(streams->a);
    streams->a = NULL;
    char byte;
    assert_int_equal(wr_stream_read(streams->b, &byte, 1, &moved), WEIR_OK);
    assert_int_equal(byte, 'z');
    assert_int_equal(wr_stream_read(streams->b, &byte, 1, &moved), WEIR_ERR_CLOSED);
}

static void write_after_the_peer_closed_is_closed_without_a_signal(void **state)
{
    pair *streams = *state;
    wr_stream_close(streams->a);
    streams->a = NULL;
    const wr_slice slice = {"z", 1};
    size_t sent = 0;
    assert_int_equal(wr_stream_write(streams->b, &slice, 1, &sent), WEIR_ERR_CLOSED);
}

static void input_that_was_ended_gives_the_rest_then_closed(void **state)
{
    pair *streams = *state;
    const wr_slice slice = {"abc", 3};
    char data[8];
    size_t got = 0;
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &got), WEIR_OK);
    wr_stream_end_input(streams->b);
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &got), WEIR_ERR_CLOSED);
    assert_int_equal(wr_stream_read(streams->b, data, sizeof(data), &got), WEIR_OK);
    assert_int_equal(got, 3);
    assert_int_equal(wr_stream_read(streams->b, data, sizeof(data), &got), WEIR_ERR_CLOSED);
    assert_int_equal(wr_stream_write(streams->b, &slice, 1, &got), WEIR_OK);
}

static void peer_user_is_this_user(void **state)
{
    pair *streams = *state;
    uint32_t user = UINT32_MAX;
    assert_int_equal(wr_stream_peer_user(streams->a, &user), WEIR_OK);
    assert_int_equal(user, geteuid());
}

static void pipe_has_no_peer_user(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    wr_stream *stream = NULL;
    assert_int_equal(wr_stream_adopt(ends[0], &stream), WEIR_OK);
    uint32_t user;
    assert_int_equal(wr_stream_peer_user(stream, &user), WEIR_ERR_UNSUPPORTED);
    wr_stream_close(stream);
    close(ends[1]);
}

static void streams_never_block_nor_leak_into_children(void **state)
{
    pair *streams = *state;
    int fd = (int)wr_stream_waitable(streams->a);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void connect_to_nothing_is_not_found(void **state)
{
    (void)state;
    wr_stream *stream = NULL;
    wr_error error;
    assert_int_equal(wr_stream_connect("no/such/socket", &stream, &error), WEIR_ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "'no/such/socket'"));
    assert_int_equal(wr_stream_connect("no/such/socket", &stream, NULL), WEIR_ERR_NOT_FOUND);
    assert_null(stream);
}

static void connect_to_an_empty_path_is_invalid(void **state)
{
    (void)state;
    wr_stream *stream = NULL;
    wr_error error;
    assert_int_equal(wr_stream_connect("", &stream, &error), WEIR_ERR_INVALID);
}

static void connect_to_a_path_over_the_limit_says_so(void **state)
{
    (void)state;
    char path[WR_ADDRESS_MAX + 2];
    memset(path, 'p', sizeof(path));
    path[WR_ADDRESS_MAX + 1] = '\0';
    wr_stream *stream = NULL;
    wr_error error;
    assert_int_equal(wr_stream_connect(path, &stream, &error), WEIR_ERR_TOO_LARGE);
    assert_non_null(strstr(error.text, "107"));
    path[WR_ADDRESS_MAX] = '\0';
    assert_int_equal(wr_stream_connect(path, &stream, &error), WEIR_ERR_NOT_FOUND);
}

static void connect_to_a_regular_file_is_closed(void **state)
{
    (void)state;
    char *folder = NULL;
    assert_int_equal(wr_folder_create_private("weir-test", &folder, NULL), WEIR_OK);
    char path[WR_ADDRESS_MAX + 1];
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    wr_stream *stream = NULL;
    wr_error error;
    assert_int_equal(wr_stream_connect(path, &stream, &error), WEIR_ERR_CLOSED);
    assert_non_null(strstr(error.text, "nobody listens"));
    wr_file_remove(path);
    wr_file_remove(folder);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slices_arrive_in_order, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(empty_stream_would_block, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(transfer_of_nothing_is_refused, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(full_stream_would_block, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(more_slices_than_fit_are_sent_in_part, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(read_after_the_peer_closed_gives_the_rest_then_closed,
                                        open_pair, close_pair),
        cmocka_unit_test_setup_teardown(write_after_the_peer_closed_is_closed_without_a_signal,
                                        open_pair, close_pair),
        cmocka_unit_test_setup_teardown(input_that_was_ended_gives_the_rest_then_closed, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(peer_user_is_this_user, open_pair, close_pair),
        cmocka_unit_test(pipe_has_no_peer_user),
        cmocka_unit_test_setup_teardown(streams_never_block_nor_leak_into_children, open_pair,
                                        close_pair),
        cmocka_unit_test(connect_to_nothing_is_not_found),
        cmocka_unit_test(connect_to_an_empty_path_is_invalid),
        cmocka_unit_test(connect_to_a_path_over_the_limit_says_so),
        cmocka_unit_test(connect_to_a_regular_file_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
