/* SPDX-License-Identifier: MIT
 *
 * The pool: blocks are big enough, not given twice, and travel between threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "message/pool.h"
#include "platform/thread.h"

#define BLOCKS 1000u

static void every_size_can_be_filled_to_its_last_byte(void **state)
{
    (void)state;
    for (size_t size = 1; size <= WR_POOL_BLOCK_MAX + 8192; size += size < 600 ? 1 : size / 7) {
        unsigned char *block = wr_pool_get(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
        memset(block, 0xa5, size);
        wr_pool_put(block, size);
    }
}

static void a_block_is_not_given_to_two(void **state)
{
    (void)state;
    static uint32_t *blocks[BLOCKS];
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            blocks[i] = wr_pool_get(100);
            *blocks[i] = i;
        }
        for (uint32_t i = 0; i < BLOCKS; i++) {
            assert_int_equal(*blocks[i], i);
            wr_pool_put(blocks[i], 100);
        }
    }
}

static void give_all_back(void *arg)
{
    void **blocks = arg;
    for (size_t i = 0; i < BLOCKS; i++) {
        wr_pool_put(blocks[i], 200);
    }
}

static void blocks_go_back_on_another_thread_that_ends(void **state)
{
    (void)state;
    static void *blocks[BLOCKS];
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = wr_pool_get(200);
            memset(blocks[i], (int)i, 200);
        }
        wr_thread other = {0};
        assert_int_equal(wr_thread_start(&other, "other", give_all_back, blocks), WEIR_OK);
        wr_thread_join(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_can_be_filled_to_its_last_byte),
        cmocka_unit_test(a_block_is_not_given_to_two),
        cmocka_unit_test(blocks_go_back_on_another_thread_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
