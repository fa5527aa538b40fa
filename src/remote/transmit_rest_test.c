/* SPDX-License-Identifier: MIT
 *
 * The publishing queue after a burst: its memory is given back, without waiting for anybody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/message.h"
#include "platform/clock.h"
#include "remote/transmit.h"

#define BURST 1000u

static wr_poller *poller;
static wr_channel *channels[2];

static uint64_t receive_all(wr_channel *from)
{
    uint64_t count = 0;
    weir_message *msg = NULL;
    while (wr_channel_receive(from, &msg, NULL) == WEIR_OK) {
        weir_message_unref(msg);
        count++;
    }
    return count;
}

static void open_queue(wr_transmit *tx)
{
    wr_stream *streams[2] = {NULL, NULL};
    assert_int_equal(wr_stream_pair(&streams[0], &streams[1]), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wr_channel_create(streams[i], WR_MESSAGE_LIMIT_DEFAULT, &channels[i]),
                         WEIR_OK);
    }
    (void)receive_all(channels[0]); /* greetings */
    (void)receive_all(channels[1]);
    assert_int_equal(wr_poller_create(&poller), WEIR_OK);
    wr_transmit_init(tx, "test", poller);
    (void)wr_transmit_agree(tx, WR_MESSAGE_LIMIT_DEFAULT, true, (wr_progress){0, 0}, 0);
    wr_transmit_open(tx);
    (void)receive_all(channels[0]);
    wr_transmit_connect(tx, channels[0]);
}

static void close_queue(wr_transmit *tx)
{
    wr_transmit_disconnect(tx);
    wr_transmit_deinit(tx);
    wr_poller_destroy(poller);
    wr_channel_destroy(channels[0]);
    wr_channel_destroy(channels[1]);
}

/* Publish so many, which arrive. */
static void publish(wr_transmit *tx, unsigned count)
{
    uint64_t arrived = 0;
    for (unsigned n = 0; n < count; n++) {
        weir_message *msg = NULL;
        assert_int_equal(weir_message_new(NULL, 0, &n, sizeof(n), &msg), WEIR_OK);
        assert_int_equal(wr_transmit_publish(tx, msg, false), WEIR_OK);
        weir_message_unref(msg);
        wr_transmit_work(tx);
        arrived += receive_all(channels[1]);
    }
    assert_int_equal(arrived, count);
}

static void end_lull(wr_transmit *tx)
{
    assert_true(tx->lull.runs);
    tx->lull_end_ns = wr_clock_ns();
}

static void memory_of_a_burst_is_given_back_after_it(void **state)
{
    (void)state;
    wr_transmit tx;
    open_queue(&tx);
    publish(&tx, BURST);
    size_t capacity = tx.window.capacity;
    uint64_t bytes = tx.window.copies.capacity;
    assert_int_equal(wr_transmit_rest(&tx), -1); /* while it is not acknowledged */
    assert_int_equal(wr_transmit_acknowledge(&tx, BURST), WEIR_OK);
    assert_in_range(wr_transmit_rest(&tx), 1, WR_LULL_MS + 1);
    assert_int_equal(tx.window.capacity, capacity);
    end_lull(&tx);
    assert_int_equal(wr_transmit_rest(&tx), -1);
    assert_true(tx.window.capacity < capacity);
    assert_true(tx.window.copies.capacity < bytes);
    publish(&tx, 3);
    close_queue(&tx);
}

static void burst_that_goes_on_keeps_its_memory(void **state)
{
    (void)state;
    wr_transmit tx;
    open_queue(&tx);
    publish(&tx, BURST);
    assert_int_equal(wr_transmit_acknowledge(&tx, BURST), WEIR_OK);
    publish(&tx, BURST);
    assert_int_equal(wr_transmit_acknowledge(&tx, 2ull * BURST), WEIR_OK);
    size_t capacity = tx.window.capacity;
    end_lull(&tx);
    assert_in_range(wr_transmit_rest(&tx), 1, WR_LULL_MS + 1); /* the next one */
    assert_int_equal(tx.window.capacity, capacity);
    close_queue(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_a_burst_is_given_back_after_it),
        cmocka_unit_test(burst_that_goes_on_keeps_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
