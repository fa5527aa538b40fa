/* SPDX-License-Identifier: MIT
 *
 * Tests of where a thread that publishes bulk messages builds its next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"
#include "message/message.h"
#include "message/place.h"

#define SOURCE 0u
#define NEAR 1u /* a sink that has no place */
#define FAR 2u  /* one that has */

/* A place without room: what is asked of it is all that counts here. */
typedef struct test_place {
    wr_message_place base; /* first */
    atomic_uint refs;
    atomic_uint asked; /* of the consumer */
} test_place;

static void *get_nothing(wr_message_place *place, size_t size)
{
    (void)place;
    (void)size;
    return NULL;
}

static void ref_place(wr_message_place *place)
{
    atomic_fetch_add(&((test_place *)place)->refs, 1);
}

static void unref_place(wr_message_place *place)
{
    atomic_fetch_sub(&((test_place *)place)->refs, 1);
}

static const wr_message_place_ops ops = {
    .get = get_nothing, .ref = ref_place, .unref = unref_place};
static test_place place = {.base = {.ops = &ops}};

static void set_place(void *self)
{
    (void)self;
    atomic_fetch_add(&place.asked, 1);
    wr_message_place_set(&place.base);
}

static size_t take_all(void *self, weir_message **msgs, size_t count)
{
    (void)self;
    (void)msgs;
    return count;
}

static const wr_consumer near_consumer = {.consume = take_all, .release = test_sink_release};
static const wr_consumer far_consumer = {
    .consume = take_all, .release = test_sink_release, .place = set_place};

/* Three nodes without links. */
static int begin(void **state)
{
    test_net *net = test_net_begin(1, 3);
    for (size_t i = 0; i < net->count; i++) {
        const wr_consumer *consumer = i == FAR ? &far_consumer : &near_consumer;
        assert_int_equal(wr_node_set_consumer(net->nodes[i], consumer, &net->sinks[i]), WEIR_OK);
    }
    test_net_start(net);
    atomic_store(&place.asked, 0);
    *state = net;
    return 0;
}

/* A test that leaves a thread with the place fails. */
static int finish(void **state)
{
    test_net_finish(*state);
    wr_message_place_set(NULL);
    return atomic_load(&place.refs) == 0 ? 0 : -1;
}

static void publish(test_net *net, size_t size)
{
    static const char content[WR_MESSAGE_BULK_MIN];
    weir_message *msg = NULL;
    assert_int_equal(weir_message_new(NULL, 0, content, size, &msg), WEIR_OK);
    assert_int_equal(wr_node_publish(net->nodes[SOURCE], msg, WR_PUBLISH_WAIT), WEIR_OK);
    weir_message_unref(msg);
}

static void publish_bulk(test_net *net)
{
    publish(net, WR_MESSAGE_BULK_MIN);
}

static void link_to(test_net *net, size_t sink)
{
    (void)test_net_link(net, SOURCE, sink, 1024, WR_WHEN_FULL_BLOCK);
}

static void a_bulk_message_asks_its_only_sink_for_a_place(void **state)
{
    test_net *net = *state;
    link_to(net, FAR);
    publish_bulk(net);
    assert_int_equal(atomic_load(&place.asked), 1);
    assert_ptr_equal(wr_message_place_now(), &place);
    publish_bulk(net);
    assert_int_equal(atomic_load(&place.asked), 2);
    assert_int_equal(atomic_load(&place.refs), 1);
}

static void small_messages_change_nothing(void **state)
{
    test_net *net = *state;
    link_to(net, FAR);
    publish(net, WR_MESSAGE_BULK_MIN - 1);
    assert_null(wr_message_place_now());
    wr_message_place_set(&place.base);
    assert_int_equal(wr_broker_unlink(net->broker, net->nodes[SOURCE], net->nodes[FAR]), WEIR_OK);
    link_to(net, NEAR);
    publish(net, 0);
    assert_ptr_equal(wr_message_place_now(), &place);
    assert_int_equal(atomic_load(&place.asked), 0);
}

static void a_sink_without_a_place_ends_it(void **state)
{
    test_net *net = *state;
    link_to(net, NEAR);
    wr_message_place_set(&place.base);
    publish_bulk(net);
    assert_null(wr_message_place_now());
}

static void several_sinks_end_it(void **state)
{
    test_net *net = *state;
    link_to(net, FAR);
    link_to(net, NEAR);
    wr_message_place_set(&place.base);
    publish_bulk(net);
    assert_null(wr_message_place_now());
    assert_int_equal(atomic_load(&place.asked), 0);
}

static void publish_and_end(void *arg)
{
    publish_bulk(arg);
    assert_ptr_equal(wr_message_place_now(), &place);
}

static void it_is_the_publishing_threads(void **state)
{
    test_net *net = *state;
    link_to(net, FAR);
    wr_thread threads[2] = {{.started = false}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wr_thread_start(&threads[i], "publish", publish_and_end, net), WEIR_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        wr_thread_join(&threads[i]);
    }
    assert_int_equal(atomic_load(&place.asked), 2);
    assert_null(wr_message_place_now());
}

#define WITH_NET(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NET(a_bulk_message_asks_its_only_sink_for_a_place),
        WITH_NET(small_messages_change_nothing),
        WITH_NET(a_sink_without_a_place_ends_it),
        WITH_NET(several_sinks_end_it),
        WITH_NET(it_is_the_publishing_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
