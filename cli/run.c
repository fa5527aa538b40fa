/* SPDX-License-Identifier: MIT
 *
 * `weir run`: a gateway from a file, until a signal says stop.
 *
 * A thread of its own takes all signals, which every other thread has blocked, those of the modules
 * too: so no module's call is interrupted. It only wakes the loop, on which the main thread waits;
 * from the second stop signal on it ends the process itself, whatever the main thread is stuck in.
 */
#define _DEFAULT_SOURCE /* sigwait; uv.h shows POSIX types */

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "cli.h"
#include "platform/output.h"
#include "weir/gateway.h"
#include "weir/log.h"

#define PROCESS_TEXT_SIZE 40

/* So long a reader of what this writes may take for a line. A stop waits for it. */
#define READER_PATIENCE_MS 1000
/* And for a whole report. */
#define REPORT_MAX_NS UINT64_C(3000000000)

#define EXIT_BY_SIGNAL 128 /* plus the signal's number, as shells have it */

/* Wrappers such as timeout(1) send one signal to the process and to its group, so that it arrives
 * twice. What comes this soon after the first is no second wish. */
#define SAME_STOP_NS 50000000u

typedef struct arguments {
    const char *path;
    weir_log_level log_level;
} arguments;

/* What a signal asks for, and the loop does. */
typedef enum wish { WISH_STOP, WISH_REPORT, WISH_RESTART, WISH_COUNT } wish;

typedef struct signals {
    sigset_t set;
    uv_thread_t thread;
    atomic_bool ending;            /* the thread is to end: set before a last signal to it */
    uint64_t first_stop_ns;        /* when the first stop signal came; 0: none yet. The thread */
    uv_async_t wishes[WISH_COUNT]; /* their data is the gateway, while there is one */
} signals;

/* ---- arguments ---------------------------------------------------------------------------------
 */

/* Returns whether there is such a level. */
static bool parse_level(const char *name, weir_log_level *out)
{
    for (weir_log_level level = WEIR_LOG_ERROR; level <= WEIR_LOG_DEBUG; level++) {
        if (strcmp(name, weir_log_level_name(level)) == 0) {
            *out = level;
            return true;
        }
    }
    return false;
}

/* Returns CLI_OK, or CLI_USAGE after saying what is wrong. */
static int parse_arguments(int argc, char **argv, arguments *out)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--log-level") == 0) {
            i++;
            if (i == argc || !parse_level(argv[i], &out->log_level)) {
                return cli_usage_error(&cli_run,
                                       "--log-level: expected error, warn, info or debug");
            }
        } else if (argv[i][0] == '-') {
            return cli_usage_error(&cli_run, "unknown option '%s'", argv[i]);
        } else if (out->path != NULL) {
            return cli_usage_error(&cli_run, "one FILE at a time");
        } else {
            out->path = argv[i];
        }
    }
    return out->path != NULL ? CLI_OK : cli_usage_error(&cli_run, "FILE is missing");
}

/* ---- counters, on SIGUSR1 ----------------------------------------------------------------------
 */

/* Line by line, so that lines of the log do not come in between. Who does not read them gets no
 * more of them, nor who takes too long. */
static void print_report(const wr_buffer *report)
{
    const char *line = report->data;
    const char *end = line + report->size;
    uint64_t until_ns = uv_hrtime() + REPORT_MAX_NS;
    bool is_read = true;
    while (line < end && is_read) {
        size_t size = (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) + 1 - line);
        size = size < WR_OUTPUT_TEXT_MAX ? size : WR_OUTPUT_TEXT_MAX;
        is_read = uv_hrtime() < until_ns &&
                  wr_output_write(WR_OUTPUT_ERROR, line, size, READER_PATIENCE_MS);
        line += is_read ? size : 0;
    }
    if (!is_read) {
        wr_log("weir", WEIR_LOG_WARN, "the rest of the report is left out: nobody read it in time");
    }
}

