/* SPDX-License-Identifier: MIT
 *
 * Tests of the message: its image byte by byte, what is refused, references across threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "message/message.h"
#include "message/properties.h"
#include "platform/thread.h"

/* The worked example of docs/wire-protocol.md. */
static const uint8_t example[] = {0xa1, 0x60, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00, 0x02,
                                  't',  'e',  'm',  'p',  0x00, '2',  '1',  0x00, 'u',  'n',
                                  'i',  't',  0x00, 'C',  0x00, 0x00, 0x00, 0x00, 0x09, 'h',
                                  'e',  'l',  'l',  'o',  0x00, 0xff, 0x0a, 0x7f};
static const uint8_t smallest[WEIR_MESSAGE_SIZE_MIN] = {0xa1, 0x60, 0, 0, 0, 14};

static weir_message *decode(const void *image, size_t size)
{
    weir_message *msg = NULL;
    assert_int_equal(WEIR_OK, weir_message_decode(image, size, &msg));
    return msg;
}

static weir_message *make(const weir_property *props, size_t count, const char *content)
{
    weir_message *msg = NULL;
    size_t size = content == NULL ? 0 : strlen(content);
    assert_int_equal(WEIR_OK, weir_message_new(props, count, content, size, &msg));
    return msg;
}

/* Memory of exactly `size` bytes, so that a read past the end is seen. */
static weir_err decode_exact(const uint8_t *image, size_t size, weir_message **out)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, image, size);
    weir_err err = weir_message_decode(exact, size, out);
    free(exact);
    return err;
}

static void assert_refused(const uint8_t *image, size_t size, weir_err expected)
{
    weir_message *msg = NULL;
    assert_int_equal(expected, decode_exact(image, size, &msg));
    assert_null(msg);
}

static void assert_image(const weir_message *msg, const void *expected, size_t expected_size)
{
    size_t size = 0;
    const void *image = weir_message_image(msg, &size);
    assert_int_equal(expected_size, size);
    assert_memory_equal(expected, image, size);
}

static void empty_message_is_the_smallest_image(void **state)
{
    (void)state;
    weir_message *msg = make(NULL, 0, NULL);
    assert_image(msg, smallest, sizeof(smallest));
    assert_int_equal(0, weir_message_property_count(msg));
    size_t size = 1;
    assert_non_null(weir_message_content(msg, &size));
    assert_int_equal(0, size);
    weir_message_unref(msg);
}

static void message_has_the_documented_image(void **state)
{
    (void)state;
    const weir_property props[] = {{"temp", "21"}, {"unit", "C"}};
    weir_message *msg = NULL;
    assert_int_equal(WEIR_OK, weir_message_new(props, 2, "hello\0\xff\n\x7f", 9, &msg));
    assert_image(msg, example, sizeof(example));
    weir_message_unref(msg);
}

static void image_begins_at_a_multiple_of_eight(void **state)
{
    (void)state;
    weir_message *msg = make(NULL, 0, "x");
    size_t size = 0;
    assert_int_equal(0, (uintptr_t)weir_message_image(msg, &size) % 8);
    weir_message_unref(msg);
}

static void decoded_message_shows_what_was_sent(void **state)
{
    (void)state;
    weir_message *msg = decode(example, sizeof(example));
    assert_image(msg, example, sizeof(example));
    assert_int_equal(2, weir_message_property_count(msg));
    assert_string_equal("21", weir_message_property(msg, "temp"));
    assert_string_equal("C", weir_message_property(msg, "unit"));
    assert_null(weir_message_property(msg, "tem"));
    assert_null(weir_message_property(msg, "21"));
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    assert_int_equal(9, size);
    assert_memory_equal("hello\0\xff\n\x7f", content, 9);
    weir_message_unref(msg);
}

