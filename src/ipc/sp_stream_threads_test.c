/* SPDX-License-Identifier: MIT
 *
 * Test of the SP stream with four threads: both halves of both ends at work at the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ipc/sp_stream.h"
#include "platform/poller.h"
#include "platform/thread.h"

#define ROUNDS 4000u
/* The largest frame. */
#define DATA_SIZE 100000u

static uint8_t *make_data(void)
{
    uint8_t *data = malloc(DATA_SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < DATA_SIZE; i++) {
        data[i] = (uint8_t)(i * 31 + i / 251);
    }
    return data;
}

static void count_release(void *owner)
{
    *(size_t *)owner += 1;
}

static size_t size_of_round(size_t round)
{
    static const size_t sizes[] = {0,         1,  64,  1000, WR_SP_COPY_MAX, WR_SP_COPY_MAX + 1,
                                   DATA_SIZE, 16, 300, 9};
    return sizes[(round * 7 + round / 13) % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* One end with both of its halves at work. */
typedef struct end {
    wr_sp_stream *sp;
    const uint8_t *data;
    wr_poller *send_poller;
    wr_poller *receive_poller;
    size_t released;
    wr_thread sender;
    wr_thread receiver;
} end;

static void wait_for(wr_poller *poller, const end *e, unsigned events)
{
    wr_poll_event event;
    wr_waitable what = wr_stream_waitable(wr_sp_inner(e->sp));
    assert_int_equal(WEIR_OK, wr_poller_set(poller, what, events, NULL));
    (void)wr_poller_wait(poller, &event, 1, -1);
}

/* Before the greeting a connection can be written and yet a flush has to wait: the receiving half
 * wakes this poller when it has seen it. */
static void wait_to_send(end *e)
{
    wait_for(e->send_poller, e, wr_sp_greeted(e->sp) ? WR_POLL_WRITE : 0);
}

static void flush_all(end *e)
{
    weir_err err;
    while ((err = wr_sp_flush(e->sp)) == WEIR_ERR_WOULD_BLOCK) {
        wait_to_send(e);
    }
    assert_int_equal(WEIR_OK, err);
}

static void run_sender(void *arg)
{
    end *e = arg;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t size = size_of_round(round);
        weir_err err;
        while ((err = wr_sp_send(e->sp, e->data, size, count_release, &e->released)) ==
               WEIR_ERR_WOULD_BLOCK) {
            wait_to_send(e);
        }
        assert_int_equal(WEIR_OK, err);
    }
    flush_all(e);
}

static void run_receiver(void *arg)
{
    end *e = arg;
    bool greeted = false;
    for (size_t round = 0; round < ROUNDS;) {
        wr_sp_frame frame;
        weir_err err = wr_sp_receive(e->sp, &frame, NULL);
        if (!greeted && wr_sp_greeted(e->sp)) {
            greeted = true;
            wr_poller_wake(e->send_poller);
        }
        if (err == WEIR_ERR_WOULD_BLOCK) {
            wait_for(e->receive_poller, e, WR_POLL_READ);
            continue;
        }
        assert_int_equal(WEIR_OK, err);
        assert_int_equal(size_of_round(round), frame.size);
        assert_memory_equal(e->data, frame.data, frame.size);
        round++;
    }
}

static void start_end(end *e, wr_stream *stream, const uint8_t *data)
{
    wr_sp_options options = {.frame_limit = DATA_SIZE};
    e->data = data;
    assert_int_equal(WEIR_OK, wr_sp_create(stream, &options, &e->sp));
    assert_int_equal(WEIR_OK, wr_poller_create(&e->send_poller));
    assert_int_equal(WEIR_OK, wr_poller_create(&e->receive_poller));
    assert_int_equal(WEIR_OK, wr_thread_start(&e->sender, "sender", run_sender, e));
    assert_int_equal(WEIR_OK, wr_thread_start(&e->receiver, "receiver", run_receiver, e));
}

static void both_halves_of_both_ends_work_at_once(void **state)
{
    (void)state;
    uint8_t *data = make_data();
    wr_stream *streams[2] = {NULL, NULL};
    end ends[2] = {0};
    assert_int_equal(WEIR_OK, wr_stream_pair(&streams[0], &streams[1]));
    for (size_t i = 0; i < 2; i++) {
        start_end(&ends[i], streams[i], data);
    }
    for (size_t i = 0; i < 2; i++) {
        wr_thread_join(&ends[i].sender);
        wr_thread_join(&ends[i].receiver);
        assert_int_equal(ROUNDS, ends[i].released);
    }
    for (size_t i = 0; i < 2; i++) {
        wr_poller_destroy(ends[i].send_poller);
        wr_poller_destroy(ends[i].receive_poller);
        wr_sp_destroy(ends[i].sp);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_halves_of_both_ends_work_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
