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

#include "modules/load.h"
#include "weir/gateway.h"

extern char **environ;

#define PATIENCE_S 120
#define STEPS_DEFAULT 25
#define CHANGES_MAX 8 /* in one step */
#define PER_STEP 3000 /* messages that the sources publish between two changes, at least */
#define TEXT_MAX 2048

/* What a module is. Links go from lower to higher kinds only: no cycle that could block. */
typedef enum kind { SOURCE, PASS, HOSTED, ISOLATED, SINK } kind;

static const struct {
    const char *name;
    kind kind;
} cast[] = {
    {"s0", SOURCE}, {"s1", SOURCE},   {"s2", SOURCE}, {"p0", PASS}, {"p1", PASS}, {"h0", HOSTED},
    {"h1", HOSTED}, {"i0", ISOLATED}, {"k0", SINK},   {"k1", SINK}, {"k2", SINK},
};
#define MODULES (sizeof(cast) / sizeof(cast[0]))

/* A link as the test knows it. */
typedef struct line {
    bool exists;
    uint64_t accepted; /* at the last agreement, or 0 for a new one; likewise: */
    uint64_t delivered;
} line;

typedef struct stage {
    char folder[64];
    char library[TEXT_MAX];
    weir_gateway *gateway;
    uint64_t random;
    load_book *books[MODULES]; /* NULL: it runs in a process of its own */
    pid_t hosts[MODULES];      /* processes of HOSTED modules; 0: none */
    line lines[MODULES][MODULES];

    /* Since the last agreement. */
    uint64_t published[MODULES];
    uint64_t received[MODULES];
    bool out_changed[MODULES]; /* links out were changed under load, so that nothing is known of */
    bool in_changed[MODULES];  /* likewise: a link in was removed */

    uint64_t gone;   /* delivered by removed links to modules in other processes */
    bool gone_known; /* else it is learned at the next agreement, and at least so much */

    weir_link_info now[MODULES][MODULES]; /* the last listing; name NULL: no such link */
    atomic_bool finished;
    atomic_bool failed; /* found by a thread that is not cmocka's */
} stage;

static uint64_t below(stage *s, uint64_t end)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random % end;
}

static bool is_remote(size_t module)
{
    return cast[module].kind == HOSTED || cast[module].kind == ISOLATED;
}

