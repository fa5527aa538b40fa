/* SPDX-License-Identifier: MIT
 *
 * Tests of the control codec: the examples of docs/wire-protocol.md byte by byte, and what is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ipc/control.h"
#include "ipc/protocol.h"

/* clang-format off */
static const uint8_t plain_create[] = {
    0xa1, 0x6c, 0x01, 0x01, 0x00, 0x00, 0x00, 0x21, 0x01, 0x10,
    0x00, 0x00, 0x00, 0x0a, 'i', 'p', 'c', ':', '/', '/', 'm', 's', 'g', 0x00,
    0x00, 0x00, 0x00, 0x05, 'n', 'u', 'l', 'l', 0x00,
};
static const uint8_t extended_create[] = {
    0xa1, 0x6c, 0x01, 0x01, 0x00, 0x00, 0x00, 0x2a, 0x01, 0x10,
    0x00, 0x00, 0x00, 0x0a, 'i', 'p', 'c', ':', '/', '/', 'm', 's', 'g', 0x00,
    0x00, 0x00, 0x00, 0x05, 'n', 'u', 'l', 'l', 0x00,
    0x57, 0x52, 0x01, 0x02, 0x04, 0x04, 0x00, 0x00, 0x00,
};
static const uint8_t plain_reply[] = {0xa1, 0x6c, 0x01, 0x02, 0x00, 0x00, 0x00, 0x09, 0x00};
static const uint8_t detached_reply[] = {0xa1, 0x6c, 0x01, 0x02, 0x00, 0x00, 0x00, 0x09, 0xff};
static const uint8_t failed_reply[] = {
    0xa1, 0x6c, 0x01, 0x02, 0x00, 0x00, 0x00, 0x15, 0x02,
    0x57, 0x52, 0x01, 0x03, 0x07, 'n', 'o', ' ', 'p', 'o', 'r', 't',
};
static const uint8_t start[] = {0xa1, 0x6c, 0x01, 0x03, 0x00, 0x00, 0x00, 0x08};
static const uint8_t destroy[] = {0xa1, 0x6c, 0x01, 0x04, 0x00, 0x00, 0x00, 0x08};
/* clang-format on */

static void assert_encodes(const wr_control_message *message, const uint8_t *image, size_t size)
{
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_OK, wr_control_encode(message, &buffer));
    assert_int_equal(size, buffer.size);
    assert_memory_equal(image, buffer.data, size);
    wr_buffer_deinit(&buffer);
}

/* Memory of exactly `size` bytes, so that a read past the end is seen. The borrowed texts of `out`
 * are gone when this returns. */
static weir_err decode_exact(const uint8_t *image, size_t size, wr_control_message *out)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, image, size);
    weir_err err = wr_control_decode(exact, size, out, NULL);
    free(exact);
    return err;
}

static void assert_refused(const uint8_t *image, size_t size, weir_err expected)
{
    wr_control_message message = {.type = WR_CONTROL_START, .status = 77};
    assert_int_equal(expected, decode_exact(image, size, &message));
    assert_int_equal(WR_CONTROL_START, message.type);
    assert_int_equal(77, message.status);
}

/* `image`, of which the byte at `at` is `value`. */
static void assert_byte_refused(const uint8_t *image, size_t size, size_t at, uint8_t value,
                                weir_err expected)
{
    uint8_t changed[64];
    memcpy(changed, image, size);
    changed[at] = value;
    assert_refused(changed, size, expected);
}

static wr_control_message decode(const uint8_t *image, size_t size)
{
    wr_control_message message;
    assert_int_equal(WEIR_OK, wr_control_decode(image, size, &message, NULL));
    return message;
}

