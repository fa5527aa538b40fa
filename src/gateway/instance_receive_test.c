/* SPDX-License-Identifier: MIT
 *
 * Tests of how a native module is given its messages.
 */
#include "gateway/instance_receive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "broker/broker_test.h"
#include "gateway/watchdog.h"
#include "platform/clock.h"

#define MESSAGES WR_NODE_BATCH
#define LINGER_NS (20 * WR_NS_PER_MS) /* far less than it has */

/* An instance with a module that stays in receive until its node is being closed, and a little
 * longer: each time. */
typedef struct slow {
    wr_instance instance;
    wr_broker *broker;
    wr_node *source;
    atomic_bool inside;
    size_t received;
} slow;

static void stay(slow *self, size_t count)
{
    self->received += count;
    atomic_store(&self->inside, true);
    while (!wr_node_is_closing(self->instance.node)) {
        wr_thread_relax();
    }
    uint64_t end_ns = wr_clock_ns() + LINGER_NS;
    while (wr_clock_ns() < end_ns) {
        wr_thread_relax();
    }
}

static void receive(void *self, weir_message *msg)
{
    (void)msg;
    stay(self, 1);
}

static void receive_many(void *self, weir_message **msgs, size_t count)
{
    (void)msgs;
    stay(self, count);
}

static const weir_module_api one_by_one = {.receive = receive};
static const weir_module_api many_at_once = {.receive_many = receive_many};

/* In receive, with a batch. */
static void begin(slow *self, const weir_module_api *api, wr_watchdog *dog)
{
    memset(self, 0, sizeof(*self));
    self->instance.native.api = api;
    self->instance.self = self;
    assert_int_equal(wr_broker_create(1, &self->broker), WEIR_OK);
    wr_executor *pool = wr_broker_pool(self->broker);
    assert_int_equal(wr_node_create("source", pool, false, &self->source), WEIR_OK);
    assert_int_equal(wr_node_create("slow", pool, false, &self->instance.node), WEIR_OK);
    wr_node *node = self->instance.node;
    assert_int_equal(wr_node_set_consumer(node, &wr_native_consumer, &self->instance), WEIR_OK);
    if (dog != NULL) {
        assert_int_equal(wr_watchdog_add(dog, &self->instance.watched, "slow"), WEIR_OK);
    }
    const wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    assert_int_equal(wr_broker_link(self->broker, self->source, node, config), WEIR_OK);
    for (size_t i = 0; i < MESSAGES; i++) {
        weir_message *msg = test_message(i);
        assert_int_equal(wr_node_publish(self->source, msg, WR_PUBLISH_TRY), WEIR_OK);
        weir_message_unref(msg);
    }
    wr_node_start(node);
    while (!atomic_load(&self->inside)) {
        wr_thread_relax();
    }
}

static void check_counts(void *user, const wr_link *link)
{
    const slow *self = user;
    wr_mailbox_counts counts = wr_mailbox_count(&link->box);
    assert_int_equal(counts.accepted, MESSAGES);
    assert_int_equal(counts.delivered, self->received);
    assert_int_equal(counts.dropped_closed, MESSAGES - self->received);
    assert_int_equal(counts.queued, 0);
}

/* It is closed, and got so many. */
static void clean_up(slow *self, size_t received)
{
    uint64_t dropped = 0;
    assert_int_equal(self->received, received);
    wr_broker_each_link(self->broker, check_counts, self);
    assert_int_equal(wr_broker_close(self->broker, self->source, test_deadline(), &dropped),
                     WEIR_OK);
    wr_watchdog_remove(&self->instance.watched);
    wr_node_unref(self->instance.node);
    wr_node_unref(self->source);
    wr_broker_destroy(self->broker, false);
}

/* It is in time for any deadline: a module that returns is not stuck. */
static void end(slow *self, size_t received)
{
    uint64_t dropped = 0;
    assert_int_equal(wr_broker_close(self->broker, self->instance.node, test_deadline(), &dropped),
                     WEIR_OK);
    assert_int_equal(dropped, MESSAGES - received);
    clean_up(self, received);
}

static void closed_module_is_given_no_other_message(void **state)
{
    (void)state;
    slow self;
    begin(&self, &one_by_one, NULL);
    end(&self, 1);
}

static void watched_module_is_given_none_either(void **state)
{
    (void)state;
    wr_watchdog *dog = NULL;
    slow self;
    assert_int_equal(wr_watchdog_create(UINT64_MAX / 2, UINT64_MAX / 2, &dog), WEIR_OK);
    begin(&self, &one_by_one, dog);
    end(&self, 1);
    wr_watchdog_stop(dog);
    wr_watchdog_destroy(dog);
}

static void several_at_once_are_one_call(void **state)
{
    (void)state;
    slow self;
    begin(&self, &many_at_once, NULL);
    end(&self, MESSAGES);
}

/* One before it, which was slow to be destroyed, may have used up all the time. */
static void module_that_comes_late_to_its_end_is_not_stuck(void **state)
{
    (void)state;
    slow self;
    wr_module_config config = {.name = "slow"};
    begin(&self, &one_by_one, NULL);
    self.instance.config = &config;
    assert_int_equal(wr_instance_end(&self.instance, self.broker, 0, 0), WEIR_OK);
    clean_up(&self, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_module_is_given_no_other_message),
        cmocka_unit_test(watched_module_is_given_none_either),
        cmocka_unit_test(several_at_once_are_one_call),
        cmocka_unit_test(module_that_comes_late_to_its_end_is_not_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
