/* SPDX-License-Identifier: MIT
 *
 * A gateway under random load, while links and modules come and go and the processes of remote
 * modules are killed. Again and again the sources are held until nothing moves any more; then the
 * gateway's counters must agree, to the message, with the books that the modules keep themselves.
 * All the while another thread looks at the counters: they must hold at any moment.
 *
 * WEIR_SEED repeats the choices (the interleaving remains the machine's), WEIR_LOAD_STEPS says how
 * many steps there are.
 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load_stage.h"

extern char **environ;

#define STEPS_DEFAULT 25
#define CHANGES_MAX 8 /* in one step */
#define PER_STEP 3000 /* messages that the sources publish between two changes, at least */

static uint64_t below(stage *s, uint64_t end)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random % end;
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* ---- modules and processes ---- */

static void start_host(stage *s, size_t module)
{
    char program[TEXT_MAX];
    char control[16];
    (void)snprintf(program, sizeof(program), "%s/weir", getenv("WEIR_BUILD_DIR"));
    (void)snprintf(control, sizeof(control), "%s.control", cast[module].name);
    char *argv[] = {program, (char[]){"host"}, control, NULL};
    posix_spawn_file_actions_t files;
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn(&s->hosts[module], program, &files, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&files);
}

static void end_host(stage *s, size_t module, int signal_number)
{
    if (s->hosts[module] == 0) {
        return;
    }
    assert_int_equal(kill(s->hosts[module], signal_number), 0);
    assert_int_equal(waitpid(s->hosts[module], NULL, 0), s->hosts[module]);
    s->hosts[module] = 0;
}

static void describe(const stage *s, size_t module, char *json, size_t size)
{
    static const char *const roles[] = {
        [SOURCE] = "source", [PASS] = "pass", [ISOLATED] = "pass", [SINK] = "sink"};
    const char *name = cast[module].name;
    if (cast[module].kind == HOSTED) {
        (void)snprintf(json, size,
                       "{\"name\": \"%s\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": "
                       "{\"control.id\": \"%s.control\"}}, \"args\": {\"outprocess.loader\": "
                       "{\"entrypoint\": {\"module.path\": \"%s\"}}, \"module.args\": \"pass\"}}",
                       name, name, s->library);
        return;
    }
    (void)snprintf(json, size,
                   "{\"name\": \"%s\", \"isolation\": \"%s\", \"args\": \"%s\", \"loader\": "
                   "{\"entrypoint\": {\"module.path\": \"%s\"}}}",
                   name, cast[module].kind == ISOLATED ? "process" : "thread",
                   roles[cast[module].kind], s->library);
}

static void add_module(stage *s, size_t module)
{
    char json[2 * TEXT_MAX];
    describe(s, module, json, sizeof(json));
    assert_int_equal(weir_gateway_add_module(s->gateway, json), WEIR_OK);
}

/* ---- changes ---- */

static void add_link(stage *s, size_t from, size_t to)
{
    static const char *const rules[] = {"block", "drop.oldest", "drop.newest"};
    static const unsigned limits[] = {1, 2, 16, 100, 1024};
    char json[TEXT_MAX];
    (void)snprintf(json, sizeof(json),
                   "{\"source\": \"%s\", \"sink\": \"%s\", \"queue\": {\"limit\": %u, "
                   "\"when.full\": \"%s\"}}",
                   cast[from].name, cast[to].name, limits[below(s, 5)], rules[below(s, 3)]);
    assert_int_equal(weir_gateway_add_link(s->gateway, json), WEIR_OK);
    s->lines[from][to] = (line){.exists = true};
    s->out_changed[from] = true;
}

/* The link is about to go, with what it may still deliver. */
static void forget_link(stage *s, size_t from, size_t to)
{
    if (is_remote(to)) {
        list_links(s);
        s->gone += s->now[from][to].delivered;
        s->gone_known = false;
    }
    s->lines[from][to] = (line){.exists = false};
    s->out_changed[from] = true;
    s->in_changed[to] = true;
}

static void change_link(stage *s, size_t from, size_t to)
{
    if (cast[from].kind >= cast[to].kind) {
        return;
    }
    if (!s->lines[from][to].exists) {
        add_link(s, from, to);
        return;
    }
    forget_link(s, from, to);
    assert_int_equal(weir_gateway_remove_link(s->gateway, cast[from].name, cast[to].name), WEIR_OK);
}

