/* SPDX-License-Identifier: MIT
 *
 * When a burst of messages is over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/lull.h"

static void burst_is_over_when_only_a_few_come_for_a_while(void **state)
{
    (void)state;
    wr_lull lull = {.runs = false};
    assert_false(wr_lull_begin(&lull, 1000, 999)); /* not all are acknowledged */
    assert_true(wr_lull_begin(&lull, 1000, 1000));
    assert_false(wr_lull_begin(&lull, 1010, 1010)); /* it runs */
    assert_true(wr_lull_end(&lull, 1000 + WR_LULL_MESSAGES));
}

static void burst_that_goes_on_is_not_over(void **state)
{
    (void)state;
    wr_lull lull = {.runs = false};
    assert_true(wr_lull_begin(&lull, 1000, 1000));
    assert_false(wr_lull_end(&lull, 1001 + WR_LULL_MESSAGES));
    assert_true(wr_lull_begin(&lull, 2000, 2000));
    assert_true(wr_lull_end(&lull, 2000));
}

static void few_messages_make_no_burst(void **state)
{
    (void)state;
    wr_lull lull = {.runs = false};
    assert_false(wr_lull_begin(&lull, WR_LULL_MESSAGES, WR_LULL_MESSAGES));
    assert_true(wr_lull_begin(&lull, 1000, 1000));
    assert_true(wr_lull_end(&lull, 1000));
    assert_true(wr_lull_begin(&lull, 1000, 1000)); /* it could not be made small */
    assert_true(wr_lull_end(&lull, 1000));
    wr_lull_note_small(&lull, 1000);
    assert_false(wr_lull_begin(&lull, 1000 + WR_LULL_MESSAGES, 1000 + WR_LULL_MESSAGES));
    assert_true(wr_lull_begin(&lull, 1001 + WR_LULL_MESSAGES, 1001 + WR_LULL_MESSAGES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_is_over_when_only_a_few_come_for_a_while),
        cmocka_unit_test(burst_that_goes_on_is_not_over),
        cmocka_unit_test(few_messages_make_no_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