static size_t find_module(const char *name)
{
    for (size_t i = 0; i < MODULES; i++) {
        if (strcmp(cast[i].name, name) == 0) {
            return i;
        }
    }
    fail_msg("an unknown module %s", name);
    return 0;
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void pause_a_moment(void)
{
    const struct timespec moment = {.tv_nsec = 500000};
    (void)nanosleep(&moment, NULL);
}

/* ---- what must hold at any moment ---- */

static void complain(stage *s, const char *text)
{
    atomic_store(&s->failed, true);
    (void)fprintf(stderr, "at some moment: %s\n", text);
}

static void check_link(void *user, const weir_link_info *info)
{
    if (info->accepted !=
            info->delivered + info->dropped_full + info->dropped_closed + info->queued ||
        info->queued > info->accepted) {
        complain(user, "a link's counters do not hold");
    }
}

static void ignore_module(void *user, const weir_module_info *info)
{
    (void)user;
    (void)info;
}

static void *check_always(void *arg)
{
    stage *s = arg;
    weir_stats before = WEIR_STATS_INIT;
    while (!atomic_load(&s->finished)) {
        weir_stats now = WEIR_STATS_INIT;
        weir_gateway_stats(s->gateway, &now);
        if (now.accepted != now.delivered + now.dropped_full + now.dropped_closed + now.queued ||
            now.queued > now.accepted) {
            complain(s, "the totals do not hold");
        }
        if (now.accepted < before.accepted || now.delivered < before.delivered ||
            now.dropped_full < before.dropped_full || now.dropped_closed < before.dropped_closed ||
            now.redelivered < before.redelivered) {
            complain(s, "a total has become less");
        }
        before = now;
        weir_gateway_links(s->gateway, check_link, s);
        weir_gateway_modules(s->gateway, ignore_module, NULL);
        (void)sched_yield();
    }
    return NULL;
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

/* ---- what the gateway says ---- */

static void note_link(void *user, const weir_link_info *info)
{
    stage *s = user;
    s->now[find_module(info->source)][find_module(info->sink)] = *info;
}

static void list_links(stage *s)
{
    memset(s->now, 0, sizeof(s->now));
    weir_gateway_links(s->gateway, note_link, s);
    for (size_t from = 0; from < MODULES; from++) {
        for (size_t to = 0; to < MODULES; to++) {
            assert_int_equal(s->now[from][to].source != NULL, s->lines[from][to].exists);
        }
    }
}

/* Delivered to modules in other processes, by links that exist. */
static uint64_t delivered_to_remotes(const stage *s)
{
    uint64_t sum = 0;
    for (size_t from = 0; from < MODULES; from++) {
        for (size_t to = 0; to < MODULES; to++) {
            sum += is_remote(to) ? s->now[from][to].delivered : 0;
        }
    }
    return sum;
}

static uint64_t received_here(const stage *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < MODULES; i++) {
        sum += is_remote(i) ? 0 : atomic_load(&s->books[i]->received);
    }
    return sum;
}

/* ---- agreement ---- */

static const char *check_out(const stage *s, size_t from)
{
    if (is_remote(from)) {
        return NULL; /* its process may have been killed: nobody knows what it published */
    }
    const load_book *book = s->books[from];
    uint64_t published = atomic_load(&book->published);
    if (atomic_load(&book->begun) != published + atomic_load(&book->refused)) {
        return "a module is still publishing";
    }
    for (size_t to = 0; to < MODULES; to++) {
        const line *it = &s->lines[from][to];
        if (it->exists && !s->out_changed[from] &&
            s->now[from][to].accepted - it->accepted != published - s->published[from]) {
            return "a link has not accepted what its source has published";
        }
    }
    return NULL;
}

static const char *check_in(const stage *s, size_t to)
{
    uint64_t delivered = 0;
    for (size_t from = 0; from < MODULES; from++) {
        if (s->now[from][to].queued > 0) {
            return "a link is not empty";
        }
        delivered += s->now[from][to].delivered - s->lines[from][to].delivered;
    }
    if (is_remote(to) || s->in_changed[to]) {
        return NULL;
    }
    bool same = delivered == atomic_load(&s->books[to]->received) - s->received[to];
    return same ? NULL : "a module has not received what its links have delivered";
}

static const char *check_totals(const stage *s)
{
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(s->gateway, &stats);
    uint64_t known = received_here(s) + delivered_to_remotes(s) + s->gone;
    if (stats.queued > 0) {
        return "the totals count something as queued";
    }
    if (s->gone_known ? stats.delivered != known : stats.delivered < known) {
        return "the total of what was delivered is not what the modules have received";
    }
    return NULL;
}

/* NULL: everything is as it must be when nothing moves. */
static const char *disagreement(stage *s)
{
    list_links(s);
    const char *text = NULL;
    for (size_t i = 0; i < MODULES && text == NULL; i++) {
        text = check_out(s, i);
        text = text != NULL ? text : check_in(s, i);
    }
    return text != NULL ? text : check_totals(s);
}

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

static void wait_for_agreement(stage *s)
{
    time_t end = time(NULL) + PATIENCE_S;
    const char *text;
    while ((text = disagreement(s)) != NULL) {
        if (time(NULL) > end) {
            fail_msg("when nothing moves: %s", text);
        }
        pause_a_moment();
    }
    if (!s->gone_known) {
        weir_stats stats = WEIR_STATS_INIT;
        weir_gateway_stats(s->gateway, &stats);
        s->gone = stats.delivered - received_here(s) - delivered_to_remotes(s);
        s->gone_known = true;
    }
    assert_false(atomic_load(&s->failed));
}

/* What was counted so far is agreed on. */
static void begin_anew(stage *s)
{
    list_links(s);
    for (size_t i = 0; i < MODULES; i++) {
        s->out_changed[i] = false;
        s->in_changed[i] = false;
        if (!is_remote(i)) {
            s->published[i] = atomic_load(&s->books[i]->published);
            s->received[i] = atomic_load(&s->books[i]->received);
        }
        for (size_t to = 0; to < MODULES; to++) {
            s->lines[i][to].accepted = s->now[i][to].accepted;
            s->lines[i][to].delivered = s->now[i][to].delivered;
        }
    }
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

static void change_link(stage *s)
{
    size_t from = below(s, MODULES);
    size_t to = below(s, MODULES);
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
        change_link(s);
    } else if (dice < 9) {
        kill_something(s);
    } else {
        replace_module(s, below(s, MODULES));
    }
}

/* ---- the play ---- */

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
    for (uint64_t left = below(s, 3); left > 0; left--) {
        change_link(s); /* nothing moves: what comes after it can be known exactly */
    }
    begin_anew(s);
}

static void make_gateway(stage *s)
{
    static const char text[] = "{\"modules\": [], \"gateway\": {\"grace.period.ms\": 20}}";
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
    assert_null(check_totals(s));
    list_links(s);
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(s->gateway, &stats);
    assert_int_equal(stats.accepted, stats.delivered + stats.dropped_full + stats.dropped_closed);
    print_message("%" PRIu64 " accepted = %" PRIu64 " delivered + %" PRIu64 " + %" PRIu64
                  " dropped; %" PRIu64 " redelivered\n",
                  stats.accepted, stats.delivered, stats.dropped_full, stats.dropped_closed,
                  stats.redelivered);
}

static void clear_the_stage(stage *s)
{
    for (size_t i = 0; i < MODULES; i++) {
        end_host(s, i, SIGTERM);
    }
    weir_gateway_destroy(s->gateway);
    for (size_t i = 0; i < MODULES; i++) {
        char control[16];
        (void)snprintf(control, sizeof(control), "%s.control", cast[i].name);
        (void)remove(control); /* of a host that was killed */
    }
    assert_int_equal(remove("gateway.json"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(s->folder), 0);
    free(s);
}

static void counters_agree_with_the_books_whatever_happens(void **state)
{
    (void)state;
    uint64_t seed = number_from_environment("WEIR_SEED", (uint64_t)time(NULL) % 1000000 + 1);
    uint64_t steps = number_from_environment("WEIR_LOAD_STEPS", STEPS_DEFAULT);
    print_message("WEIR_SEED=%" PRIu64 ", %" PRIu64 " steps\n", seed, steps);
    stage *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->random = seed * 0x9e3779b97f4a7c15u | 1;
    set_the_stage(s);
    pthread_t checker;
    assert_int_equal(pthread_create(&checker, NULL, check_always, s), 0);
    for (uint64_t i = 0; i < steps; i++) {
        run_step(s, i % 3 != 0);
    }
    check_after_the_stop(s);
    atomic_store(&s->finished, true);
    assert_int_equal(pthread_join(checker, NULL), 0);
    assert_false(atomic_load(&s->failed));
    clear_the_stage(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_agree_with_the_books_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