static void add_stats(weir_gateway *gateway, wr_buffer *report)
{
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(gateway, &stats);
    wr_buffer_printf(report,
                     "gateway: up %" PRIu64 ".%03" PRIu64 " s, %" PRIu64 " %s, %" PRIu64 " %s\n",
                     stats.uptime_ms / 1000, stats.uptime_ms % 1000, stats.modules,
                     wr_text_plural(stats.modules, "module", "modules"), stats.links,
                     wr_text_plural(stats.links, "link", "links"));
    wr_buffer_printf(report,
                     "messages over all links, removed ones included: accepted %" PRIu64
                     ", delivered %" PRIu64 ", dropped %" PRIu64 " (full) + %" PRIu64
                     " (closed) + %" PRIu64 " (poison), queued %" PRIu64 "\n",
                     stats.accepted, stats.delivered, stats.dropped_full, stats.dropped_closed,
                     stats.dropped_poison, stats.queued);
    wr_buffer_printf(report,
                     "messages of remote modules: redelivered %" PRIu64 ", unacknowledged %" PRIu64
                     "; overruns of native modules: %" PRIu64 "\n",
                     stats.redelivered, stats.unacknowledged, stats.overruns);
}

static void add_module(void *user, const weir_module_info *info)
{
    char process[PROCESS_TEXT_SIZE] = "";
    if (info->pid != 0) {
        (void)snprintf(process, sizeof(process), ", process %" PRId64, info->pid);
    }
    wr_buffer_printf(user,
                     "module %s (%s): %s%s; redelivered %" PRIu64 ", unacknowledged %" PRIu64
                     ", restarts %" PRIu64 ", hangs %" PRIu64 ", overruns %" PRIu64 "\n",
                     info->name, info->loader, info->state, process, info->redelivered,
                     info->unacknowledged, info->restarts, info->hangs, info->overruns);
}

static void add_link(void *user, const weir_link_info *info)
{
    wr_buffer_printf(user,
                     "link %s -> %s: accepted %" PRIu64 ", delivered %" PRIu64 ", dropped %" PRIu64
                     " (full) + %" PRIu64 " (closed) + %" PRIu64 " (poison), queued %" PRIu64
                     " (limit %" PRIu32 ", %s)\n",
                     info->source, info->sink, info->accepted, info->delivered, info->dropped_full,
                     info->dropped_closed, info->dropped_poison, info->queued, info->limit,
                     info->when_full);
}

/* The text is made while the gateway is locked, and written when it is not: its reader may be slow.
 */
static void on_report(uv_async_t *handle)
{
    weir_gateway *gateway = handle->data;
    wr_buffer report = WR_BUFFER_INIT;
    add_stats(gateway, &report);
    weir_gateway_modules(gateway, add_module, &report);
    weir_gateway_links(gateway, add_link, &report);
    if (report.failed) {
        (void)fprintf(stderr, "weir: %s\n", weir_err_text(WEIR_ERR_MEMORY));
    } else {
        print_report(&report);
    }
    wr_buffer_deinit(&report);
}

/* ---- failed modules, on SIGHUP -----------------------------------------------------------------
 */

static void on_restart(uv_async_t *handle)
{
    weir_err err = weir_gateway_restart_module(handle->data, NULL);
    if (err != WEIR_OK) {
        (void)fprintf(stderr, "weir: cannot restart failed modules: %s\n", weir_err_text(err));
    }
}

/* ---- signals -----------------------------------------------------------------------------------
 */

