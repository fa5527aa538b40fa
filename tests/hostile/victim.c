/* SPDX-License-Identifier: MIT
 *
 * The process under attack, see victim.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "victim.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "platform/poller.h"

#define STOP_PATIENCE_MS 60000
#define PATH_SIZE 64u

void victim_start(victim *v, const char *program, const char *const *args, const char *folder,
                  const char *log_path)
{
    const wr_process_options options = {.path = program, .args = args, .working_dir = folder};
    wr_error error = {.code = WEIR_OK};
    *v = (victim){.log = fopen(log_path, "w")};
    REQUIRE(v->log != NULL);
    if (wr_process_spawn(&options, &v->process, &error) != WEIR_OK) {
        (void)fprintf(stderr, "cannot start %s: %s\n", program, error.text);
        abort();
    }
}

static void take_log(victim *v)
{
    char text[65536];
    size_t got;
    while (wr_stream_read(wr_process_output(v->process), text, sizeof(text), &got) == WEIR_OK) {
        v->log_bytes += got;
        for (size_t i = 0; i < got; i++) {
            v->log_lines += text[i] == '\n';
        }
        (void)fwrite(text, 1, got, v->log);
    }
    (void)fflush(v->log);
}

static void wait_for(wr_waitable what, int timeout_ms)
{
    wr_poller *poller = NULL;
    wr_poll_event event;
    REQUIRE(wr_poller_create(&poller) == WEIR_OK);
    REQUIRE(wr_poller_set(poller, what, WR_POLL_READ, &event) == WEIR_OK);
    (void)wr_poller_wait(poller, &event, 1, timeout_ms);
    wr_poller_destroy(poller);
}

void victim_watch(victim *v, int timeout_ms)
{
    wr_process_exit result;
    wait_for(wr_stream_waitable(wr_process_output(v->process)), timeout_ms);
    take_log(v);
    REQUIRE(wr_process_reap(v->process, &result) == WEIR_ERR_WOULD_BLOCK);
}

/* Of /proc/PID/status, in kB. */
static uint64_t read_rss(const victim *v)
{
    char path[PATH_SIZE];
    char line[256];
    unsigned long long rss = 0;
    (void)snprintf(path, sizeof(path), "/proc/%lld/status", (long long)wr_process_id(v->process));
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    while (rss == 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "VmRSS: %llu", &rss);
    }
    (void)fclose(file);
    return rss;
}

static uint64_t read_cpu_ms(const victim *v)
{
    char path[PATH_SIZE];
    char text[1024];
    unsigned long long user = 0;
    unsigned long long system = 0;
    (void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)wr_process_id(v->process));
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    const char *after_name = strrchr(text, ')');
    REQUIRE(after_name != NULL);
    REQUIRE(sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                   &system) == 2);
    return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t count_descriptors(const victim *v)
{
    char path[PATH_SIZE];
    uint64_t count = 0;
    const struct dirent *entry;
    (void)snprintf(path, sizeof(path), "/proc/%lld/fd", (long long)wr_process_id(v->process));
    DIR *dir = opendir(path);
    REQUIRE(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

void victim_check(const victim *v, health *now)
{
    *now = (health){read_rss(v), count_descriptors(v), read_cpu_ms(v)};
}

void victim_stop(victim *v)
{
    wr_process_exit result;
    wr_process_terminate(v->process);
    for (int waited = 0; wr_process_reap(v->process, &result) == WEIR_ERR_WOULD_BLOCK; waited++) {
        REQUIRE(waited < STOP_PATIENCE_MS / 100);
        wait_for(wr_process_waitable(v->process), 100);
        take_log(v); /* or it could not end */
    }
    take_log(v);
    char text[64];
    wr_process_exit_text(&result, text, sizeof(text));
    (void)printf("it ended: %s\n", text);
    REQUIRE(!result.by_signal && result.value == 0);
    wr_process_destroy(v->process);
    (void)fclose(v->log);
}
