/* SPDX-License-Identifier: MIT
 *
 * Every allocation fails once: sweep MODULE-FOLDER [PLAN]...
 *
 * For n = 1, 2, 3, ... a process plays a plan in which the n-th allocation fails, until none does
 * any more. Then each site that was seen but never failed (threads take turns as they like) fails
 * once. A process that crashes, hangs, leaks (where a sanitizer looks) or loses something silently
 * is reported with the place of the failure.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failing.h"
#include "play.h"

#define HANG_S 60u
#define NUMBERS_MAX 20000u
/* Threads take turns as they like: a run may need a few calls less than the one before it. */
#define PASSES_TO_END 4u
#define SITE_TRIES 20u
#define FAULTS_MAX 20u

/* In memory that all processes share. */
typedef struct shared {
    failing_state failing;
    play_result result;
} shared;

static shared *common;
static const char *modules;
static unsigned faults;

static const play_plan plans[] = {
    {.name = "native",
     .changes = true,
     .config =
         "{\"modules\": ["
         "{\"name\": \"in\", \"args\": \"in\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"out\", \"args\": \"out\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"other\", \"args\": {\"a\": [1, 2.5, true]}, \"loader\": {\"entrypoint\": "
         "{\"module.path\": \"@/libport.so\"}}}],"
         "\"links\": [{\"source\": \"in\", \"sink\": \"out\"},"
         "{\"source\": \"*\", \"sink\": \"other\", "
         "\"queue\": {\"limit\": 4, \"when.full\": \"drop.oldest\"}}]}"},
    {.name = "remote",
     .remote = true,
     .config =
         "{\"modules\": ["
         "{\"name\": \"in\", \"args\": \"in\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"out\", \"args\": \"out\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"echo\", \"loader\": {\"name\": \"outprocess\", \"entrypoint\": "
         "{\"control.id\": \"control\", \"timeout\": 100}}}],"
         "\"links\": [{\"source\": \"in\", \"sink\": \"echo\"},"
         "{\"source\": \"echo\", \"sink\": \"out\"}]}"},
    {.name = "launched",
     .config =
         "{\"modules\": ["
         "{\"name\": \"in\", \"args\": \"in\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"out\", \"args\": \"out\", \"loader\": {\"entrypoint\": {\"module.path\": "
         "\"@/libport.so\"}}},"
         "{\"name\": \"echo\", \"isolation\": \"process\", \"restart\": {\"backoff.ms\": [1, 10]}, "
         "\"loader\": {\"entrypoint\": {\"module.path\": \"@/../integration/libpass.so\"}}}],"
         "\"links\": [{\"source\": \"in\", \"sink\": \"echo\"},"
         "{\"source\": \"echo\", \"sink\": \"out\"}]}"},
};

/* ---- one process ------------------------------------------------------------------------------
 */

static void play_in_child(const play_plan *plan, const failing_plan *failing)
{
    char folder[] = "/tmp/weir-memory-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        common->result.end = PLAY_WRONG;
        exit(EXIT_SUCCESS);
    }
    (void)setenv("XDG_RUNTIME_DIR", folder, 1);
    (void)unsetenv("RUNTIME_DIRECTORY");
    (void)alarm(HANG_S);
    failing_begin(failing);
    play(plan, modules, &common->result);
    failing_end();
    (void)remove("gateway.json");
    if (rmdir(folder) != 0) {
        (void)snprintf(common->result.text, sizeof(common->result.text), "something is left in %s",
                       folder);
        common->result.end = PLAY_WRONG;
    }
    exit(EXIT_SUCCESS); /* and not _Exit: a sanitizer looks for leaks now */
}

static const char *complaint(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        return "hangs";
    }
    if (WIFSIGNALED(status)) {
        (void)snprintf(text, size, "is killed by signal %d", WTERMSIG(status));
        return text;
    }
    if (WEXITSTATUS(status) != EXIT_SUCCESS) {
        (void)snprintf(text, size, "exit status %d", WEXITSTATUS(status));
        return text;
    }
    return common->result.end == PLAY_WRONG ? common->result.text : NULL;
}