static void properties_come_in_order_and_end(void **state)
{
    (void)state;
    const weir_property props[] = {{"b", "1"}, {"a", ""}, {"\xc3\xa4", "\xe2\x82\xac"}};
    weir_message *msg = make(props, 3, "x");
    weir_property_iter iter = {0};
    for (size_t i = 0; i < 3; i++) {
        assert_true(weir_message_next(msg, &iter));
        assert_string_equal(props[i].name, iter.name);
        assert_string_equal(props[i].value, iter.value);
    }
    assert_false(weir_message_next(msg, &iter));
    assert_false(weir_message_next(msg, &iter));
    weir_message_unref(msg);
}

static void later_value_takes_the_earlier_place(void **state)
{
    (void)state;
    const weir_property given[] = {{"a", "1"}, {"b", "2"}, {"a", "33"}, {"c", "4"}, {"a", "5"}};
    const weir_property wanted[] = {{"a", "5"}, {"b", "2"}, {"c", "4"}};
    weir_message *msg = make(given, 5, "x");
    weir_message *same = make(wanted, 3, "x");
    size_t size = 0;
    const void *image = weir_message_image(same, &size);
    assert_image(msg, image, size);
    weir_message_unref(same);
    weir_message_unref(msg);
}

/* "p0", "p1", ..., modulo `distinct`, with the position as the value. */
static weir_property *many_properties(size_t count, size_t distinct)
{
    weir_property *props = calloc(count, sizeof(*props));
    char *text = calloc(count, 64);
    assert_non_null(props);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        char *name = text + i * 64;
        char *value = name + 32;
        (void)snprintf(name, 32, "p%zu", i % distinct);
        (void)snprintf(value, 32, "%zu", i);
        props[i] = (weir_property){name, value};
    }
    return props;
}

static void free_properties(weir_property *props)
{
    free((void *)props[0].name);
    free(props);
}

static void many_repeated_names_merge_as_few_do(void **state)
{
    (void)state;
    const size_t count = 3 * (size_t)WR_PROPERTIES_FEW;
    weir_property *props = many_properties(count, WR_PROPERTIES_FEW + 1);
    weir_message *msg = make(props, count, "x");
    assert_int_equal(WR_PROPERTIES_FEW + 1, weir_message_property_count(msg));
    weir_property_iter iter = {0};
    for (size_t i = 0; i < WR_PROPERTIES_FEW + 1; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "p%zu", i);
        size_t last = i;
        while (last + WR_PROPERTIES_FEW + 1 < count) {
            last += WR_PROPERTIES_FEW + 1;
        }
        assert_true(weir_message_next(msg, &iter));
        assert_string_equal(name, iter.name);
        assert_string_equal(props[last].value, iter.value);
    }
    weir_message_unref(msg);
    free_properties(props);
}

static void most_properties_travel_and_one_more_does_not(void **state)
{
    (void)state;
    weir_property *props = many_properties(WR_PROPERTIES_MAX + 1, WR_PROPERTIES_MAX + 1);
    weir_message *msg = make(props, WR_PROPERTIES_MAX, "x");
    size_t size = 0;
    const void *image = weir_message_image(msg, &size);
    weir_message *again = decode(image, size);
    assert_int_equal(WR_PROPERTIES_MAX, weir_message_property_count(again));
    assert_string_equal("65535", weir_message_property(again, "p65535"));

    weir_message *none = NULL;
    assert_int_equal(WEIR_ERR_TOO_LARGE,
                     weir_message_new(props, WR_PROPERTIES_MAX + 1, NULL, 0, &none));
    assert_int_equal(WEIR_ERR_TOO_LARGE,
                     weir_message_with(again, &props[WR_PROPERTIES_MAX], 1, &none));
    assert_null(none);
    weir_message_unref(again);
    weir_message_unref(msg);
    free_properties(props);
}

