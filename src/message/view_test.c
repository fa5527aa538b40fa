/* SPDX-License-Identifier: MIT
 *
 * Tests of views, and of the place in which a thread builds bulk messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "message/message.h"
#include "message/place.h"
#include "platform/thread.h"

#define BULK 5000u

/* ---- an image that lies elsewhere ---- */

static const uint8_t example[] = {0xa1, 0x60, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00, 0x02,
                                  't',  'e',  'm',  'p',  0x00, '2',  '1',  0x00, 'u',  'n',
                                  'i',  't',  0x00, 'C',  0x00, 0x00, 0x00, 0x00, 0x09, 'h',
                                  'e',  'l',  'l',  'o',  0x00, 0xff, 0x0a, 0x7f};
#define EXAMPLE_HEAD 29u

typedef struct lender {
    uint8_t image[sizeof(example)];
    unsigned released;
    uint64_t tag;
} lender;

static void release(const wr_message_origin *origin)
{
    lender *from = origin->owner;
    assert_ptr_equal(origin->image, from->image);
    from->released++;
    from->tag = origin->tag;
}

static wr_message_origin origin_of(lender *from)
{
    memcpy(from->image, example, sizeof(example));
    from->released = 0;
    return (wr_message_origin){.image = from->image,
                               .size = sizeof(example),
                               .release = release,
                               .owner = from,
                               .tag = UINT64_MAX - 1};
}

static weir_message *view_of(lender *from)
{
    wr_message_origin origin = origin_of(from);
    weir_message *msg = NULL;
    assert_int_equal(wr_message_view_new(&origin, EXAMPLE_HEAD, &msg, NULL), WEIR_OK);
    return msg;
}

static void assert_example(const weir_message *msg)
{
    size_t size = 0;
    assert_int_equal(weir_message_property_count(msg), 2);
    assert_string_equal(weir_message_property(msg, "temp"), "21");
    assert_string_equal(weir_message_property(msg, "unit"), "C");
    assert_memory_equal(weir_message_content(msg, &size), example + EXAMPLE_HEAD, 9);
    assert_int_equal(size, 9);
    assert_memory_equal(weir_message_image(msg, &size), example, sizeof(example));
    assert_int_equal(size, sizeof(example));
    assert_memory_equal(wr_message_head(msg, &size), example, EXAMPLE_HEAD);
    assert_int_equal(size, EXAMPLE_HEAD);
}

static void a_view_is_a_message_like_any_other(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    assert_example(msg);
    assert_false(weir_message_redelivered(msg));
    wr_message_mark_redelivered(msg);
    assert_true(weir_message_redelivered(msg));
    weir_message_unref(msg);
}

static void content_and_image_are_read_where_they_lie(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    size_t size;
    assert_ptr_equal(weir_message_image(msg, &size), from.image);
    assert_ptr_equal(weir_message_content(msg, &size), from.image + EXAMPLE_HEAD);
    weir_message_unref(msg);
}

static void nobody_else_can_change_properties_and_sizes(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    memset(from.image, 0xff, EXAMPLE_HEAD);
    size_t size = 0;
    assert_int_equal(weir_message_property_count(msg), 2);
    assert_string_equal(weir_message_property(msg, "temp"), "21");
    assert_string_equal(weir_message_property(msg, "unit"), "C");
    assert_null(weir_message_property(msg, "none"));
    (void)weir_message_content(msg, &size);
    assert_int_equal(size, 9);
    (void)weir_message_image(msg, &size);
    assert_int_equal(size, sizeof(example));
    assert_memory_equal(wr_message_head(msg, &size), example, EXAMPLE_HEAD);
    weir_message_unref(msg);
}

static void release_comes_once_with_the_last_reference(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    wr_message_ref_many(msg, 2);
    weir_message_unref(msg);
    weir_message_unref(msg);
    assert_int_equal(from.released, 0);
    weir_message_unref(msg);
    assert_int_equal(from.released, 1);
    assert_int_equal(from.tag, UINT64_MAX - 1);
}

