/* SPDX-License-Identifier: MIT
 *
 * `weir run`: a gateway from a file, until a signal says stop.
 *
 * The handler of SIGINT and SIGTERM only wakes the loop, on which the main thread waits;
 * from the second signal on it ends the process itself, whatever the main thread is stuck in.
 */
#define _DEFAULT_SOURCE /* signal() restarts calls; uv.h shows POSIX types */

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "cli.h"
#include "weir/gateway.h"
#include "weir/log.h"

#define PROCESS_TEXT_SIZE 40

#define EXIT_BY_SIGNAL 128 /* plus the signal's number, as shells have it */

/* Wrappers such as timeout(1) send one signal to the process and to its group, so that it arrives
 * twice. What comes this soon after the first is no second wish. */
#define SAME_STOP_NS 50000000u

typedef struct arguments {
    const char *path;
    weir_log_level log_level;
} arguments;

static _Atomic uint64_t first_stop_ns; /* when the first stop signal came; 0: none yet */
static uv_async_t wake;                /* sent by its handler */

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

static void print_stats(weir_gateway *gateway)
{
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(gateway, &stats);
    (void)fprintf(
        stderr, "gateway: up %" PRIu64 ".%03" PRIu64 " s, %" PRIu64 " modules, %" PRIu64 " links\n",
        stats.uptime_ms / 1000, stats.uptime_ms % 1000, stats.modules, stats.links);
    (void)fprintf(
        stderr,
        "messages over all links, removed ones included: accepted %" PRIu64 ", delivered %" PRIu64
        ", dropped %" PRIu64 " (full) + %" PRIu64 " (closed), queued %" PRIu64 "\n",
        stats.accepted, stats.delivered, stats.dropped_full, stats.dropped_closed, stats.queued);
    (void)fprintf(stderr,
                  "messages of remote modules: redelivered %" PRIu64 ", unacknowledged %" PRIu64
                  "; overruns of native modules: %" PRIu64 "\n",
                  stats.redelivered, stats.unacknowledged, stats.overruns);
}

/* One call a line, so that lines of the log do not come in between. */
static void print_module(void *user, const weir_module_info *info)
{
    (void)user;
    char process[PROCESS_TEXT_SIZE] = "";
    if (info->pid != 0) {
        (void)snprintf(process, sizeof(process), ", process %" PRId64, info->pid);
    }
    (void)fprintf(stderr,
                  "module %s (%s): %s%s; redelivered %" PRIu64 ", unacknowledged %" PRIu64
                  ", restarts %" PRIu64 ", hangs %" PRIu64 ", overruns %" PRIu64 "\n",
                  info->name, info->loader, info->state, process, info->redelivered,
                  info->unacknowledged, info->restarts, info->hangs, info->overruns);
}

static void print_link(void *user, const weir_link_info *info)
{
    (void)user;
    (void)fprintf(stderr,
                  "link %s -> %s: accepted %" PRIu64 ", delivered %" PRIu64 ", dropped %" PRIu64
                  " (full) + %" PRIu64 " (closed), queued %" PRIu64 " (limit %" PRIu32 ", %s)\n",
                  info->source, info->sink, info->accepted, info->delivered, info->dropped_full,
                  info->dropped_closed, info->queued, info->limit, info->when_full);
}

static void on_report_signal(uv_signal_t *handle, int number)
{
    (void)number;
    weir_gateway *gateway = handle->data;
    print_stats(gateway);
    weir_gateway_modules(gateway, print_module, NULL);
    weir_gateway_links(gateway, print_link, NULL);
}

/* ---- failed modules, on SIGHUP -----------------------------------------------------------------
 */

static void on_restart_signal(uv_signal_t *handle, int number)
{
    (void)number;
    weir_err err = weir_gateway_restart_module(handle->data, NULL);
    if (err != WEIR_OK) {
        (void)fprintf(stderr, "weir: cannot restart failed modules: %s\n", weir_err_text(err));
    }
}

/* ---- running -----------------------------------------------------------------------------------
 */

static void on_stop_signal(int number)
{
    uint64_t now_ns = uv_hrtime();
    uint64_t first_ns = 0;
    if (atomic_compare_exchange_strong(&first_stop_ns, &first_ns, now_ns)) {
        (void)uv_async_send(&wake);
        return;
    }
    if (now_ns - first_ns >= SAME_STOP_NS) {
        _Exit(EXIT_BY_SIGNAL + number);
    }
}

static void on_wake(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

/* Signals that ask for something; they are served while the gateway runs. */
static const struct {
    int number;
    uv_signal_cb serve;
} served[] = {{SIGUSR1, on_report_signal}, {SIGHUP, on_restart_signal}};
#define SIGNAL_COUNT (sizeof(served) / sizeof(served[0]))

static void watch_signals(uv_signal_t signals[SIGNAL_COUNT])
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        int failure = uv_signal_start(&signals[i], served[i].serve, served[i].number);
        if (failure != 0) {
            (void)fprintf(stderr, "weir: cannot watch signal %d: %s\n", served[i].number,
                          uv_strerror(failure));
        }
    }
}

/* Serve `loop` until a stop signal, which may have come already. */
static int run_gateway(const char *path, uv_loop_t *loop, uv_signal_t signals[SIGNAL_COUNT])
{
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = cli_print_problem;
    weir_gateway *gateway = NULL;
    if (weir_gateway_create_from_file(path, &options, &gateway) != WEIR_OK) {
        return CLI_FAILURE;
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        signals[i].data = gateway;
    }
    weir_err err = weir_gateway_start(gateway);
    if (err == WEIR_OK) {
        (void)printf("%s: running; Ctrl-C stops it\n", path);
        (void)fflush(stdout);
        (void)uv_run(loop, UV_RUN_DEFAULT);
        err = weir_gateway_stop(gateway);
    }
    weir_gateway_destroy(gateway);
    return err == WEIR_OK ? CLI_OK : CLI_FAILURE;
}

static int prepare_and_run(const char *path, uv_loop_t *loop)
{
    uv_signal_t signals[SIGNAL_COUNT];
    int failure = uv_async_init(loop, &wake, on_wake);
    for (size_t i = 0; failure == 0 && i < SIGNAL_COUNT; i++) {
        failure = uv_signal_init(loop, &signals[i]);
    }
    if (failure != 0) {
        (void)fprintf(stderr, "weir: cannot watch signals: %s\n", uv_strerror(failure));
        return CLI_FAILURE;
    }
    watch_signals(signals);
    (void)signal(SIGINT, on_stop_signal);
    (void)signal(SIGTERM, on_stop_signal);
    return run_gateway(path, loop, signals);
}

static int run(int argc, char **argv)
{
    arguments args = {NULL, WEIR_LOG_INFO};
    int status = parse_arguments(argc, argv, &args);
    if (status != CLI_OK) {
        return status;
    }
    weir_log_set_level(args.log_level);
    /* The loop lives until the process ends: a signal may come as late as that. */
    uv_loop_t *loop = uv_default_loop();
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
