/* SPDX-License-Identifier: MIT
 *
 * Places of JSON values: each place must hold the very text of the value that jansson read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "json/json_text.h"

static size_t count_values(wr_json_text *json, const wr_json_value *value)
{
    size_t size = value->node->end - value->node->start;
    json_t *again = json_loadb(json->text + value->node->start, size, JSON_DECODE_ANY, NULL);
    assert_true(json_equal(again, value->json));
    json_decref(again);
    size_t count = 1;
    wr_json_value child;
    for (bool more = wr_json_first(json, value, &child); more; more = wr_json_next(json, &child)) {
        count += count_values(json, &child);
    }
    return count;
}

static size_t values_in(const char *text)
{
    wr_json_text json;
    wr_json_mistake mistake = {0};
    assert_int_equal(wr_json_load(&json, text, strlen(text), &mistake), WEIR_OK);
    wr_json_value root = wr_json_root(&json);
    size_t count = count_values(&json, &root);
    assert_int_equal(count, json.node_count);
    wr_json_deinit(&json);
    return count;
}

static void every_place_holds_its_value(void **state)
{
    (void)state;
    assert_int_equal(values_in("null"), 1);
    assert_int_equal(values_in(" \"a \\\" b\" "), 1);
    assert_int_equal(values_in("[]"), 1);
    assert_int_equal(values_in("[[],{},[[1]]]"), 6);
    assert_int_equal(
        values_in("{\"a\":1,\"b\\\\\":[true,false , null],\"\\u0063\":{\"d\":-1.5e3}}"), 8);
    assert_int_equal(values_in("{\"{[,:]}\": \"{[,:]}\", \"\": \"\"}"), 3);
}

static void keys_are_decoded(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\u0062\\n\": 1}";
    wr_json_text json;
    wr_json_mistake mistake;
    assert_int_equal(wr_json_load(&json, text, sizeof(text) - 1, &mistake), WEIR_OK);
    wr_json_value root = wr_json_root(&json), child;
    assert_true(wr_json_first(&json, &root, &child));
    wr_json_key key = wr_json_key_get(&json, child.node);
    assert_int_equal(key.size, 3);
    assert_memory_equal(key.text, "ab\n", 3);
    wr_json_key_release(&key);
    assert_false(wr_json_next(&json, &child));
    wr_json_deinit(&json);
}

static void position_counts_lines_and_bytes(void **state)
{
    (void)state;
    static const char text[] = "[1,\n\n  \"\xc3\xa4\", 2]";
    wr_json_text json;
    wr_json_mistake mistake;
    unsigned line = 0, column = 0;
    assert_int_equal(wr_json_load(&json, text, sizeof(text) - 1, &mistake), WEIR_OK);
    wr_json_position(&json, 0, &line, &column);
    assert_int_equal(line, 1);
    assert_int_equal(column, 1);
    wr_json_position(&json, json.nodes[2].start, &line, &column);
    assert_int_equal(line, 3);
    assert_int_equal(column, 3);
    wr_json_position(&json, json.nodes[3].start, &line, &column);
    assert_int_equal(line, 3);
    assert_int_equal(column, 9);
    wr_json_deinit(&json);
}

static void compact_text_keeps_strings_and_numbers(void **state)
{
    (void)state;
    static const char text[] = " { \"a b\" : [ 1.50 , \" \\\" \" ] ,\n\t\"c\":{ } } ";
    wr_json_text json;
    wr_json_mistake mistake;
    assert_int_equal(wr_json_load(&json, text, sizeof(text) - 1, &mistake), WEIR_OK);
    char *compact = wr_json_compact(&json, json.nodes);
    assert_string_equal(compact, "{\"a b\":[1.50,\" \\\" \"],\"c\":{}}");
    free(compact);
    wr_json_deinit(&json);
}

static void mistake_stands_at_the_token_that_is_wrong(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, 2,  ]}";
    wr_json_text json;
    wr_json_mistake mistake;
    assert_int_equal(wr_json_load(&json, text, sizeof(text) - 1, &mistake), WEIR_ERR_CONFIG);
    assert_int_equal(mistake.offset, 14);
    assert_string_equal(mistake.text,
                        "expected a value (JSON allows no comma before a closing bracket)");
    wr_json_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_holds_its_value),
        cmocka_unit_test(keys_are_decoded),
        cmocka_unit_test(position_counts_lines_and_bytes),
        cmocka_unit_test(compact_text_keeps_strings_and_numbers),
        cmocka_unit_test(mistake_stands_at_the_token_that_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
