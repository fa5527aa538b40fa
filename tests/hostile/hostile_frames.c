/* SPDX-License-Identifier: MIT
 *
 * Random and mutated frames and control messages, millions of them, against a live gateway (`weir
 * run`) and a live remote module (`weir host`):
 *     hostile_frames BUILD_DIR [-frames=N] [-controls=N] [-seed=N]
 *
 * A frame is counted only if the victim surely took it: up to the first one that ends the
 * connection. The gateway must stay the same process, serve its good module throughout, lose none
 * of that one's messages, accept of the hostile ones exactly those that are well-formed, and be
 * left with the memory and descriptors that it had. Progress is watched, not time.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "../fuzz/peer.h"
#include "attack.h"
#include "base/log_limit.h"
#include "good_peer.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "victim.h"

#define ATTACKERS 4u
#define PATH_SIZE 512u
#define WATCH_MS 100
/* Without one frame more for so long something is stuck. */
#define PATIENCE_NS (60000 * WR_NS_PER_MS)
#define GOOD_EACH_PHASE 100u
/* A warm-up brings memory to where it stays; then it may grow by so much. */
#define WARM_UP_ONE_IN 10u
#define RSS_GROWTH_MAX_KB 8192u
/* Lines of log besides those that the limit allows to each peer. */
#define OTHER_LINES_MAX 200u

typedef struct options {
    const char *build_dir;
    uint64_t frames;
    uint64_t controls;
    unsigned int seed;
} options;

typedef struct scene {
    options options;
    char *folder;
    char weir[PATH_SIZE];
    char echo[PATH_SIZE]; /* module libraries */
    char swallow[PATH_SIZE];
    victim victim;
    bool gateway; /* the victim; else a remote module */
    fuzz_random random;
} scene;

static uint64_t seconds_since(uint64_t start_ns)
{
    return (wr_clock_ns() - start_ns) / (1000 * WR_NS_PER_MS);
}

static void path_in(char *path, const scene *s, const char *name)
{
    (void)snprintf(path, PATH_SIZE, "%s/%s", s->folder, name);
}

/* A phase */

static void start_attacker(scene *s, attacker *a, attack_plan *plan, void (*attack)(void *),
                           unsigned nth, const char *args)
{
    a->plan = plan;
    a->args = args;
    a->random = fuzz_random_from((unsigned int)fuzz_next(&s->random));
    (void)snprintf(a->folder, sizeof(a->folder), "%s", s->folder);
    (void)snprintf(a->control_path, sizeof(a->control_path), "%s/%s%u", s->folder,
                   s->gateway ? "hostile" : "victim", s->gateway ? nth : 0);
    atomic_fetch_add(&plan->running, 1);
    REQUIRE(wr_thread_start(&a->thread, "attacker", attack, a) == WEIR_OK);
}

/* Until all attackers are done; frames, and good messages, must keep coming. */
static void watch_attack(scene *s, attack_plan *plan)
{
    uint64_t counted = 0;
    uint64_t served = 0;
    uint64_t moved_ns = wr_clock_ns();
    while (atomic_load(&plan->running) > 0) {
        victim_watch(&s->victim, WATCH_MS);
        bool moved = atomic_load(&plan->counted) != counted || attack_is_over(plan);
        bool good = !s->gateway || good_peer_served() != served;
        if (moved && good) {
            counted = atomic_load(&plan->counted);
            served = s->gateway ? good_peer_served() : 0;
            moved_ns = wr_clock_ns();
        }
        REQUIRE(wr_clock_ns() - moved_ns < PATIENCE_NS);
    }
}

static void run_attack(scene *s, attack_plan *plan, void (*attack)(void *), const char *args)
{
    attacker attackers[ATTACKERS];
    unsigned count = s->gateway ? ATTACKERS : 1;
    memset(attackers, 0, sizeof(attackers));
    for (unsigned i = 0; i < count; i++) {
        start_attacker(s, &attackers[i], plan, attack, i, args);
    }
    watch_attack(s, plan);
    for (unsigned i = 0; i < count; i++) {
        wr_thread_join(&attackers[i].thread);
    }
}

/* Closing what attackers left may take a moment. */
static void wait_for_descriptors(scene *s, uint64_t wanted, health *now)
{
    uint64_t start_ns = wr_clock_ns();
    victim_check(&s->victim, now);
    while (now->descriptors > wanted) {
        REQUIRE(wr_clock_ns() - start_ns < PATIENCE_NS);
        victim_watch(&s->victim, WATCH_MS);
        victim_check(&s->victim, now);
    }
}