static void mistakes_of_the_caller_are_refused(void **state)
{
    (void)state;
    const weir_property wrong[] = {{NULL, "x"},   {"", "x"},         {"x", NULL},
                                   {"\xff", "x"}, {"x", "\xc0\x80"}, {"x", "\xed\xa0\x80"}};
    weir_message *msg = NULL;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(WEIR_ERR_INVALID, weir_message_new(&wrong[i], 1, NULL, 0, &msg));
    }
    assert_int_equal(WEIR_ERR_INVALID, weir_message_new(NULL, 1, NULL, 0, &msg));
    assert_int_equal(WEIR_ERR_INVALID, weir_message_new(NULL, 0, NULL, 1, &msg));
    assert_int_equal(WEIR_ERR_INVALID, weir_message_decode(NULL, 1, &msg));
    assert_int_equal(WEIR_ERR_INVALID, weir_message_with(NULL, NULL, 0, &msg));
    assert_null(msg);
}

static void content_over_the_largest_image_is_refused(void **state)
{
    (void)state;
    weir_message *msg = NULL;
    void *content = NULL;
    size_t room = WEIR_MESSAGE_SIZE_MAX - WEIR_MESSAGE_SIZE_MIN;
    assert_int_equal(WEIR_ERR_TOO_LARGE, weir_message_reserve(NULL, 0, room + 1, &content, &msg));
    assert_int_equal(WEIR_ERR_TOO_LARGE, weir_message_reserve(NULL, 0, SIZE_MAX, &content, &msg));
    const weir_property prop = {"a", "b"};
    assert_int_equal(WEIR_ERR_TOO_LARGE, weir_message_reserve(&prop, 1, room - 3, &content, &msg));
    assert_null(msg);
}

static void reserved_content_is_written_in_place(void **state)
{
    (void)state;
    weir_message *msg = NULL;
    void *place = NULL;
    const weir_property props[] = {{"temp", "21"}, {"unit", "C"}};
    assert_int_equal(WEIR_OK, weir_message_reserve(props, 2, 9, &place, &msg));
    memcpy(place, "hello\0\xff\n\x7f", 9);
    assert_image(msg, example, sizeof(example));
    weir_message_unref(msg);
}

static void changes_replace_append_and_remove(void **state)
{
    (void)state;
    const weir_property before[] = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
    const weir_property changes[] = {{"b", "two"}, {"d", "4"}, {"a", NULL}, {"gone", NULL}};
    const weir_property after[] = {{"b", "two"}, {"c", "3"}, {"d", "4"}};
    weir_message *msg = make(before, 3, "content");
    weir_message *changed = NULL;
    assert_int_equal(WEIR_OK, weir_message_with(msg, changes, 4, &changed));
    weir_message *wanted = make(after, 3, "content");
    size_t size = 0;
    const void *image = weir_message_image(wanted, &size);
    assert_image(changed, image, size);
    assert_string_equal("1", weir_message_property(msg, "a"));
    weir_message_unref(wanted);
    weir_message_unref(changed);
    weir_message_unref(msg);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(example); size++) {
        assert_refused(example, size, WEIR_ERR_PROTOCOL);
        uint8_t cut[sizeof(example)];
        memcpy(cut, example, sizeof(cut));
        wr_put_u32(cut + 2, (uint32_t)size);
        /* With a total size that agrees with the cut nothing may be taken for a message either. */
        assert_refused(cut, size, WEIR_ERR_PROTOCOL);
    }
}

static void every_bit_flip_is_refused_or_harmless(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(example); bit++) {
        uint8_t image[sizeof(example)];
        memcpy(image, example, sizeof(image));
        image[bit / 8] = (uint8_t)(image[bit / 8] ^ (1u << (bit % 8)));
        weir_message *msg = NULL;
        weir_err err = decode_exact(image, sizeof(image), &msg);
        if (err == WEIR_OK) {
            assert_image(msg, image, sizeof(image));
            assert_int_equal(2, weir_message_property_count(msg));
            weir_message_unref(msg);
        } else {
            assert_int_equal(WEIR_ERR_PROTOCOL, err);
            assert_null(msg);
        }
        /* The header, the sizes and the counts: no other value of them is right. */
        assert_true(err != WEIR_OK || bit / 8 >= 10);
    }
}