static void the_origin_of_a_view_is_known(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    const wr_message_origin *origin = wr_message_get_origin(msg);
    assert_ptr_equal(origin->owner, &from);
    assert_int_equal(origin->tag, UINT64_MAX - 1);
    weir_message_unref(msg);
    assert_int_equal(weir_message_new(NULL, 0, "x", 1, &msg), WEIR_OK);
    assert_null(wr_message_get_origin(msg));
    weir_message_unref(msg);
}

static void with_copies_the_content_of_a_view(void **state)
{
    (void)state;
    lender from;
    weir_message *msg = view_of(&from);
    weir_message *changed = NULL;
    const weir_property change = {"temp", "22"};
    assert_int_equal(weir_message_with(msg, &change, 1, &changed), WEIR_OK);
    weir_message_unref(msg);
    memset(from.image, 0xff, sizeof(from.image));
    size_t size = 0;
    assert_string_equal(weir_message_property(changed, "temp"), "22");
    assert_memory_equal(weir_message_content(changed, &size), example + EXAMPLE_HEAD, 9);
    weir_message_unref(changed);
}

static void assert_no_view(const wr_message_origin *origin, size_t head_size, weir_err expected)
{
    weir_message *msg = NULL;
    wr_error error = {.text = ""};
    assert_int_equal(wr_message_view_new(origin, head_size, &msg, &error), expected);
    assert_null(msg);
    assert_string_not_equal(error.text, "");
}

static void a_head_of_another_size_is_refused(void **state)
{
    (void)state;
    lender from;
    wr_message_origin origin = origin_of(&from);
    for (size_t size = 0; size <= sizeof(example) + 1; size++) {
        if (size != EXAMPLE_HEAD) {
            assert_no_view(&origin, size, WEIR_ERR_PROTOCOL);
        }
    }
    assert_no_view(&origin, WR_MESSAGE_VIEW_HEAD_MAX + 1, WEIR_ERR_TOO_LARGE);
    assert_int_equal(from.released, 0);
}

static void an_image_of_another_size_is_refused(void **state)
{
    (void)state;
    lender from;
    wr_message_origin origin = origin_of(&from);
    origin.size = sizeof(example) - 1;
    assert_no_view(&origin, EXAMPLE_HEAD, WEIR_ERR_PROTOCOL);
    origin.size = sizeof(example) + 1;
    assert_no_view(&origin, EXAMPLE_HEAD, WEIR_ERR_PROTOCOL);
    origin.size = 0;
    assert_no_view(&origin, EXAMPLE_HEAD, WEIR_ERR_PROTOCOL);
    origin.size = (size_t)WEIR_MESSAGE_SIZE_MAX + 1;
    assert_no_view(&origin, EXAMPLE_HEAD, WEIR_ERR_TOO_LARGE);
}

/* Any one byte changed: refused, or a message that decode takes, too. */
static void a_damaged_head_is_refused_as_by_decode(void **state)
{
    (void)state;
    lender from;
    for (size_t at = 0; at < EXAMPLE_HEAD; at++) {
        for (unsigned value = 0; value < 256; value++) {
            wr_message_origin origin = origin_of(&from);
            from.image[at] = (uint8_t)value;
            weir_message *decoded = NULL;
            weir_message *viewed = NULL;
            weir_err whole = weir_message_decode(from.image, sizeof(from.image), &decoded);
            weir_err head = wr_message_view_new(&origin, EXAMPLE_HEAD, &viewed, NULL);
            assert_int_equal(head, whole);
            weir_message_unref(decoded);
            weir_message_unref(viewed);
        }
    }
}

/* ---- building in a place ---- */

/* One block, and counts of what was asked. */
typedef struct test_place {
    wr_message_place base; /* first */
    _Alignas(64) unsigned char room[2 * BULK];
    bool full;
    size_t taken; /* bytes of the block that is out */
    unsigned gets;
    unsigned refs;
} test_place;

static void *get_block(wr_message_place *place, size_t size)
{
    test_place *self = (test_place *)place;
    self->gets++;
    if (self->full || self->taken > 0 || size > sizeof(self->room)) {
        return NULL;
    }
    self->taken = size;
    return self->room;
}

static void put_block(wr_message_place *place, const void *image, size_t size)
{
    test_place *self = (test_place *)place;
    assert_ptr_equal(image, self->room);
    assert_int_equal(size, self->taken);
    self->taken = 0;
}

static void ref_place(wr_message_place *place)
{
    ((test_place *)place)->refs++;
}