static void encoding_gives_the_documented_bytes(void **state)
{
    (void)state;
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = "ipc://msg", .args = "null"};
    assert_encodes(&create, plain_create, sizeof(plain_create));
    create.extension = (wr_extension){.present = true, .message_limit = 0x04000000};
    assert_encodes(&create, extended_create, sizeof(extended_create));
    wr_control_message reply = {.type = WR_CONTROL_REPLY, .status = WR_REPLY_CREATED};
    assert_encodes(&reply, plain_reply, sizeof(plain_reply));
    reply.status = WR_REPLY_DETACHED;
    assert_encodes(&reply, detached_reply, sizeof(detached_reply));
    reply.status = WR_REPLY_MODULE_FAILED;
    reply.extension = (wr_extension){.present = true, .reason = "no port"};
    assert_encodes(&reply, failed_reply, sizeof(failed_reply));
    assert_encodes(&(wr_control_message){.type = WR_CONTROL_START}, start, sizeof(start));
    assert_encodes(&(wr_control_message){.type = WR_CONTROL_DESTROY}, destroy, sizeof(destroy));
}

static void documented_bytes_are_understood(void **state)
{
    (void)state;
    wr_control_message message = decode(extended_create, sizeof(extended_create));
    assert_int_equal(WR_CONTROL_CREATE, message.type);
    assert_string_equal("ipc://msg", message.uri);
    assert_string_equal("null", message.args);
    assert_true(message.extension.present);
    assert_int_equal(0x04000000, message.extension.message_limit);
    assert_int_equal(0, message.extension.features);

    message = decode(failed_reply, sizeof(failed_reply));
    assert_int_equal(WR_CONTROL_REPLY, message.type);
    assert_int_equal(WR_REPLY_MODULE_FAILED, message.status);
    assert_string_equal("no port", message.extension.reason);
    assert_int_equal(WR_REPLY_DETACHED, decode(detached_reply, sizeof(detached_reply)).status);
    assert_int_equal(WR_CONTROL_START, decode(start, sizeof(start)).type);
    assert_int_equal(WR_CONTROL_DESTROY, decode(destroy, sizeof(destroy)).type);
}

static void old_peer_has_no_extension(void **state)
{
    (void)state;
    wr_control_message message = decode(plain_create, sizeof(plain_create));
    assert_false(message.extension.present);
    assert_int_equal(0, message.extension.message_limit);
    assert_string_equal("", message.extension.reason);
    assert_false(decode(plain_reply, sizeof(plain_reply)).extension.present);
}

static void every_entry_survives_the_way(void **state)
{
    (void)state;
    wr_control_message sent = {.type = WR_CONTROL_REPLY, .status = 2};
    sent.extension = (wr_extension){.present = true, .features = 0x80000001, .message_limit = 7};
    memset(sent.extension.reason, 'x', sizeof(sent.extension.reason) - 1);
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_OK, wr_control_encode(&sent, &buffer));
    wr_control_message got = decode((const uint8_t *)buffer.data, buffer.size);
    assert_true(got.extension.present);
    assert_int_equal(0x80000001, got.extension.features);
    assert_int_equal(7, got.extension.message_limit);
    assert_string_equal(sent.extension.reason, got.extension.reason);
    wr_buffer_deinit(&buffer);
}

/* The bytes after the body of a created reply, with the total size put right. */
static size_t reply_with(uint8_t *image, const void *tail, size_t size)
{
    memcpy(image, plain_reply, sizeof(plain_reply));
    memcpy(image + sizeof(plain_reply), tail, size);
    wr_put_u32(image + 4, (uint32_t)(sizeof(plain_reply) + size));
    return sizeof(plain_reply) + size;
}

typedef struct tail_case {
    const char *bytes;
    size_t size;
    bool present;
    uint32_t features;
} tail_case;

static void bytes_that_are_no_extension_are_ignored_and_unknown_entries_skipped(void **state)
{
    (void)state;
    const tail_case cases[] = {
        {"x", 1, false, 0},
        {"WR", 2, false, 0},
        {"WR\0\1\4\0\0\0\1", 9, false, 0},
        {"WX\1\1\4\0\0\0\1", 9, false, 0},
        {"WR\1", 3, true, 0},
        {"WR\1\1\4\0\0\0\1", 9, true, 1},
        {"WR\xff\1\4\0\0\0\1", 9, true, 1},
        {"WR\1\x63\2ab\1\4\0\0\0\1\x64\0", 15, true, 1},
    };
    uint8_t image[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = reply_with(image, cases[i].bytes, cases[i].size);
        wr_control_message message = decode(image, size);
        assert_int_equal(cases[i].present, message.extension.present);
        assert_int_equal(cases[i].features, message.extension.features);
    }
}

