/* SPDX-License-Identifier: MIT
 *
 * Tests of suggestions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/suggest.h"

static const char *nearest(const char *wrong, const char *const *candidates)
{
    wr_suggestion near = wr_suggestion_for(wrong, strlen(wrong));
    for (size_t i = 0; candidates[i] != NULL; i++) {
        wr_suggestion_try(&near, candidates[i]);
    }
    return near.best == NULL ? "" : near.best;
}

static void nearest_word_is_suggested(void **state)
{
    (void)state;
    static const char *const keys[] = {"name", "args", "loader", "activation.type", "x", NULL};
    assert_string_equal(nearest("nmae", keys), "name");
    assert_string_equal(nearest("arg", keys), "args");
    assert_string_equal(nearest("arguments", keys), "");
    assert_string_equal(nearest("oader", keys), "loader");
    assert_string_equal(nearest("activationtype", keys), "activation.type");
    assert_string_equal(nearest("activation_typ", keys), "activation.type");
    assert_string_equal(nearest("", keys), "x");
    assert_string_equal(nearest("yz", keys), "");
    assert_string_equal(nearest("elephant", keys), "");
}

static void very_long_words_are_near_to_nothing(void **state)
{
    (void)state;
    char wrong[66];
    char right[66];
    memset(wrong, 'x', sizeof(wrong));
    memset(right, 'x', sizeof(right));
    right[0] = 'y';
    wrong[64] = right[64] = '\0';
    const char *const words[] = {right, NULL};
    assert_string_equal(nearest(wrong, words), right);
    wrong[64] = right[64] = 'x';
    wrong[65] = right[65] = '\0';
    assert_string_equal(nearest(wrong, words), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_word_is_suggested),
        cmocka_unit_test(very_long_words_are_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