/* Nothing moves on the links of the modules here: what they count is known exactly after it, too.
 */
static void change_link_while_held(stage *s)
{
    size_t from = below(s, MODULES);
    size_t to = below(s, MODULES);
    if (is_remote(from)) {
        return;
    }
    bool out_changed = s->out_changed[from];
    bool in_changed = s->in_changed[to];
    bool gone_known = s->gone_known;
    change_link(s, from, to);
    s->out_changed[from] = out_changed;
    s->in_changed[to] = in_changed;
    s->gone_known = gone_known;
}

static void replace_module(stage *s, size_t module)
{
    for (size_t i = 0; i < MODULES; i++) {
        if (s->lines[module][i].exists) {
            forget_link(s, module, i);
        }
        if (s->lines[i][module].exists) {
            forget_link(s, i, module);
        }
    }
    assert_int_equal(weir_gateway_remove_module(s->gateway, cast[module].name), WEIR_OK);
    add_module(s, module);
    s->in_changed[module] = true;
    for (size_t i = 0; i < MODULES; i++) {
        if (cast[i].kind < cast[module].kind && below(s, 2) == 0) {
            add_link(s, i, module);
        }
        if (cast[module].kind < cast[i].kind && below(s, 2) == 0) {
            add_link(s, module, i);
        }
    }
}

static void note_pid(void *user, const weir_module_info *info)
{
    int64_t *pid = user;
    if (strcmp(info->name, "i0") == 0) {
        *pid = info->pid;
    }
}

/* The gateway's own child: it collects it. */
static void kill_isolated(stage *s, size_t module)
{
    int64_t pid = 0;
    weir_gateway_modules(s->gateway, note_pid, &pid);
    if (pid > 0) {
        (void)kill((pid_t)pid, SIGKILL); /* it may have ended by itself */
    }
    replace_module(s, module);
}

static void kill_something(stage *s)
{
    size_t module = below(s, MODULES);
    if (cast[module].kind == HOSTED) {
        end_host(s, module, SIGKILL);
    } else if (cast[module].kind == ISOLATED) {
        kill_isolated(s, module);
    }
}

static void change_something(stage *s)
{
    uint64_t dice = below(s, 10);
    if (dice < 6) {
        size_t from = below(s, MODULES);
        change_link(s, from, below(s, MODULES));
    } else if (dice < 9) {
        kill_something(s);
    } else {
        replace_module(s, below(s, MODULES));
    }
}

/* ---- the play ---- */

static void hold_sources(const stage *s, bool held)
{
    for (size_t i = 0; i < MODULES; i++) {
        if (cast[i].kind == SOURCE) {
            (void)pthread_mutex_lock(&s->books[i]->lock);
            s->books[i]->held = held;
            (void)pthread_cond_broadcast(&s->books[i]->changed);
            (void)pthread_mutex_unlock(&s->books[i]->lock);
        }
    }
}

static uint64_t begun_by_sources(const stage *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < MODULES; i++) {
        sum += cast[i].kind == SOURCE ? atomic_load(&s->books[i]->begun) : 0;
    }
    return sum;
}

/* A source that is blocked by a killed remote does not count: then it is time to go on. */
static void let_it_run(stage *s)
{
    uint64_t enough = begun_by_sources(s) + PER_STEP;
    for (size_t i = 0; begun_by_sources(s) < enough && i < 20; i++) {
        pause_a_moment();
    }
}

static void run_step(stage *s, bool under_load)
{
    hold_sources(s, false);
    let_it_run(s);
    for (uint64_t left = under_load ? 1 + below(s, CHANGES_MAX) : 0; left > 0; left--) {
        change_something(s);
        let_it_run(s);
    }
    for (size_t i = 0; i < MODULES; i++) {
        if (cast[i].kind == HOSTED && s->hosts[i] == 0) {
            start_host(s, i);
        }
    }
    hold_sources(s, true);
    wait_for_agreement(s);
    begin_anew(s);
    for (uint64_t left = below(s, 3); left > 0; left--) {
        change_link_while_held(s);
    }
}

