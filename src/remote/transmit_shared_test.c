/* SPDX-License-Identifier: MIT
 *
 * Publishing through a channel with shared memory: how far the peer is, is seen and not told.
 *
 * Linked with --wrap=wr_cond_wait, so that it is known when a publisher waits.
 */
#include <stdatomic.h>

#include "ipc/sharing_test.h"
#include "platform/clock.h"
#include "remote/transmit.h"

#define DEADLINE_NS (60000u * WR_NS_PER_MS) /* that only a broken program reaches */

void __real_wr_cond_wait(wr_cond *cond, wr_mutex *mutex);
void __wrap_wr_cond_wait(wr_cond *cond, wr_mutex *mutex);

static wr_channel *channels[2];
static wr_poller *poller;
static wr_transmit tx;
static wr_thread publisher;
static uint64_t published;
static uint64_t arrived;
static atomic_bool waits; /* somebody does, or will when the mutex is free again */
static atomic_bool done;

void __wrap_wr_cond_wait(wr_cond *cond, wr_mutex *mutex)
{
    atomic_store(&waits, true);
    __real_wr_cond_wait(cond, mutex);
}

/* Receive all that is there, and answer with the pool. */
static void receive_all(wr_channel *from)
{
    weir_message *msg = NULL;
    while ((msg = receive(from)) != NULL) {
        weir_message_unref(msg);
        arrived++;
    }
    assert_int_equal(WEIR_OK, wr_channel_flush(from));
}

static void publish(void)
{
    weir_message *msg = make(LARGE, 1);
    assert_int_equal(WEIR_OK, wr_transmit_publish(&tx, msg, false));
    weir_message_unref(msg);
    published++;
}

static int open_queue(void **state)
{
    (void)state;
    published = 0;
    arrived = 0;
    atomic_store(&waits, false);
    atomic_store(&done, false);
    open_ends(&channels[0], &channels[1], true);
    assert_int_equal(WEIR_OK, wr_poller_create(&poller));
    wr_transmit_init(&tx, "test", poller);
    (void)wr_transmit_agree(&tx, LIMIT, true, (wr_progress){0, 0}, 0);
    wr_transmit_open(&tx);
    wr_transmit_connect(&tx, channels[0]);
    publish();
    wr_transmit_drain(&tx);
    receive_all(channels[1]);
    assert_null(receive(channels[0]));
    return 0;
}

static int close_queue(void **state)
{
    (void)state;
    wr_transmit_disconnect(&tx);
    wr_transmit_deinit(&tx);
    wr_poller_destroy(poller);
    wr_message_place_set(NULL);
    wr_channel_destroy(channels[0]);
    wr_channel_destroy(channels[1]);
    return 0;
}

/* The peer processes all that was sent, and says so in its memory only. */
static void process_all(void)
{
    wr_transmit_drain(&tx);
    receive_all(channels[1]);
    assert_true(wr_channel_peer_waits(channels[1]));
    wr_channel_set_processed(channels[1], arrived);
}

/* The window fills, and messages wait. What is published next is not alone to go on. */
static void what_waits_goes_on_with_the_next_that_is_published(void **state)
{
    enum { WAITING = 10 };
    (void)state;
    while (wr_transmit_get_state(&tx).waiting < WAITING) {
        publish();
    }
    process_all();
    assert_int_equal(published - WAITING, arrived);
    publish();
    assert_int_equal(0, wr_transmit_get_state(&tx).waiting);
    wr_transmit_work(&tx);
    wr_transmit_leave(&tx);
    receive_all(channels[1]);
    assert_int_equal(published, arrived);
    assert_false(wr_channel_peer_waits(channels[1]));
}

static void wait_for(const atomic_bool *flag)
{
    uint64_t deadline_ns = wr_clock_ns() + DEADLINE_NS;
    while (!atomic_load(flag)) {
        assert_true(wr_clock_ns() < deadline_ns);
        wr_thread_yield();
    }
}

static void publish_aside(void *arg)
{
    weir_err *result = arg;
    weir_message *msg = make(LARGE, 1);
    *result = wr_transmit_publish(&tx, msg, true);
    weir_message_unref(msg);
    atomic_store(&done, true);
}

/* The queue is full, too. A callback's publishing, which does not wait, makes room for more. */
static void room_that_a_callback_makes_wakes_who_waits_for_it(void **state)
{
    (void)state;
    if (CALLS_ARE_INLINED) {
        return; /* then nothing tells that the publisher waits */
    }
    weir_err result = WEIR_ERR_STATE;
    while (!wr_transmit_get_state(&tx).full) {
        publish();
    }
    assert_int_equal(WEIR_OK, wr_thread_start(&publisher, "publisher", publish_aside, &result));
    wait_for(&waits);
    process_all();
    wr_transmit_enter(&tx);
    publish();
    wr_transmit_leave(&tx);
    assert_false(wr_transmit_get_state(&tx).full);
    wait_for(&done);
    wr_thread_join(&publisher);
    assert_int_equal(WEIR_OK, result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waits_goes_on_with_the_next_that_is_published,
                                        open_queue, close_queue),
        cmocka_unit_test_setup_teardown(room_that_a_callback_makes_wakes_who_waits_for_it,
                                        open_queue, close_queue),
    };
    if (!wr_shared_memory_supported()) {
        print_message("this system has no shared memory of the kind that is needed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