static void malformed_extension_is_refused(void **state)
{
    (void)state;
    const tail_case cases[] = {
        {"WR\1\1", 4, false, 0},
        {"WR\1\1\4", 5, false, 0},
        {"WR\1\1\4\0\0\0", 8, false, 0},
        {"WR\1\1\3\0\0\0", 8, false, 0},
        {"WR\1\2\5\0\0\0\0\0", 10, false, 0},
        {"WR\1\3\3a\0b", 8, false, 0},
        {"WR\1\x63\xff", 5, false, 0},
        {"WR\2\1\4\0\0\0", 8, false, 0},
    };
    uint8_t image[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_refused(image, reply_with(image, cases[i].bytes, cases[i].size), WEIR_ERR_PROTOCOL);
    }
}

static void every_truncation_of_a_create_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(extended_create); size++) {
        uint8_t cut[sizeof(extended_create)];
        memcpy(cut, extended_create, sizeof(cut));
        assert_refused(cut, size, WEIR_ERR_PROTOCOL);
        wr_put_u32(cut + 4, (uint32_t)size);
        /* Without the block, or with less of it than its three first bytes: an old peer's. Those
         * three alone: an empty block. */
        bool whole = size >= sizeof(plain_create) && size <= sizeof(plain_create) + 3;
        wr_control_message message;
        weir_err err = decode_exact(cut, size, &message);
        assert_int_equal(whole ? WEIR_OK : WEIR_ERR_PROTOCOL, err);
    }
}

static void wrong_header_bytes_are_refused(void **state)
{
    (void)state;
    const size_t size = sizeof(plain_reply);
    assert_byte_refused(plain_reply, size, 0, 0xa0, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_reply, size, 1, 0x60, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_reply, size, 2, 2, WEIR_ERR_UNSUPPORTED);
    assert_byte_refused(plain_reply, size, 7, 8, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_reply, size, 4, 0xff, WEIR_ERR_PROTOCOL);
}

static void types_that_we_do_not_speak_are_unsupported(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        if (type < WR_CONTROL_CREATE || type > WR_CONTROL_ACKNOWLEDGE) {
            assert_byte_refused(start, sizeof(start), 3, (uint8_t)type, WEIR_ERR_UNSUPPORTED);
        }
    }
}

static void messages_with_a_number_have_the_documented_bytes(void **state)
{
    (void)state;
    const uint8_t expected[] = {0xa1, 0x6c, 1, 7, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8};
    wr_control_message acknowledge = {.type = WR_CONTROL_ACKNOWLEDGE, .count = 0x0102030405060708u};
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_OK, wr_control_encode(&acknowledge, &buffer));
    assert_int_equal(sizeof(expected), buffer.size);
    assert_memory_equal(expected, buffer.data, buffer.size);
    wr_control_message back = decode(expected, sizeof(expected));
    assert_int_equal(WR_CONTROL_ACKNOWLEDGE, back.type);
    assert_true(back.count == acknowledge.count);
    wr_control_message message;
    for (size_t cut = 8; cut < sizeof(expected); cut++) {
        uint8_t shorter[sizeof(expected)];
        memcpy(shorter, expected, sizeof(expected));
        shorter[7] = (uint8_t)cut;
        assert_int_equal(WEIR_ERR_PROTOCOL, wr_control_decode(shorter, cut, &message, NULL));
    }
    wr_buffer_deinit(&buffer);
}