static void check_flat(scene *s, const health *fresh, const health *warm)
{
    health now;
    wait_for_descriptors(s, fresh->descriptors, &now);
    (void)printf("    memory %" PRIu64 " -> %" PRIu64 " kB, descriptors %" PRIu64 " -> %" PRIu64
                 ", %" PRIu64 " ms of processor time\n",
                 warm->rss_kb, now.rss_kb, fresh->descriptors, now.descriptors,
                 now.cpu_ms - fresh->cpu_ms);
#ifndef WEIR_SANITIZED /* a sanitizer keeps what was freed */
    REQUIRE(now.rss_kb <= warm->rss_kb + RSS_GROWTH_MAX_KB);
#endif
}

/* Each line may have one before it that says how many were left out. */
static void check_log(const scene *s, uint64_t lines, uint64_t start_ns)
{
    uint64_t peers = s->gateway ? ATTACKERS : 1;
    uint64_t allowed = WR_LOG_LIMIT_BURST + WR_LOG_LIMIT_PER_S * (seconds_since(start_ns) + 1);
    (void)printf("    %" PRIu64 " lines of log\n", lines);
    REQUIRE(lines <= OTHER_LINES_MAX + 2 * peers * allowed);
}

static void report(const scene *s, const char *name, attack_plan *plan, uint64_t start_ns,
                   uint64_t served)
{
    uint64_t ms = (wr_clock_ns() - start_ns) / WR_NS_PER_MS;
    (void)printf("%s: %" PRIu64 " frames taken, %" PRIu64 " of them well-formed, %" PRIu64
                 " connections, %" PRIu64 " ms; good %s: %" PRIu64 "\n",
                 name, (uint64_t)atomic_load(&plan->counted),
                 (uint64_t)atomic_load(&plan->accepted), (uint64_t)atomic_load(&plan->connections),
                 ms, s->gateway ? "messages" : "sessions", served);
    (void)fflush(stdout);
}

/* One attack, with a tenth of it before as a warm-up. */
static void run_phase(scene *s, const char *name, void (*attack)(void *), uint64_t wanted,
                      const char *args)
{
    health fresh;
    health warm;
    attack_plan plan = {.wanted = wanted / WARM_UP_ONE_IN};
    uint64_t start_ns = wr_clock_ns();
    uint64_t served = s->gateway ? good_peer_served() : 0;
    uint64_t lines = s->victim.log_lines;
    victim_check(&s->victim, &fresh);
    run_attack(s, &plan, attack, args);
    victim_check(&s->victim, &warm);
    plan.wanted = wanted;
    run_attack(s, &plan, attack, args);
    if (s->gateway) {
        good_peer_wait(served + GOOD_EACH_PHASE);
    }
    served = s->gateway ? good_peer_served() - served : (uint64_t)atomic_load(&plan.served);
    report(s, name, &plan, start_ns, served);
    check_flat(s, &fresh, &warm);
    check_log(s, s->victim.log_lines - lines, start_ns);
    REQUIRE(served > 0);
}

/* The gateway */

static void write_module(FILE *file, const char *name, const char *isolation, const char *library)
{
    (void)fprintf(file,
                  "{\"name\": \"%s\", \"isolation\": \"%s\", \"loader\": {\"entrypoint\": "
                  "{\"module.path\": \"%s\"}}},\n",
                  name, isolation, library);
}

static void write_remote(FILE *file, const scene *s, const char *name)
{
    (void)fprintf(file,
                  "{\"name\": \"%s\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": "
                  "{\"control.id\": \"%s/%s\"}}},\n",
                  name, s->folder, name);
}

static void write_links(FILE *file)
{
    (void)fprintf(file, "{\"source\": \"good\", \"sink\": \"echo\"},\n");
    for (unsigned i = 0; i < ATTACKERS; i++) {
        (void)fprintf(file,
                      "{\"source\": \"hostile%u\", \"sink\": \"swallow\"},\n"
                      "{\"source\": \"good\", \"sink\": \"hostile%u\", "
                      "\"queue\": {\"limit\": 16, \"when.full\": \"drop.oldest\"}},\n",
                      i, i);
    }
    (void)fprintf(file, "{\"source\": \"echo\", \"sink\": \"good\"}\n");
}

