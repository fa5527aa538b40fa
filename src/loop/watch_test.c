/* SPDX-License-Identifier: MIT
 *
 * Watches of folders: what is told of the folder itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "loop/watch.h"
#include "platform/file.h"
#include "platform/thread.h"

#define FOLDERS 2u

typedef struct fixture {
    wr_loop *loop;
    char *folder;
    char dotted[4096];          /* the same folder by another path */
    const char *paths[FOLDERS]; /* in the order in which they are watched */
    wr_folder_watch *watches[FOLDERS];
    wr_mutex lock; /* guards the rest */
    wr_cond changed;
    unsigned gone[FOLDERS]; /* times that it was told */
} fixture;

static fixture fix;

static void on_change(void *arg, bool gone)
{
    unsigned *times = arg;
    wr_mutex_lock(&fix.lock);
    *times += gone ? 1 : 0;
    wr_cond_broadcast(&fix.changed);
    wr_mutex_unlock(&fix.lock);
}

static int set_up(void **state)
{
    (void)state;
    fix = (fixture){.loop = NULL};
    wr_mutex_init(&fix.lock);
    wr_cond_init(&fix.changed);
    if (wr_folder_create_private("weir-test", &fix.folder, NULL) != WEIR_OK) {
        return -1;
    }
    (void)snprintf(fix.dotted, sizeof(fix.dotted), "%s/.", fix.folder);
    return wr_loop_create(&fix.loop) == WEIR_OK ? 0 : -1;
}

static void close_watches(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < FOLDERS; i++) {
        wr_folder_watch_close(fix.watches[i]);
    }
}

static int tear_down(void **state)
{
    (void)state;
    wr_loop_call(fix.loop, close_watches, NULL);
    wr_loop_destroy(fix.loop);
    wr_file_remove(fix.folder);
    free(fix.folder);
    wr_cond_deinit(&fix.changed);
    wr_mutex_deinit(&fix.lock);
    return 0;
}

static void open_watches(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < FOLDERS; i++) {
        assert_int_equal(wr_folder_watch_open(fix.loop, fix.paths[i], "name", on_change,
                                              &fix.gone[i], &fix.watches[i]),
                         WEIR_OK);
    }
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void check_that_all_are_told(const char *first, const char *second)
{
    fix.paths[0] = first;
    fix.paths[1] = second;
    wr_loop_call(fix.loop, open_watches, NULL);
    wr_file_remove(fix.folder);
    wr_mutex_lock(&fix.lock);
    while (fix.gone[0] == 0) {
        wr_cond_wait(&fix.changed, &fix.lock);
    }
    wr_mutex_unlock(&fix.lock);
    wr_loop_call(fix.loop, do_nothing, NULL); /* what told the first has told the others, too */
    wr_mutex_lock(&fix.lock);
    unsigned told = fix.gone[1];
    wr_mutex_unlock(&fix.lock);
    assert_int_not_equal(told, 0);
}

static void end_of_a_folder_is_told_by_its_second_path(void **state)
{
    (void)state;
    check_that_all_are_told(fix.folder, fix.dotted);
}

static void end_of_a_folder_is_told_by_its_second_path_the_other_way_round(void **state)
{
    (void)state;
    check_that_all_are_told(fix.dotted, fix.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(end_of_a_folder_is_told_by_its_second_path, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            end_of_a_folder_is_told_by_its_second_path_the_other_way_round, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