static void make_gateway(stage *s)
{
    static const char text[] =
        "{\"modules\": [], \"gateway\": {\"grace.period.ms\": 20, \"crash.reports\": 0}}";
    FILE *file = fopen("gateway.json", "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(weir_gateway_create_from_file("gateway.json", NULL, &s->gateway), WEIR_OK);
    assert_int_equal(weir_gateway_start(s->gateway), WEIR_OK);
}

static void open_books(stage *s)
{
    void *library = dlopen(s->library, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    load_book *(*get_book)(const char *) = NULL;
    *(void **)&get_book = dlsym(library, "load_get_book");
    assert_non_null(get_book);
    for (size_t i = 0; i < MODULES; i++) {
        s->books[i] = is_remote(i) ? NULL : get_book(cast[i].name);
    }
}

static void set_the_stage(stage *s)
{
    (void)snprintf(s->library, sizeof(s->library), "%s/tests/integration/libload.so",
                   getenv("WEIR_BUILD_DIR"));
    (void)snprintf(s->folder, sizeof(s->folder), "/tmp/weir-load-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chdir(s->folder), 0);
    s->gone_known = true;
    open_books(s);
    hold_sources(s, true);
    make_gateway(s);
    for (size_t i = 0; i < MODULES; i++) {
        add_module(s, i);
        for (size_t from = 0; from < i; from++) {
            if (cast[from].kind < cast[i].kind && below(s, 2) == 0) {
                add_link(s, from, i);
            }
        }
        if (cast[i].kind == HOSTED) {
            start_host(s, i);
        }
    }
    begin_anew(s);
}

static void check_after_the_stop(stage *s)
{
    assert_int_equal(weir_gateway_stop(s->gateway), WEIR_OK);
    for (size_t i = 0; i < MODULES; i++) {
        end_host(s, i, SIGTERM);
    }
    assert_null(check_totals(s));
    weir_stats stats = get_stats(s);
    assert_int_equal(stats.accepted, stats.delivered + stats.dropped_full + stats.dropped_closed);
    print_message("%" PRIu64 " accepted = %" PRIu64 " delivered + %" PRIu64 " + %" PRIu64
                  " dropped; %" PRIu64 " redelivered\n",
                  stats.accepted, stats.delivered, stats.dropped_full, stats.dropped_closed,
                  stats.redelivered);
}

static void clear_the_stage(stage *s)
{
    weir_gateway_destroy(s->gateway);
    for (size_t i = 0; i < MODULES; i++) {
        char control[16];
        (void)snprintf(control, sizeof(control), "%s.control", cast[i].name);
        (void)remove(control); /* of a host that was killed */
    }
    assert_int_equal(remove("gateway.json"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(s->folder), 0);
}

static void end_checker(stage *s)
{
    atomic_store(&s->finished, true);
    if (s->checking) {
        s->checking = false;
        (void)pthread_join(s->checker, NULL);
    }
}

static void counters_agree_with_the_books_whatever_happens(void **state)
{
    uint64_t seed = number_from_environment("WEIR_SEED", (uint64_t)time(NULL) % 1000000 + 1);
    uint64_t steps = number_from_environment("WEIR_LOAD_STEPS", STEPS_DEFAULT);
    print_message("WEIR_SEED=%" PRIu64 ", %" PRIu64 " steps\n", seed, steps);
    stage *s = *state;
    s->random = seed * 0x9e3779b97f4a7c15u | 1;
    set_the_stage(s);
    assert_int_equal(pthread_create(&s->checker, NULL, check_always, s), 0);
    s->checking = true;
    for (uint64_t i = 0; i < steps; i++) {
        run_step(s, i % 3 != 0);
    }
    check_after_the_stop(s);
    end_checker(s);
    assert_false(atomic_load(&s->failed));
    clear_the_stage(s);
}

static int make_stage(void **state)
{
    *state = calloc(1, sizeof(stage));
    return *state == NULL ? -1 : 0;
}

/* Also after a failure: no process and no thread of the test's own is left. */
static int free_stage(void **state)
{
    stage *s = *state;
    end_checker(s);
    for (size_t i = 0; i < MODULES; i++) {
        end_host(s, i, SIGKILL);
    }
    free(s);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_agree_with_the_books_whatever_happens, make_stage,
                                        free_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