static void write_config(const scene *s, const char *path)
{
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    (void)fprintf(file, "{\"modules\": [\n");
    write_remote(file, s, "good");
    write_module(file, "echo", "process", s->echo);
    for (unsigned i = 0; i < ATTACKERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "hostile%u", i);
        write_remote(file, s, name);
    }
    (void)fprintf(file,
                  "{\"name\": \"swallow\", \"loader\": {\"entrypoint\": "
                  "{\"module.path\": \"%s\"}}}\n],\n\"links\": [\n",
                  s->swallow);
    write_links(file);
    (void)fprintf(file, "]}\n");
    REQUIRE(fclose(file) == 0);
}

static void attack_gateway(scene *s)
{
    char config[PATH_SIZE];
    char control[PATH_SIZE];
    char log[PATH_SIZE];
    const char *const args[] = {"run", config, NULL};
    s->gateway = true;
    path_in(config, s, "gateway.json");
    path_in(control, s, "good");
    path_in(log, s, "gateway.log");
    write_config(s, config);
    victim_start(&s->victim, s->weir, args, s->folder, log);
    good_peer_start(control);
    good_peer_wait(GOOD_EACH_PHASE);
    run_phase(s, "frames to the gateway", attack_gateway_messages, s->options.frames, NULL);
    run_phase(s, "control messages to the gateway", attack_gateway_control, s->options.controls,
              NULL);
    (void)printf("good messages, all in order: %" PRIu64 "\n", good_peer_stop());
    victim_stop(&s->victim);
    wr_file_remove(config);
    wr_file_remove(log);
}

/* The remote module */

static void attack_remote(scene *s)
{
    char control[PATH_SIZE];
    char log[PATH_SIZE];
    char module[2 * PATH_SIZE];
    const char *const args[] = {"host", control, NULL};
    s->gateway = false;
    path_in(control, s, "victim0");
    path_in(log, s, "remote.log");
    (void)snprintf(module, sizeof(module),
                   "{\"outprocess.loader\": {\"name\": \"native\", \"entrypoint\": "
                   "{\"module.path\": \"%s\"}}}",
                   s->echo);
    victim_start(&s->victim, s->weir, args, s->folder, log);
    while (!wr_file_exists(control)) {
        victim_watch(&s->victim, WATCH_MS); /* it says that it waits */
    }
    run_phase(s, "frames to the remote module", attack_remote_messages, s->options.frames, module);
    run_phase(s, "control messages to the remote module", attack_remote_control,
              s->options.controls, module);
    victim_stop(&s->victim);
    wr_file_remove(log);
}

static uint64_t number_of(const char *text)
{
    return strtoull(strchr(text, '=') + 1, NULL, 10);
}

static bool read_options(int argc, char **argv, options *out)
{
    *out = (options){.frames = 10000, .controls = 1000, .seed = (unsigned int)time(NULL)};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-frames=", 8) == 0) {
            out->frames = number_of(argv[i]);
        } else if (strncmp(argv[i], "-controls=", 10) == 0) {
            out->controls = number_of(argv[i]);
        } else if (strncmp(argv[i], "-seed=", 6) == 0) {
            out->seed = (unsigned int)number_of(argv[i]);
        } else {
            out->build_dir = argv[i];
        }
    }
    return out->build_dir != NULL;
}

int main(int argc, char **argv)
{
    static scene s;
    if (!read_options(argc, argv, &s.options)) {
        (void)fprintf(stderr, "usage: %s BUILD_DIR [-frames=N] [-controls=N] [-seed=N]\n", argv[0]);
        return 2;
    }
    s.random = fuzz_random_from(s.options.seed);
    (void)printf("seed %u\n", s.options.seed);
    (void)fflush(stdout);
    const char *build = s.options.build_dir;
    (void)snprintf(s.weir, PATH_SIZE, "%s/weir", build);
    (void)snprintf(s.echo, PATH_SIZE, "%s/tests/integration/libpass.so", build);
    (void)snprintf(s.swallow, PATH_SIZE, "%s/tests/integration/libswallow.so", build);
    REQUIRE(wr_folder_create_private("weir-hostile", &s.folder, NULL) == WEIR_OK);
    weir_log_set_level(WEIR_LOG_WARN); /* of the good module, in this process */
    attack_gateway(&s);
    attack_remote(&s);
    wr_file_remove(s.folder);
    REQUIRE(!wr_file_exists(s.folder));
    free(s.folder);
    return 0;
}