static void unref_place(wr_message_place *place)
{
    ((test_place *)place)->refs--;
}

static const wr_message_place_ops ops = {
    .get = get_block, .put = put_block, .ref = ref_place, .unref = unref_place};

static int open_place(void **state)
{
    static test_place place;
    place = (test_place){.base = {.ops = &ops}};
    wr_message_place_set(&place.base);
    *state = &place;
    return 0;
}

/* A test that leaves something in the place, or keeps it, fails. */
static int close_place(void **state)
{
    const test_place *place = *state;
    wr_message_place_set(NULL);
    return place->taken == 0 && place->refs == 0 ? 0 : -1;
}

static weir_message *make(size_t size)
{
    static const weir_property props[] = {{"temp", "21"}, {"unit", "C"}};
    weir_message *msg = NULL;
    void *content = NULL;
    assert_int_equal(weir_message_reserve(props, 2, size, &content, &msg), WEIR_OK);
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)content)[i] = (uint8_t)(i * 7);
    }
    return msg;
}

static void assert_made(const weir_message *msg, size_t expected)
{
    size_t size = 0;
    const uint8_t *content = weir_message_content(msg, &size);
    assert_int_equal(size, expected);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(content[i], (uint8_t)(i * 7));
    }
    const void *image = weir_message_image(msg, &size);
    weir_message *decoded = NULL;
    assert_int_equal(weir_message_decode(image, size, &decoded), WEIR_OK);
    assert_int_equal(weir_message_property_count(decoded), 2);
    assert_string_equal(weir_message_property(decoded, "unit"), "C");
    weir_message_unref(decoded);
}

static bool is_in_place(const test_place *place, const weir_message *msg)
{
    size_t size;
    return weir_message_image(msg, &size) == place->room;
}

static void bulk_messages_are_built_in_the_place(void **state)
{
    test_place *place = *state;
    weir_message *msg = make(BULK);
    assert_true(is_in_place(place, msg));
    assert_made(msg, BULK);
    assert_string_equal(weir_message_property(msg, "temp"), "21");
    const wr_message_origin *origin = wr_message_get_origin(msg);
    assert_ptr_equal(origin->owner, place);
    weir_message_unref(msg);
}

static void bulk_begins_at_its_limit(void **state)
{
    test_place *place = *state;
    weir_message *below = make(WR_MESSAGE_BULK_MIN - 1);
    weir_message *at = make(WR_MESSAGE_BULK_MIN);
    assert_false(wr_message_is_bulk(below));
    assert_false(is_in_place(place, below));
    assert_true(wr_message_is_bulk(at));
    assert_true(is_in_place(place, at));
    assert_int_equal(place->gets, 1);
    weir_message_unref(below);
    weir_message_unref(at);
}

static void new_and_with_build_there_and_decode_does_not(void **state)
{
    test_place *place = *state;
    static uint8_t content[BULK];
    weir_message *msg = NULL;
    assert_int_equal(weir_message_new(NULL, 0, content, BULK, &msg), WEIR_OK);
    assert_true(is_in_place(place, msg));
    weir_message_unref(msg);

    wr_message_place_set(NULL);
    weir_message *plain = make(BULK);
    wr_message_place_set(&place->base);
    assert_int_equal(weir_message_with(plain, NULL, 0, &msg), WEIR_OK);
    assert_true(is_in_place(place, msg));
    assert_made(msg, BULK);
    weir_message_unref(msg);

    size_t size;
    const void *image = weir_message_image(plain, &size);
    assert_int_equal(weir_message_decode(image, size, &msg), WEIR_OK);
    assert_false(is_in_place(place, msg));
    weir_message_unref(msg);
    weir_message_unref(plain);
}

static void without_room_in_the_place_a_message_is_made_all_the_same(void **state)
{
    test_place *place = *state;
    weir_message *first = make(BULK);
    weir_message *second = make(BULK);
    assert_false(is_in_place(place, second));
    assert_null(wr_message_get_origin(second));
    assert_made(second, BULK);
    assert_ptr_equal(wr_message_place_now(), place);
    weir_message_unref(first);
    weir_message_unref(second);
    weir_message *third = make(BULK);
    assert_true(is_in_place(place, third));
    weir_message_unref(third);
}