static void a_session_survives_encoding_and_decoding(void **state)
{
    (void)state;
    wr_control_message reply = {.type = WR_CONTROL_REPLY,
                                .extension = {.present = true,
                                              .features = WR_FEATURE_ACKNOWLEDGE,
                                              .window = 77,
                                              .position = {1, 1ull << 40, (1ull << 40) + 5}}};
    memset(&reply.extension.session, 0xab, sizeof(reply.extension.session));
    memset(&reply.extension.instance, 0xcd, sizeof(reply.extension.instance));
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_OK, wr_control_encode(&reply, &buffer));
    wr_control_message back = decode((const uint8_t *)buffer.data, buffer.size);
    assert_int_equal(77, back.extension.window);
    assert_memory_equal(&reply.extension.session, &back.extension.session, WR_ID_SIZE);
    assert_memory_equal(&reply.extension.instance, &back.extension.instance, WR_ID_SIZE);
    assert_memory_equal(&reply.extension.position, &back.extension.position,
                        sizeof(reply.extension.position));
    wr_buffer_deinit(&buffer);
}

static void a_position_whose_first_is_after_sent_is_refused(void **state)
{
    (void)state;
    wr_control_message reply = {
        .type = WR_CONTROL_REPLY,
        .extension = {.present = true, .features = WR_FEATURE_ACKNOWLEDGE, .position = {0, 6, 5}}};
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_OK, wr_control_encode(&reply, &buffer));
    wr_control_message message;
    assert_int_equal(WEIR_ERR_PROTOCOL,
                     wr_control_decode(buffer.data, buffer.size, &message, NULL));
    wr_buffer_deinit(&buffer);
}

static void create_with_other_versions_is_unsupported(void **state)
{
    (void)state;
    assert_byte_refused(plain_create, sizeof(plain_create), 8, 2, WEIR_ERR_UNSUPPORTED);
    assert_byte_refused(plain_create, sizeof(plain_create), 9, 0x20, WEIR_ERR_UNSUPPORTED);
}

static void texts_of_create_must_end_in_their_only_nul(void **state)
{
    (void)state;
    const size_t size = sizeof(plain_create);
    assert_byte_refused(plain_create, size, 13, 9, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 13, 0, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 10, 0xff, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 20, 0, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 23, 'x', WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 27, 6, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 27, 4, WEIR_ERR_PROTOCOL);
    assert_byte_refused(plain_create, size, 32, 'x', WEIR_ERR_PROTOCOL);
}

static void bytes_after_start_and_destroy_are_ignored(void **state)
{
    (void)state;
    const uint8_t longer[] = {0xa1, 0x6c, 1, 3, 0, 0, 0, 9, 'x'};
    assert_int_equal(WR_CONTROL_START, decode(longer, sizeof(longer)).type);
}

static void message_over_the_limit_is_not_encoded(void **state)
{
    (void)state;
    char *args = malloc(WR_CONTROL_SIZE_MAX + 1);
    assert_non_null(args);
    memset(args, 'x', WR_CONTROL_SIZE_MAX);
    args[WR_CONTROL_SIZE_MAX] = '\0';
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = "ipc://msg", .args = args};
    wr_buffer buffer = WR_BUFFER_INIT;
    assert_int_equal(WEIR_ERR_TOO_LARGE, wr_control_encode(&create, &buffer));
    /* Around uri and args there are 18 bytes and two NULs. */
    size_t most = WR_CONTROL_SIZE_MAX - 18 - strlen(create.uri) - 2;
    args[most + 1] = '\0';
    assert_int_equal(WEIR_ERR_TOO_LARGE, wr_control_encode(&create, &buffer));
    assert_int_equal(0, buffer.size);
    args[most] = '\0';
    assert_int_equal(WEIR_OK, wr_control_encode(&create, &buffer));
    assert_int_equal(WR_CONTROL_SIZE_MAX, buffer.size);
    wr_buffer_deinit(&buffer);
    free(args);
}

