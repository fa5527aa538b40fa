/* SPDX-License-Identifier: MIT
 *
 * The ring of pieces of bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/byte_ring.h"

#define PIECES 4096u

typedef struct piece {
    uint64_t place;
    size_t size;
    uint8_t fill;
} piece;

static void put(wr_byte_ring *ring, piece *out, size_t size, uint8_t fill)
{
    uint8_t *bytes = wr_byte_ring_put(ring, size, true, &out->place);
    assert_non_null(bytes);
    memset(bytes, fill, size);
    out->size = size;
    out->fill = fill;
}

static void check(const wr_byte_ring *ring, const piece *of)
{
    const uint8_t *bytes = wr_byte_ring_get(ring, of->place);
    for (size_t i = 0; i < of->size; i++) {
        assert_int_equal(bytes[i], of->fill);
    }
}

static void what_was_put_stays_while_others_come_and_go(void **state)
{
    (void)state;
    static piece pieces[PIECES];
    unsigned seed = (unsigned)time(NULL);
    size_t first = 0;
    size_t end = 0;
    wr_byte_ring ring = {.bytes = NULL};
    printf("seed %u\n", seed);
    srand(seed);
    for (unsigned step = 0; step < 200000; step++) {
        bool full = end - first == PIECES;
        if (!full && rand() % 100 < (step / 20000 % 2 == 0 ? 55 : 45)) {
            put(&ring, &pieces[end % PIECES], (size_t)(rand() % 1024), (uint8_t)rand());
            end++;
        } else if (end > first) {
            const piece *oldest = &pieces[first++ % PIECES];
            check(&ring, oldest);
            wr_byte_ring_release(&ring, oldest->place + oldest->size);
        }
    }
    for (; first < end; first++) {
        check(&ring, &pieces[first % PIECES]);
    }
    wr_byte_ring_deinit(&ring);
}

static void it_grows_to_its_limit_and_then_says_so(void **state)
{
    (void)state;
    wr_byte_ring ring = {.bytes = NULL};
    piece oldest;
    piece newest;
    uint64_t place = 0;
    put(&ring, &oldest, 1000, 1);
    size_t count = 1;
    void *bytes;
    while ((bytes = wr_byte_ring_put(&ring, 1000, true, &place)) != NULL) {
        memset(bytes, 2, 1000);
        count++;
    }
    assert_int_equal(ring.capacity, WR_BYTE_RING_MAX);
    assert_in_range(count, WR_BYTE_RING_MAX / 1000 - 1, WR_BYTE_RING_MAX / 1000);
    check(&ring, &oldest);
    wr_byte_ring_release(&ring, oldest.place + oldest.size);
    put(&ring, &newest, 900, 3);
    check(&ring, &newest);
    wr_byte_ring_deinit(&ring);
}

static void a_steady_flow_needs_no_larger_ring(void **state)
{
    (void)state;
    wr_byte_ring ring = {.bytes = NULL};
    piece before;
    piece now;
    put(&ring, &before, 700, 0);
    for (unsigned n = 1; n < 10000; n++) {
        put(&ring, &now, 700, (uint8_t)n);
        check(&ring, &before);
        wr_byte_ring_release(&ring, before.place + before.size);
        before = now;
    }
    assert_int_equal(ring.capacity, WR_BYTE_RING_START);
    wr_byte_ring_deinit(&ring);
}

static void a_piece_that_could_never_fit_is_refused_at_once(void **state)
{
    (void)state;
    wr_byte_ring ring = {.bytes = NULL};
    uint64_t place = 0;
    assert_null(wr_byte_ring_put(&ring, WR_BYTE_RING_MAX / 2 + 1, true, &place));
    assert_null(ring.bytes);
}

static void it_can_be_made_for_what_it_is_to_hold(void **state)
{
    (void)state;
    static piece pieces[40];
    wr_byte_ring ring = {.bytes = NULL};
    assert_true(wr_byte_ring_init(&ring, 40 * 1000));
    assert_int_equal(ring.capacity, 64 * 1024);
    for (unsigned n = 0; n < 40; n++) {
        assert_non_null(wr_byte_ring_put(&ring, 1000, false, &pieces[n].place));
    }
    wr_byte_ring_deinit(&ring);
    assert_true(wr_byte_ring_init(&ring, 0));
    assert_int_equal(ring.capacity, WR_BYTE_RING_START);
    wr_byte_ring_deinit(&ring);
    assert_false(wr_byte_ring_init(&ring, WR_BYTE_RING_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_stays_while_others_come_and_go),
        cmocka_unit_test(it_grows_to_its_limit_and_then_says_so),
        cmocka_unit_test(a_steady_flow_needs_no_larger_ring),
        cmocka_unit_test(it_can_be_made_for_what_it_is_to_hold),
        cmocka_unit_test(a_piece_that_could_never_fit_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