static void a_head_over_the_limit_is_not_built_in_the_place(void **state)
{
    test_place *place = *state;
    static char value[WR_MESSAGE_VIEW_HEAD_MAX + 1];
    memset(value, 'v', sizeof(value) - 1);
    const weir_property prop = {"name", value};
    void *content = NULL;
    weir_message *msg = NULL;
    assert_int_equal(weir_message_reserve(&prop, 1, BULK, &content, &msg), WEIR_OK);
    assert_int_equal(place->gets, 0);
    weir_message_unref(msg);
    value[WR_MESSAGE_VIEW_HEAD_MAX - WEIR_MESSAGE_SIZE_MIN - sizeof("name") - 1] = '\0';
    assert_int_equal(weir_message_reserve(&prop, 1, BULK, &content, &msg), WEIR_OK);
    assert_true(is_in_place(place, msg));
    weir_message_unref(msg);
}

static void a_place_that_closed_is_given_up(void **state)
{
    test_place *place = *state;
    place->full = true;
    weir_message_unref(make(BULK));
    assert_ptr_equal(wr_message_place_now(), place);
    assert_int_equal(place->refs, 1);
    atomic_store(&place->base.closed, true);
    weir_message_unref(make(BULK));
    assert_null(wr_message_place_now());
    assert_int_equal(place->refs, 0);
}

static void a_thread_holds_one_reference_to_one_place(void **state)
{
    test_place *place = *state;
    test_place other = {.base = {.ops = &ops}};
    wr_message_place_set(&place->base);
    assert_int_equal(place->refs, 1);
    wr_message_place_set(&other.base);
    assert_int_equal(place->refs, 0);
    assert_int_equal(other.refs, 1);
    wr_message_place_set(NULL);
    assert_int_equal(other.refs, 0);
}

static void build_here(void *arg)
{
    test_place *place = arg;
    assert_null(wr_message_place_now());
    wr_message_place_set(&place->base);
    weir_message *msg = make(BULK);
    assert_true(is_in_place(place, msg));
    weir_message_unref(msg);
}

static void each_thread_has_its_own_until_it_ends(void **state)
{
    test_place *place = *state;
    test_place other = {.base = {.ops = &ops}};
    for (unsigned round = 0; round < 2; round++) {
        wr_thread thread = {0};
        assert_int_equal(wr_thread_start(&thread, "build", build_here, &other), WEIR_OK);
        wr_thread_join(&thread);
        assert_int_equal(other.refs, 0);
        assert_int_equal(other.taken, 0);
    }
    assert_ptr_equal(wr_message_place_now(), place);
}

static void unref_here(void *arg)
{
    weir_message_unref(arg);
}

static void another_thread_may_give_it_back(void **state)
{
    (void)state;
    weir_message *msg = make(BULK);
    wr_thread thread = {0};
    assert_int_equal(wr_thread_start(&thread, "unref", unref_here, msg), WEIR_OK);
    wr_thread_join(&thread);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_is_a_message_like_any_other),
        cmocka_unit_test(content_and_image_are_read_where_they_lie),
        cmocka_unit_test(nobody_else_can_change_properties_and_sizes),
        cmocka_unit_test(release_comes_once_with_the_last_reference),
        cmocka_unit_test(the_origin_of_a_view_is_known),
        cmocka_unit_test(with_copies_the_content_of_a_view),
        cmocka_unit_test(a_head_of_another_size_is_refused),
        cmocka_unit_test(an_image_of_another_size_is_refused),
        cmocka_unit_test(a_damaged_head_is_refused_as_by_decode),
        IN_PLACE(bulk_messages_are_built_in_the_place),
        IN_PLACE(bulk_begins_at_its_limit),
        IN_PLACE(new_and_with_build_there_and_decode_does_not),
        IN_PLACE(without_room_in_the_place_a_message_is_made_all_the_same),
        IN_PLACE(a_head_over_the_limit_is_not_built_in_the_place),
        IN_PLACE(a_place_that_closed_is_given_up),
        IN_PLACE(a_thread_holds_one_reference_to_one_place),
        IN_PLACE(each_thread_has_its_own_until_it_ends),
        IN_PLACE(another_thread_may_give_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