static void on_stop(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

static void take_stop(signals *from, int number)
{
    uint64_t now_ns = uv_hrtime();
    if (from->first_stop_ns == 0) {
        from->first_stop_ns = now_ns;
        (void)uv_async_send(&from->wishes[WISH_STOP]);
    } else if (now_ns - from->first_stop_ns >= SAME_STOP_NS) {
        _Exit(EXIT_BY_SIGNAL + number);
    }
}

static void take_signals(void *arg)
{
    signals *from = arg;
    int number = 0;
    while (sigwait(&from->set, &number) == 0 && !atomic_load(&from->ending)) {
        if (number == SIGUSR1) {
            (void)uv_async_send(&from->wishes[WISH_REPORT]);
        } else if (number == SIGHUP) {
            (void)uv_async_send(&from->wishes[WISH_RESTART]);
        } else {
            take_stop(from, number);
        }
    }
}

/* Before any other thread is made, so that all have the signals blocked. */
static bool begin_signals(signals *from, uv_loop_t *loop)
{
    static const uv_async_cb serve[] = {on_stop, on_report, on_restart};
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    (void)signal(SIGPIPE, SIG_IGN); /* who reads the log may go away; the gateway stays */
    (void)sigemptyset(&from->set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaddset(&from->set, numbers[i]);
    }
    int failure = 0;
    for (int i = 0; failure == 0 && i < WISH_COUNT; i++) {
        failure = uv_async_init(loop, &from->wishes[i], serve[i]);
    }
    if (failure == 0) {
        failure = -pthread_sigmask(SIG_BLOCK, &from->set, NULL);
    }
    if (failure == 0) {
        failure = uv_thread_create(&from->thread, take_signals, from);
    }
    if (failure != 0) {
        (void)fprintf(stderr, "weir: cannot watch signals: %s\n", uv_strerror(failure));
    }
    return failure == 0;
}

static void end_signals(signals *from)
{
    atomic_store(&from->ending, true);
    (void)pthread_kill(from->thread, SIGUSR1);
    (void)uv_thread_join(&from->thread);
}

/* ---- running -----------------------------------------------------------------------------------
 */

/* Whoever reads this, or does not, the gateway goes on. */
static void say(const char *path, const char *what)
{
    char text[WR_OUTPUT_TEXT_MAX];
    int length = snprintf(text, sizeof(text), "%s: %s\n", path, what);
    if (length > 0) {
        size_t size = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
        (void)wr_output_write(WR_OUTPUT, text, size, READER_PATIENCE_MS);
    }
}

/* Serve `loop` until a stop signal, which may have come already. */
static int run_gateway(const char *path, uv_loop_t *loop, signals *from)
{
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = cli_print_problem;
    weir_gateway *gateway = NULL;
    if (weir_gateway_create_from_file(path, &options, &gateway) != WEIR_OK) {
        return CLI_FAILURE;
    }
    for (int i = 0; i < WISH_COUNT; i++) {
        from->wishes[i].data = gateway;
    }
    weir_err err = weir_gateway_start(gateway);
    if (err == WEIR_OK) {
        say(path, "running; Ctrl-C stops it");
        (void)uv_run(loop, UV_RUN_DEFAULT);
        say(path, "stopping; Ctrl-C once more ends it at once");
        err = weir_gateway_stop(gateway);
    }
    weir_gateway_destroy(gateway);
    return err == WEIR_OK ? CLI_OK : CLI_FAILURE;
}

static int prepare_and_run(const char *path, uv_loop_t *loop)
{
    signals from = {.first_stop_ns = 0};
    if (!begin_signals(&from, loop)) {
        return CLI_FAILURE;
    }
    int status = run_gateway(path, loop, &from);
    end_signals(&from);
    return status;
}

static int run(int argc, char **argv)
{
    arguments args = {NULL, WEIR_LOG_INFO};
    int status = parse_arguments(argc, argv, &args);
    if (status != CLI_OK) {
        return status;
    }
    weir_log_set_level(args.log_level);
    uv_loop_t *loop = uv_default_loop(); /* lives until the process ends */
    if (loop == NULL) {
        (void)fprintf(stderr, "weir: %s\n", weir_err_text(WEIR_ERR_MEMORY));
        return CLI_FAILURE;
    }
    return prepare_and_run(args.path, loop);
}

const cli_command cli_run = {
    .name = "run",
    .arguments = "FILE [--log-level LEVEL]",
    .summary = "run the gateway that FILE describes",
    .help =
        "Start the modules and links of FILE, and run until SIGINT or SIGTERM, which stop them in\n"
        "order. A second signal ends the process at once. SIGUSR1 shows on standard error what\n"
        "the gateway has counted as a whole, each module's state, and each link's counters.\n"
        "SIGHUP starts the processes of failed modules again.\n"
        "\n"
        "  --log-level LEVEL  log no more than this: error, warn, info (default) or debug\n"
        "\n"
        "Exit status: 0 after a clean stop, 1 on failure or mistakes in FILE, 2 wrong usage,\n"
        "128 + N when the second signal was number N.\n",
    .run = run,
};
