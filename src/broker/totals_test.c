/* SPDX-License-Identifier: MIT
 *
 * A message that was delivered and is dropped after all is counted at the link that it came from,
 * wherever that is by now.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_test.h"

enum { SOURCE, SINK, OTHER };

static void assert_counts(wr_mailbox_counts counts, uint64_t delivered, uint64_t poison)
{
    assert_int_equal(counts.delivered, delivered);
    assert_int_equal(counts.dropped_poison, poison);
    assert_int_equal(counts.accepted, delivered + poison);
    assert_int_equal(counts.dropped_full + counts.dropped_closed + counts.queued, 0);
}

static void poison_is_counted_at_its_link_and_after_it(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    wr_link *link = test_net_link(net, SOURCE, SINK, 100, WR_WHEN_FULL_BLOCK);
    wr_link *other = test_net_link(net, SOURCE, OTHER, 100, WR_WHEN_FULL_BLOCK);
    test_net_start(net);
    test_net_flood(net, SOURCE, 5);
    test_net_expect(net, SINK, 5);
    test_net_expect(net, OTHER, 5);
    assert_true(wr_broker_drain(net->broker, net->nodes[SINK], test_deadline()));
    assert_true(wr_broker_drain(net->broker, net->nodes[OTHER], test_deadline()));
    uint64_t number = wr_node_consuming(net->nodes[SINK]);
    assert_int_equal(number, link->number);
    assert_int_not_equal(number, wr_node_consuming(net->nodes[OTHER]));

    wr_broker_count_late(net->broker, number, WR_LATE_POISON); /* while it is in use, */
    assert_counts(wr_mailbox_count(&link->box), 4, 1);
    assert_counts(wr_mailbox_count(&other->box), 5, 0);
    assert_counts(wr_broker_add_up(net->broker).counts, 9, 1);

    wr_link_ref(link);
    assert_int_equal(wr_broker_unlink(net->broker, net->nodes[SOURCE], net->nodes[SINK]), WEIR_OK);
    wr_broker_count_late(net->broker, number, WR_LATE_POISON); /* when it is removed, */
    assert_counts(wr_mailbox_count(&link->box), 3, 2);
    assert_counts(wr_broker_add_up(net->broker).counts, 8, 2);

    assert_true(wr_node_wait_drained(net->nodes[SINK], NULL, 0, test_deadline()));
    wr_link_unref(link);
    assert_counts(wr_broker_add_up(net->broker).counts, 8, 2);
    wr_broker_count_late(net->broker, number, WR_LATE_POISON); /* and when it is freed */
    assert_counts(wr_broker_add_up(net->broker).counts, 7, 3);
    wr_broker_count_late(net->broker, number, WR_LATE_CLOSED);
    wr_mailbox_counts counts = wr_broker_add_up(net->broker).counts;
    assert_int_equal(counts.dropped_closed, 1);
    assert_int_equal(counts.accepted, counts.delivered + 3 + 1);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poison_is_counted_at_its_link_and_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