static void incomplete_message_is_not_encoded(void **state)
{
    (void)state;
    wr_buffer buffer = WR_BUFFER_INIT;
    wr_control_message wrong = {.type = WR_CONTROL_CREATE, .uri = "ipc://msg"};
    assert_int_equal(WEIR_ERR_INVALID, wr_control_encode(&wrong, &buffer));
    wrong = (wr_control_message){.type = (wr_control_type)8};
    assert_int_equal(WEIR_ERR_INVALID, wr_control_encode(&wrong, &buffer));
    wrong = (wr_control_message){.type = WR_CONTROL_REPLY, .extension = {.present = true}};
    memset(wrong.extension.reason, 'x', sizeof(wrong.extension.reason));
    assert_int_equal(WEIR_ERR_INVALID, wr_control_encode(&wrong, &buffer));
    assert_int_equal(0, buffer.size);
    wr_buffer_deinit(&buffer);
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal("create", wr_control_type_name(WR_CONTROL_CREATE));
    assert_string_equal("reply", wr_control_type_name(WR_CONTROL_REPLY));
    assert_string_equal("start", wr_control_type_name(WR_CONTROL_START));
    assert_string_equal("destroy", wr_control_type_name(WR_CONTROL_DESTROY));
    assert_string_equal("unknown", wr_control_type_name((wr_control_type)9));
}

static void protocol_range_is_carried_and_checked(void **state)
{
    (void)state;
    wr_control_message reply = {.type = WR_CONTROL_REPLY,
                                .extension = {.present = true, .protocol = {2, 0xffff}}};
    wr_control_message back = {0};
    wr_buffer image = WR_BUFFER_INIT;
    assert_int_equal(wr_control_encode(&reply, &image), WEIR_OK);
    assert_int_equal(wr_control_decode(image.data, image.size, &back, NULL), WEIR_OK);
    assert_int_equal(back.extension.protocol.first, 2);
    assert_int_equal(back.extension.protocol.last, 0xffff);
    wr_buffer_deinit(&image);

    static const wr_protocol_range wrong[] = {{0, 1}, {2, 1}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        reply.extension.protocol = wrong[i];
        assert_int_equal(wr_control_encode(&reply, &image), WEIR_OK);
        assert_int_equal(wr_control_decode(image.data, image.size, &back, NULL), WEIR_ERR_PROTOCOL);
        wr_buffer_deinit(&image);
    }
}

static void one_protocol_version_in_common_is_enough(void **state)
{
    (void)state;
    static const struct {
        bool present;
        wr_protocol_range range;
        bool agreed;
    } rows[] = {
        {false, {0, 0}, true},
        {true, {0, 0}, true},
        {true, {WR_PROTOCOL_FIRST, WR_PROTOCOL_LAST}, true},
        {true, {WR_PROTOCOL_LAST, WR_PROTOCOL_LAST + 1}, true},
        {true, {WR_PROTOCOL_LAST + 1, WR_PROTOCOL_LAST + 2}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wr_extension peer = {.present = rows[i].present, .protocol = rows[i].range};
        wr_error error = {.code = WEIR_OK};
        assert_int_equal(wr_protocol_agree(&peer, &error), rows[i].agreed);
        assert_int_equal(error.code, rows[i].agreed ? WEIR_OK : WEIR_ERR_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_gives_the_documented_bytes),
        cmocka_unit_test(documented_bytes_are_understood),
        cmocka_unit_test(old_peer_has_no_extension),
        cmocka_unit_test(every_entry_survives_the_way),
        cmocka_unit_test(bytes_that_are_no_extension_are_ignored_and_unknown_entries_skipped),
        cmocka_unit_test(malformed_extension_is_refused),
        cmocka_unit_test(every_truncation_of_a_create_is_refused),
        cmocka_unit_test(wrong_header_bytes_are_refused),
        cmocka_unit_test(types_that_we_do_not_speak_are_unsupported),
        cmocka_unit_test(messages_with_a_number_have_the_documented_bytes),
        cmocka_unit_test(a_session_survives_encoding_and_decoding),
        cmocka_unit_test(a_position_whose_first_is_after_sent_is_refused),
        cmocka_unit_test(create_with_other_versions_is_unsupported),
        cmocka_unit_test(texts_of_create_must_end_in_their_only_nul),
        cmocka_unit_test(bytes_after_start_and_destroy_are_ignored),
        cmocka_unit_test(message_over_the_limit_is_not_encoded),
        cmocka_unit_test(incomplete_message_is_not_encoded),
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(protocol_range_is_carried_and_checked),
        cmocka_unit_test(one_protocol_version_in_common_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