static void bytes_after_the_content_are_refused(void **state)
{
    (void)state;
    uint8_t longer[sizeof(example) + 1] = {0};
    memcpy(longer, example, sizeof(example));
    assert_refused(longer, sizeof(longer), WEIR_ERR_PROTOCOL);
    wr_put_u32(longer + 2, sizeof(longer));
    assert_refused(longer, sizeof(longer), WEIR_ERR_PROTOCOL);
}

static void counts_and_sizes_past_the_end_are_refused(void **state)
{
    (void)state;
    uint8_t image[sizeof(smallest)];
    const uint32_t hostile[] = {1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        for (size_t at = 2; at < sizeof(image); at += 4) {
            memcpy(image, smallest, sizeof(image));
            wr_put_u32(image + at, hostile[i]);
            assert_refused(image, sizeof(image), WEIR_ERR_PROTOCOL);
        }
    }
}

static void more_properties_than_the_limit_are_refused(void **state)
{
    (void)state;
    size_t size = WEIR_MESSAGE_SIZE_MIN + 2 * ((size_t)WR_PROPERTIES_MAX + 1);
    uint8_t *image = calloc(1, size);
    assert_non_null(image);
    memcpy(image, smallest, 2);
    wr_put_u32(image + 2, (uint32_t)size);
    wr_put_u32(image + 6, WR_PROPERTIES_MAX + 1);
    assert_refused(image, size, WEIR_ERR_TOO_LARGE);
    free(image);
}

/* Property number `i`, with its value "v"; returns how many bytes it takes. */
static size_t put_numbered(uint8_t *to, size_t size, size_t i)
{
    int name = snprintf((char *)to, size, "n%zu", i);
    assert_true(name > 0 && (size_t)name + 3 <= size);
    memcpy(to + name + 1, "v", 2);
    return (size_t)name + 3;
}

/* An image with `count` numbered properties, the last of which is number `again`. */
static size_t repeated_image(uint8_t *image, size_t room, size_t count, size_t again)
{
    size_t at = 10;
    for (size_t i = 0; i < count; i++) {
        at += put_numbered(image + at, room - at, i + 1 == count ? again : i);
    }
    memcpy(image, smallest, 2);
    wr_put_u32(image + at, 0);
    at += 4;
    wr_put_u32(image + 2, (uint32_t)at);
    wr_put_u32(image + 6, (uint32_t)count);
    return at;
}

static void repeated_names_are_refused_in_short_and_long_lists(void **state)
{
    (void)state;
    const size_t counts[] = {2, WR_PROPERTIES_FEW, WR_PROPERTIES_FEW + 1, 1000};
    uint8_t image[16384];
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        size_t size = repeated_image(image, sizeof(image), counts[i], counts[i] - 1);
        weir_message_unref(decode(image, size));
        for (size_t again = 0; again + 1 < counts[i]; again += 7) {
            size = repeated_image(image, sizeof(image), counts[i], again);
            assert_refused(image, size, WEIR_ERR_PROTOCOL);
        }
    }
}

static void empty_names_and_text_that_is_not_utf8_are_let_through(void **state)
{
    (void)state;
    const uint8_t image[] = {0xa1, 0x60, 0, 0,   0, 20, 0, 0, 0, 2,
                             0,    0xff, 0, 'a', 0, 0,  0, 0, 0, 0};
    weir_message *msg = decode(image, sizeof(image));
    assert_string_equal("\xff", weir_message_property(msg, ""));
    assert_string_equal("", weir_message_property(msg, "a"));
    const weir_property change = {"a", "b"};
    weir_message *changed = NULL;
    assert_int_equal(WEIR_OK, weir_message_with(msg, &change, 1, &changed));
    assert_string_equal("\xff", weir_message_property(changed, ""));
    weir_message_unref(changed);
    weir_message_unref(msg);
}

