/* SPDX-License-Identifier: MIT
 *
 * Publishing inside a module's callbacks: it never waits, and has a limit even so.
 */
#include "module/host.h"
#include "remote/remote_test.h"
#include "remote/transmit.h"

/* A module may poll another remote of its program, whose module is called then. */
static void callback_within_that_of_another_remote_leaves_that_as_it_was(void **state)
{
    (void)state;
    wr_poller *poller = NULL;
    ASSERT_OK(wr_poller_create(&poller));
    wr_transmit one, other;
    wr_transmit_init(&one, "one", poller);
    wr_transmit_init(&other, "other", poller);
    weir_message *msg = message_of("x");
    for (unsigned i = 0; i < WR_TRANSMIT_MESSAGES_MAX; i++) {
        ASSERT_OK(wr_transmit_publish(&one, msg, false));
    }
    wr_transmit_enter(&one);
    wr_transmit_enter(&other);
    ASSERT_OK(wr_transmit_publish(&one, msg, false)); /* over the limit: it may not wait */
    wr_transmit_leave(&other);
    ASSERT_OK(wr_transmit_publish(&one, msg, false));
    wr_transmit_leave(&one);
    assert_int_equal(wr_transmit_publish(&one, msg, false), WEIR_ERR_FULL);
    weir_message_unref(msg);
    wr_transmit_deinit(&other);
    wr_transmit_deinit(&one);
    wr_poller_destroy(poller);
}

static void callback_that_publishes_without_end_is_refused(void **state)
{
    (void)state;
    wr_poller *poller = NULL;
    wr_transmit tx;
    ASSERT_OK(wr_poller_create(&poller));
    wr_transmit_init(&tx, "endless", poller);
    weir_message *msg = message_of("x");
    wr_transmit_enter(&tx);
    for (unsigned i = 0; i < WR_TRANSMIT_MESSAGES_MAX + WR_OVERFLOW_MAX; i++) {
        ASSERT_OK(wr_transmit_publish(&tx, msg, true));
    }
    assert_int_equal(wr_transmit_publish(&tx, msg, true), WEIR_ERR_FULL);
    wr_transmit_leave(&tx);
    weir_message_unref(msg);
    wr_transmit_deinit(&tx);
    wr_poller_destroy(poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callback_within_that_of_another_remote_leaves_that_as_it_was),
        cmocka_unit_test(callback_that_publishes_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
