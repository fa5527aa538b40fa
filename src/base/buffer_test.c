/* SPDX-License-Identifier: MIT
 *
 * Tests of the growing buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void appended_pieces_are_joined(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_append(&buffer, "ab", 2);
    wr_buffer_append_text(&buffer, "cd");
    wr_buffer_printf(&buffer, "%d-%s", 12, "x");
    assert_string_equal(buffer.data, "abcd12-x");
    assert_int_equal(buffer.size, 8);
    wr_buffer_deinit(&buffer);
    assert_null(buffer.data);
}

static void content_stays_terminated_while_it_grows(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    for (size_t i = 1; i <= 1000; i++) {
        wr_buffer_append(&buffer, "z", 1);
        assert_int_equal(buffer.size, i);
        assert_true(buffer.capacity > buffer.size);
        assert_int_equal(buffer.data[i], '\0');
    }
    assert_int_equal(strspn(buffer.data, "z"), 1000);
    wr_buffer_deinit(&buffer);
}

static void printf_longer_than_the_room_grows_it(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_printf(&buffer, "%500s", "end");
    assert_int_equal(buffer.size, 500);
    assert_string_equal(buffer.data + 497, "end");
    wr_buffer_deinit(&buffer);
}

static void integers_are_big_endian(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_append_u8(&buffer, 0xA1);
    wr_buffer_append_u32(&buffer, 0x01020304);
    assert_int_equal(buffer.size, 5);
    assert_memory_equal(buffer.data, "\xA1\x01\x02\x03\x04", 5);
    wr_buffer_deinit(&buffer);
}

static void impossible_size_fails_and_keeps_the_content(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_append_text(&buffer, "kept");
    wr_buffer_append(&buffer, "", SIZE_MAX);
    assert_true(buffer.failed);
    assert_string_equal(buffer.data, "kept");
    wr_buffer_append_text(&buffer, "more");
    wr_buffer_printf(&buffer, "more");
    assert_string_equal(buffer.data, "kept");
    assert_null(wr_buffer_take(&buffer));
    assert_null(buffer.data);
}

static void clear_forgets_content_and_failure(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_clear(&buffer);
    wr_buffer_append_text(&buffer, "old");
    wr_buffer_append(&buffer, "", SIZE_MAX);
    wr_buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_string_equal(buffer.data, "");
    wr_buffer_append_text(&buffer, "new");
    assert_string_equal(buffer.data, "new");
    wr_buffer_deinit(&buffer);
}

static void take_of_nothing_is_an_empty_text(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    char *text = wr_buffer_take(&buffer);
    assert_string_equal(text, "");
    free(text);
}

static void take_empties_the_buffer(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_buffer_append_text(&buffer, "mine");
    char *text = wr_buffer_take(&buffer);
    assert_string_equal(text, "mine");
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_pieces_are_joined),
        cmocka_unit_test(content_stays_terminated_while_it_grows),
        cmocka_unit_test(printf_longer_than_the_room_grows_it),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(impossible_size_fails_and_keeps_the_content),
        cmocka_unit_test(clear_forgets_content_and_failure),
        cmocka_unit_test(take_of_nothing_is_an_empty_text),
        cmocka_unit_test(take_empties_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