static void seal_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    void *image = NULL;
    weir_message *msg = NULL;
    wr_error error = {0};
    assert_int_equal(WEIR_OK, wr_message_image_new(sizeof(example), &image, &msg));
    memcpy(image, example, sizeof(example));
    ((uint8_t *)image)[28] = 0x0a;
    assert_int_equal(WEIR_ERR_PROTOCOL, wr_message_image_seal(msg, &error));
    assert_string_equal("byte 25: content of 10 bytes, but 9 are left", wr_error_text(&error));
    ((uint8_t *)image)[28] = 0x09;
    assert_int_equal(WEIR_OK, wr_message_image_seal(msg, &error));
    assert_image(msg, example, sizeof(example));
    weir_message_unref(msg);
}

static void image_over_the_largest_size_is_refused(void **state)
{
    (void)state;
    void *image = NULL;
    weir_message *msg = NULL;
    assert_int_equal(WEIR_ERR_TOO_LARGE,
                     wr_message_image_new((size_t)WEIR_MESSAGE_SIZE_MAX + 1, &image, &msg));
    assert_null(msg);
}

static void nothing_is_harmless_to_unref(void **state)
{
    (void)state;
    weir_message_unref(NULL);
}

#define SHARERS 4
#define REFERENCES_EACH 10000

static void give_back(void *arg)
{
    weir_message *msg = arg;
    for (size_t i = 0; i < REFERENCES_EACH; i++) {
        assert_string_equal("21", weir_message_property(msg, "temp"));
        weir_message_unref(weir_message_ref(msg));
        weir_message_unref(msg);
    }
}

static void threads_share_a_message_until_the_last_reference(void **state)
{
    (void)state;
    weir_message *msg = decode(example, sizeof(example));
    wr_thread threads[SHARERS] = {0};
    wr_message_ref_many(msg, (size_t)SHARERS * REFERENCES_EACH);
    for (size_t i = 0; i < SHARERS; i++) {
        assert_int_equal(WEIR_OK, wr_thread_start(&threads[i], "sharer", give_back, msg));
    }
    weir_message_unref(msg);
    for (size_t i = 0; i < SHARERS; i++) {
        wr_thread_join(&threads[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_message_is_the_smallest_image),
        cmocka_unit_test(message_has_the_documented_image),
        cmocka_unit_test(image_begins_at_a_multiple_of_eight),
        cmocka_unit_test(decoded_message_shows_what_was_sent),
        cmocka_unit_test(properties_come_in_order_and_end),
        cmocka_unit_test(later_value_takes_the_earlier_place),
        cmocka_unit_test(many_repeated_names_merge_as_few_do),
        cmocka_unit_test(most_properties_travel_and_one_more_does_not),
        cmocka_unit_test(mistakes_of_the_caller_are_refused),
        cmocka_unit_test(content_over_the_largest_image_is_refused),
        cmocka_unit_test(reserved_content_is_written_in_place),
        cmocka_unit_test(changes_replace_append_and_remove),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_is_refused_or_harmless),
        cmocka_unit_test(bytes_after_the_content_are_refused),
        cmocka_unit_test(counts_and_sizes_past_the_end_are_refused),
        cmocka_unit_test(more_properties_than_the_limit_are_refused),
        cmocka_unit_test(repeated_names_are_refused_in_short_and_long_lists),
        cmocka_unit_test(empty_names_and_text_that_is_not_utf8_are_let_through),
        cmocka_unit_test(seal_says_what_is_wrong_and_where),
        cmocka_unit_test(image_over_the_largest_size_is_refused),
        cmocka_unit_test(nothing_is_harmless_to_unref),
        cmocka_unit_test(threads_share_a_message_until_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
