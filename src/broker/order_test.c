/* SPDX-License-Identifier: MIT
 *
 * Tests of the order of stopping.
 */
#include "broker/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/broker_test.h"

/* Order the nodes as listed in `given`, a string of digits, and compare with `wanted`, likewise
 * with a space between two waves. */
static void check_order(test_net *net, const char *given, const char *wanted)
{
    wr_node *nodes[TEST_NODES_MAX];
    size_t waves[TEST_NODES_MAX];
    size_t count = strlen(given);
    size_t wave = 0;
    for (size_t i = 0; i < count; i++) {
        nodes[i] = net->nodes[given[i] - '0'];
    }
    assert_int_equal(wr_broker_order(net->broker, nodes, count, waves), WEIR_OK);
    for (size_t i = 0; i < count; i++, wanted++) {
        if (wanted[0] == ' ') {
            wave++;
            wanted++;
        }
        assert_ptr_equal(nodes[i], net->nodes[wanted[0] - '0']);
        assert_int_equal(waves[i], wave);
    }
    assert_string_equal(wanted, "");
}

static void link_pairs(test_net *net, const char *pairs)
{
    const wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    for (; pairs[0] != '\0'; pairs += pairs[2] == ' ' ? 3 : 2) {
        assert_int_equal(wr_broker_link(net->broker, net->nodes[pairs[0] - '0'],
                                        net->nodes[pairs[1] - '0'], config),
                         WEIR_OK);
    }
}

static void nodes_without_links_stop_side_by_side_in_their_given_order(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    check_order(net, "201", "201");
    check_order(net, "", "");
    test_net_finish(net);
}

static void sources_stop_before_what_they_feed(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 5);
    link_pairs(net, "43 32 21 10 42");
    check_order(net, "01234", "4 3 2 1 0");
    check_order(net, "43210", "4 3 2 1 0");
    test_net_finish(net);
}

static void both_arms_of_a_diamond_stop_side_by_side_before_its_end(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 4);
    link_pairs(net, "31 32 10 20");
    check_order(net, "0123", "3 12 0");
    test_net_finish(net);
}

static void cycle_stops_at_its_first_node(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 3);
    link_pairs(net, "01 12 20");
    check_order(net, "012", "0 1 2");
    check_order(net, "201", "2 0 1");
    test_net_finish(net);
}

static void what_a_cycle_feeds_stops_after_the_cycle(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 6);
    link_pairs(net, "12 21 20 54 43 34 41 55");
    /* 5 feeds itself and, at 4, the cycle 3-4, which feeds, from 4 to 1, the cycle 1-2, which feeds
     * 0. Nothing that waits feeds 1 when 4 has stopped. */
    check_order(net, "012345", "5 4 13 2 0");
    test_net_finish(net);
}

static void links_to_nodes_that_are_not_listed_do_not_count(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 5);
    link_pairs(net, "43 32 21 10");
    check_order(net, "01234", "4 3 2 1 0");
    check_order(net, "13", "13"); /* the others still know a place from before */
    check_order(net, "012", "2 1 0");
    test_net_finish(net);
}

static void cycle_is_cut_where_it_is_entered(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 5);
    link_pairs(net, "01 12 20 31 44");
    check_order(net, "01234", "34 1 2 0");
    check_order(net, "012", "0 1 2");
    test_net_finish(net);
}

static void cycles_in_a_cycle_are_cut_as_they_are_met(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 5);
    link_pairs(net, "01 12 23 30 21 13 40");
    check_order(net, "01234", "4 0 1 2 3");
    check_order(net, "3210", "3 0 1 2");
    test_net_finish(net);
}

static void two_cycles_stop_side_by_side(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 4);
    link_pairs(net, "01 10 23 32");
    check_order(net, "0123", "02 13");
    test_net_finish(net);
}

static void cycle_comes_after_all_that_feeds_it(void **state)
{
    (void)state;
    test_net *net = test_net_begin(1, 5);
    link_pairs(net, "03 34 43 12 24"); /* 3-4 is entered at both */
    check_order(net, "01234", "01 2 3 4");
    test_net_finish(net);
    net = test_net_begin(1, 4);
    link_pairs(net, "02 20 13 31 12"); /* 1-3 feeds 0-2 */
    check_order(net, "0123", "1 03 2");
    test_net_finish(net);
}

#define RANDOM_NODES TEST_NODES_MAX
#define RANDOM_NETS 300

static void link_at_random(test_net *net, uint32_t *random, bool feeds[RANDOM_NODES][RANDOM_NODES])
{
    const wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    memset(feeds, 0, sizeof(bool[RANDOM_NODES][RANDOM_NODES]));
    *random = *random * 1664525u + 1013904223u;
    for (uint32_t left = (*random >> 16) % 20; left > 0; left--) {
        *random = *random * 1664525u + 1013904223u;
        size_t source = (*random >> 16) % RANDOM_NODES;
        size_t sink = (*random >> 20) % RANDOM_NODES;
        weir_err err = wr_broker_link(net->broker, net->nodes[source], net->nodes[sink], config);
        assert_int_equal(err, feeds[source][sink] ? WEIR_ERR_EXISTS : WEIR_OK);
        feeds[source][sink] = true;
    }
}

