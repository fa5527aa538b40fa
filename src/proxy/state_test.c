/* SPDX-License-Identifier: MIT
 *
 * The table of a proxy's states: docs/architecture.md shows it as it is, and it leads everywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "platform/file.h"
#include "proxy/state.h"

#define MANUAL_SIZE_MAX (1024u * 1024u)

/* "| waiting | nobody listens at the control id | a connection: connecting; ... |" */
static char *row_of(wr_proxy_state state)
{
    wr_buffer row = WR_BUFFER_INIT;
    wr_buffer_printf(&row, "| %s | %s |", wr_proxy_state_name(state),
                     wr_proxy_state_meaning(state));
    const char *separator = " ";
    for (int event = 0; event < WR_PROXY_EVENT_COUNT; event++) {
        wr_proxy_state next;
        if (wr_proxy_next_state(state, (wr_proxy_event)event, &next)) {
            wr_buffer_printf(&row, "%s%s: *%s*", separator,
                             wr_proxy_event_text((wr_proxy_event)event), wr_proxy_state_name(next));
            separator = "; ";
        }
    }
    wr_buffer_append_text(&row, " |");
    return wr_buffer_take(&row);
}

static char *read_manual(void)
{
    char path[1024];
    char *manual = NULL;
    size_t size = 0;
    const char *end = strstr(__FILE__, "src/proxy/state_test.c");
    assert_non_null(end);
    snprintf(path, sizeof(path), "%.*s./docs/architecture.md", (int)(end - __FILE__), __FILE__);
    assert_int_equal(wr_file_read(path, MANUAL_SIZE_MAX, &manual, &size, NULL), WEIR_OK);
    return manual;
}

static void manual_shows_the_table_as_it_is(void **state)
{
    (void)state;
    char *manual = read_manual();
    int missing = 0;
    for (int i = 0; i < WR_PROXY_STATE_COUNT; i++) {
        char *row = row_of((wr_proxy_state)i);
        assert_non_null(row);
        if (strstr(manual, row) == NULL) {
            print_error("docs/architecture.md lacks the row\n%s\n", row);
            missing++;
        }
        free(row);
    }
    free(manual);
    assert_int_equal(missing, 0);
}

static void every_state_is_reached_and_can_be_stopped(void **state)
{
    (void)state;
    bool reached[WR_PROXY_STATE_COUNT] = {[WR_PROXY_WAITING] = true};
    for (int round = 0; round < WR_PROXY_STATE_COUNT; round++) {
        for (int from = 0; from < WR_PROXY_STATE_COUNT; from++) {
            for (int event = 0; reached[from] && event < WR_PROXY_EVENT_COUNT; event++) {
                wr_proxy_state to;
                if (wr_proxy_next_state((wr_proxy_state)from, (wr_proxy_event)event, &to)) {
                    reached[to] = true;
                }
            }
        }
    }
    for (int i = 0; i < WR_PROXY_STATE_COUNT; i++) {
        wr_proxy_state to = WR_PROXY_WAITING;
        bool ending = i == WR_PROXY_STOPPING || i == WR_PROXY_STOPPED;
        assert_true(reached[i]);
        assert_true(ending || wr_proxy_next_state((wr_proxy_state)i, WR_PROXY_EVENT_STOP, &to));
        assert_true(ending || to == WR_PROXY_STOPPING);
    }
}

static void nothing_leads_out_of_stopped(void **state)
{
    (void)state;
    wr_proxy_state to;
    for (int event = 0; event < WR_PROXY_EVENT_COUNT; event++) {
        assert_false(wr_proxy_next_state(WR_PROXY_STOPPED, (wr_proxy_event)event, &to));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_shows_the_table_as_it_is),
        cmocka_unit_test(every_state_is_reached_and_can_be_stopped),
        cmocka_unit_test(nothing_leads_out_of_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