/* Where in the program: for addr2line. */
static void print_place(const void *address)
{
    Dl_info info;
    if (dladdr(address, &info) != 0 && info.dli_fname != NULL) {
        printf("    %s+0x%" PRIxPTR " %s\n",
               strrchr(info.dli_fname, '/') == NULL ? info.dli_fname
                                                    : strrchr(info.dli_fname, '/') + 1,
               (uintptr_t)address - (uintptr_t)info.dli_fbase,
               info.dli_sname == NULL ? "" : info.dli_sname);
    }
}

static void report(const play_plan *plan, const failing_plan *failing, const char *what)
{
    faults++;
    printf("not ok memory.%s: with allocation %" PRIu64 " failing here: %s\n", plan->name,
           failing->number, what);
    for (int i = 2; i < common->failing.depth; i++) {
        print_place(common->failing.trace[i]);
    }
    printf("%s", common->result.log);
}

/* Returns whether an allocation failed. */
static bool run_one(const play_plan *plan, const failing_plan *failing)
{
    common->result = (play_result){.end = PLAY_DELIVERED};
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        play_in_child(plan, failing);
    }
    int status = 0;
    while (pid < 0 || waitpid(pid, &status, 0) < 0) {
        if (pid < 0 || errno != EINTR) {
            perror("fork");
            exit(EXIT_FAILURE);
        }
    }
    char text[64];
    const char *what = complaint(status, text, sizeof(text));
    if (what != NULL) {
        report(plan, failing, what);
    }
    return atomic_load(&common->failing.hit);
}

/* ---- all of a plan ----------------------------------------------------------------------------
 */

static uint64_t fail_each_number(const play_plan *plan)
{
    unsigned passes = 0;
    uint64_t number = 0;
    while (passes < PASSES_TO_END && number < NUMBERS_MAX && faults < FAULTS_MAX) {
        number++;
        bool hit = run_one(plan, &(failing_plan){.number = number});
        passes = hit ? 0 : passes + 1;
    }
    return number - passes;
}

/* Returns how many sites could not be made to fail. */
static size_t fail_each_site(const play_plan *plan, size_t *count)
{
    size_t missed = 0;
    *count = 0;
    for (size_t i = 0; i < FAILING_SITES && faults < FAULTS_MAX; i++) {
        failing_site *site = &common->failing.sites[i];
        uintptr_t address = atomic_load(&site->address);
        *count += address != 0;
        for (unsigned tries = 0;
             address != 0 && atomic_load(&site->failures) == 0 && tries < SITE_TRIES; tries++) {
            (void)run_one(plan, &(failing_plan){.site = address});
        }
        missed += address != 0 && atomic_load(&site->failures) == 0;
    }
    return missed;
}

static void sweep(const play_plan *plan)
{
    unsigned before = faults;
    memset(&common->failing, 0, sizeof(common->failing));
    uint64_t numbers = fail_each_number(plan);
    size_t sites;
    size_t missed = fail_each_site(plan, &sites);
    printf("%s memory.%s: %" PRIu64 " allocations at %zu sites failed, %zu sites did not\n",
           faults == before ? "ok" : "not ok", plan->name, numbers, sites, missed);
}

static bool is_wanted(const play_plan *plan, int argc, char **argv)
{
    bool wanted = argc <= 2;
    for (int i = 2; i < argc; i++) {
        wanted = wanted || strcmp(argv[i], plan->name) == 0;
    }
    return wanted;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s MODULE-FOLDER [PLAN]...\n", argv[0]);
        return EXIT_FAILURE;
    }
    modules = argv[1];
    common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }
    failing_init(&common->failing);
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (is_wanted(&plans[i], argc, argv)) {
            sweep(&plans[i]);
        }
    }
    return faults == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