static void find_reached(bool feeds[RANDOM_NODES][RANDOM_NODES],
                         bool reaches[RANDOM_NODES][RANDOM_NODES])
{
    memcpy(reaches, feeds, sizeof(bool[RANDOM_NODES][RANDOM_NODES]));
    for (size_t by = 0; by < RANDOM_NODES; by++) {
        for (size_t i = 0; i < RANDOM_NODES * RANDOM_NODES; i++) {
            size_t from = i / RANDOM_NODES, to = i % RANDOM_NODES;
            reaches[from][to] = reaches[from][to] || (reaches[from][by] && reaches[by][to]);
        }
    }
}

static void links_lead_to_later_waves_but_in_cycles(void **state)
{
    (void)state;
    uint32_t random = 1; /* each net is made from what the one before left */
    for (int net_number = 0; net_number < RANDOM_NETS; net_number++) {
        bool feeds[RANDOM_NODES][RANDOM_NODES], reaches[RANDOM_NODES][RANDOM_NODES];
        wr_node *nodes[RANDOM_NODES];
        size_t waves[RANDOM_NODES], wave_of[RANDOM_NODES];
        test_net *net = test_net_begin(1, RANDOM_NODES);
        link_at_random(net, &random, feeds);
        find_reached(feeds, reaches);
        memcpy(nodes, net->nodes, sizeof(nodes));
        assert_int_equal(wr_broker_order(net->broker, nodes, RANDOM_NODES, waves), WEIR_OK);
        for (size_t i = 0; i < RANDOM_NODES; i++) {
            wave_of[nodes[i]->order] = waves[i]; /* its place as given */
        }
        for (size_t i = 0; i < RANDOM_NODES * RANDOM_NODES; i++) {
            size_t from = i / RANDOM_NODES, to = i % RANDOM_NODES;
            if (from != to && feeds[from][to]) {
                assert_int_not_equal(wave_of[from], wave_of[to]);
                assert_true(wave_of[from] < wave_of[to] || reaches[to][from]);
            }
            for (size_t too = 0; feeds[from][to] && !reaches[to][from] && too < RANDOM_NODES;
                 too++) {
                /* what is in a cycle with the sink is later, too */
                assert_true(wave_of[from] < wave_of[too] || !reaches[to][too] || !reaches[too][to]);
            }
        }
        test_net_finish(net);
    }
}

/* Each feeds its neighbours. What took time by the square of this would not come to an end, and a
 * recursion would not find the memory. */
static void long_chain_of_cycles_is_ordered(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    const wr_queue_config config = WR_QUEUE_CONFIG_DEFAULT;
    test_net *net = test_net_begin(1, 0);
    wr_node **chain = calloc(LONG, sizeof(wr_node *));
    wr_node **nodes = calloc(LONG, sizeof(wr_node *));
    size_t *waves = calloc(LONG, sizeof(*waves));
    assert_true(chain != NULL && nodes != NULL && waves != NULL);
    for (size_t i = 0; i < LONG; i++) {
        assert_int_equal(wr_node_create("", wr_broker_pool(net->broker), false, &chain[i]),
                         WEIR_OK);
        nodes[i] = chain[i];
    }
    for (size_t i = 1; i < LONG; i++) {
        assert_int_equal(wr_broker_link(net->broker, chain[i - 1], chain[i], config), WEIR_OK);
        assert_int_equal(wr_broker_link(net->broker, chain[i], chain[i - 1], config), WEIR_OK);
    }
    assert_int_equal(wr_broker_order(net->broker, nodes, LONG, waves), WEIR_OK);
    for (size_t i = 0; i < LONG; i++) {
        assert_ptr_equal(nodes[i], chain[i]);
        assert_int_equal(waves[i], i);
        wr_node_unref(chain[i]);
    }
    free(chain);
    free(nodes);
    free(waves);
    test_net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_without_links_stop_side_by_side_in_their_given_order),
        cmocka_unit_test(sources_stop_before_what_they_feed),
        cmocka_unit_test(both_arms_of_a_diamond_stop_side_by_side_before_its_end),
        cmocka_unit_test(cycle_stops_at_its_first_node),
        cmocka_unit_test(what_a_cycle_feeds_stops_after_the_cycle),
        cmocka_unit_test(links_to_nodes_that_are_not_listed_do_not_count),
        cmocka_unit_test(cycle_is_cut_where_it_is_entered),
        cmocka_unit_test(cycles_in_a_cycle_are_cut_as_they_are_met),
        cmocka_unit_test(two_cycles_stop_side_by_side),
        cmocka_unit_test(cycle_comes_after_all_that_feeds_it),
        cmocka_unit_test(links_lead_to_later_waves_but_in_cycles),
        cmocka_unit_test(long_chain_of_cycles_is_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
