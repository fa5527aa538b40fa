/* SPDX-License-Identifier: MIT
 *
 * Publishing through a channel with shared memory: how far the peer is, is seen and not told.
 */
#include "ipc/sharing_test.h"
#include "remote/transmit.h"

/* Receive all that is there, and answer with the pool. Returns how many. */
static uint64_t receive_all(wr_channel *from)
{
    uint64_t count = 0;
    weir_message *msg = NULL;
    while ((msg = receive(from)) != NULL) {
        weir_message_unref(msg);
        count++;
    }
    assert_int_equal(WEIR_OK, wr_channel_flush(from));
    return count;
}

static void publish(wr_transmit *tx)
{
    weir_message *msg = make(LARGE, 1);
    assert_int_equal(WEIR_OK, wr_transmit_publish(tx, msg, false));
    weir_message_unref(msg);
}

/* The window fills, messages wait; the peer processes all, and says so in its memory only. What is
 * published next is not alone to go on. */
static void what_waits_goes_on_with_the_next_that_is_published(void **state)
{
    enum { WAITING = 10 };
    (void)state;
    wr_channel *channels[2] = {NULL, NULL};
    wr_poller *poller = NULL;
    wr_transmit tx;
    open_ends(&channels[0], &channels[1], true);
    assert_int_equal(WEIR_OK, wr_poller_create(&poller));
    wr_transmit_init(&tx, "test", poller);
    (void)wr_transmit_agree(&tx, LIMIT, true, (wr_progress){0, 0}, 0);
    wr_transmit_open(&tx);
    wr_transmit_connect(&tx, channels[0]);
    publish(&tx);
    wr_transmit_drain(&tx);
    uint64_t arrived = receive_all(channels[1]);
    assert_null(receive(channels[0]));
    uint64_t published = 1;
    while (wr_transmit_get_state(&tx).waiting < WAITING) {
        publish(&tx);
        published++;
    }
    wr_transmit_drain(&tx);
    arrived += receive_all(channels[1]);
    assert_int_equal(published - WAITING, arrived);
    assert_true(wr_channel_peer_waits(channels[1]));
    wr_channel_set_processed(channels[1], arrived);
    publish(&tx);
    assert_int_equal(0, wr_transmit_get_state(&tx).waiting);
    wr_transmit_work(&tx);
    wr_transmit_leave(&tx);
    arrived += receive_all(channels[1]);
    assert_int_equal(published + 1, arrived);
    assert_false(wr_channel_peer_waits(channels[1]));
    wr_transmit_disconnect(&tx);
    wr_transmit_deinit(&tx);
    wr_poller_destroy(poller);
    wr_message_place_set(NULL);
    wr_channel_destroy(channels[0]);
    wr_channel_destroy(channels[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_goes_on_with_the_next_that_is_published),
    };
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
