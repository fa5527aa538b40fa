/* SPDX-License-Identifier: MIT
 *
 * The supervisor of one process (contract in supervisor.h).
 */
#include "proxy/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "loop/watch.h"
#include "platform/clock.h"

/* A line of output that is longer is logged in pieces. */
#define LINE_MAX_BYTES (WEIR_LOG_TEXT_MAX - 8u)
/* Of a module's name, as a crash report shows it. */
#define NAME_MAX_BYTES 256u
/* Lines of output that go to the log in a second, once a burst is over; the rest is counted. */
#define LINES_PER_SECOND 1000u

typedef enum ending {
    LIVING,
    ASKED,      /* it knows; SIGTERM comes next */
    TERMINATED, /* SIGTERM was sent; SIGKILL comes next */
    KILLED
} ending;

struct wr_supervisor {
    const char *name;
    wr_process *process;
    wr_watch *exit_watch;
    wr_watch *output_watch; /* NULL: the output has ended */
    wr_timer *timer;
    ending ending;
    uint32_t grace_ms; /* of this ending */
    void (*on_exit)(void *arg, const wr_process_exit *result);
    void *arg;
    wr_line_ring lines; /* the last ones */
    wr_log_limit limit; /* of those that go to the log */
    size_t line_size;
    char line[LINE_MAX_BYTES + 1];
};

/* Does the text begin with the time of a log line? */
static bool begins_with_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        bool fits = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* A line in the log's own format keeps its level, and is not given a second time and name. */
static const char *parse_own_format(const char *line, weir_log_level *level)
{
    if (!begins_with_time(line)) {
        return line;
    }
    const char *rest = line + WEIR_TIME_SIZE;
    for (int i = WEIR_LOG_ERROR; i <= WEIR_LOG_DEBUG; i++) {
        const char *name = weir_log_level_name((weir_log_level)i);
        const char *text = strstr(rest, "] ");
        if (strncmp(rest, name, strlen(name)) == 0 && text != NULL) {
            *level = (weir_log_level)i;
            return text + 2;
        }
    }
    return line;
}

/* A line in the log's own format keeps its time and level, and is given the module's name: a
 * process that hosts a module may call itself by its socket. */
static void keep_line(wr_supervisor *supervisor, const char *line, const char *text)
{
    char named[LINE_MAX_BYTES + NAME_MAX_BYTES];
    const char *name = text == line ? NULL : strchr(line, '[');
    if (name == NULL) {
        wr_line_ring_add(&supervisor->lines, line);
        return;
    }
    (void)snprintf(named, sizeof(named), "%.*s[%s] %s", (int)(name - line), line, supervisor->name,
                   text);
    wr_line_ring_add(&supervisor->lines, named);
}

void wr_supervisor_log(wr_supervisor *supervisor, const char *line)
{
    weir_log_level level = WEIR_LOG_INFO;
    const char *text = parse_own_format(line, &level);
    keep_line(supervisor, line, text);
    wr_log_limited(&supervisor->limit, wr_clock_ns(), supervisor->name, level, "%s", text);
}

const wr_line_ring *wr_supervisor_lines(const wr_supervisor *supervisor)
{
    return &supervisor->lines;
}

static void log_line(wr_supervisor *supervisor)
{
    supervisor->line[supervisor->line_size] = '\0';
    if (supervisor->line_size > 0) {
        wr_supervisor_log(supervisor, supervisor->line);
    }
    supervisor->line_size = 0;
}

static void take_output(wr_supervisor *supervisor, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            log_line(supervisor);
            continue;
        }
        if (supervisor->line_size == LINE_MAX_BYTES) {
            log_line(supervisor);
        }
        supervisor->line[supervisor->line_size++] = data[i] == '\0' ? ' ' : data[i];
    }
}

/* Read what is there, at most `rounds` buffers. */
static void read_output(wr_supervisor *supervisor, unsigned rounds)
{
    char data[4096];
    size_t got = 0;
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i < rounds && err == WEIR_OK; i++) {
        err = wr_stream_read(wr_process_output(supervisor->process), data, sizeof(data), &got);
        if (err == WEIR_OK) {
            take_output(supervisor, data, got);
        }
    }
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        wr_watch_close(supervisor->output_watch);
        supervisor->output_watch = NULL;
    }
}

static void on_output(void *arg, unsigned ready)
{
    (void)ready;
    read_output(arg, 16);
}

static void on_exit_ready(void *arg, unsigned ready)
{
    (void)ready;
    wr_supervisor *supervisor = arg;
    wr_process_exit result;
    if (wr_process_reap(supervisor->process, &result) != WEIR_OK) {
        return;
    }
    wr_watch_close(supervisor->exit_watch);
    supervisor->exit_watch = NULL;
    wr_timer_clear(supervisor->timer);
    if (supervisor->output_watch != NULL) {
        read_output(supervisor, 1024); /* a grandchild may hold it open and write on for ever */
    }
    log_line(supervisor);
    wr_log_limit_end(&supervisor->limit, supervisor->name);
    supervisor->on_exit(supervisor->arg, &result);
}

static void on_timer(void *arg)
{
    wr_supervisor *supervisor = arg;
    if (supervisor->ending == ASKED) {
        wr_log(supervisor->name, WEIR_LOG_WARN,
               "process %lld did not end within its grace period of %u ms; sending SIGTERM",
               (long long)wr_process_id(supervisor->process), supervisor->grace_ms);
        supervisor->ending = TERMINATED;
        wr_process_terminate(supervisor->process);
        wr_timer_set(supervisor->timer, supervisor->grace_ms);
        return;
    }
    wr_log(supervisor->name, WEIR_LOG_WARN, "process %lld ignores SIGTERM; sending SIGKILL",
           (long long)wr_process_id(supervisor->process));
    supervisor->ending = KILLED;
    wr_process_kill(supervisor->process);
}

static weir_err watch_process(wr_loop *loop, wr_supervisor *supervisor)
{
    weir_err err = wr_watch_open(loop, wr_process_waitable(supervisor->process), on_exit_ready,
                                 supervisor, &supervisor->exit_watch);
    if (err == WEIR_OK) {
        err = wr_watch_open(loop, wr_stream_waitable(wr_process_output(supervisor->process)),
                            on_output, supervisor, &supervisor->output_watch);
    }
    if (err == WEIR_OK) {
        err = wr_timer_open(loop, on_timer, supervisor, &supervisor->timer);
    }
    if (err == WEIR_OK) {
        wr_watch_set(supervisor->exit_watch, WR_POLL_READ);
        wr_watch_set(supervisor->output_watch, WR_POLL_READ);
    }
    return err;
}

weir_err wr_supervisor_launch(wr_loop *loop, const char *name, const wr_launch *launch,
                              void (*on_exit)(void *arg, const wr_process_exit *result), void *arg,
                              wr_supervisor **out, wr_error *error)
{
    wr_supervisor *supervisor = calloc(1, sizeof(*supervisor));
    if (supervisor == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "out of memory");
    }
    supervisor->name = name;
    supervisor->limit.per_s = LINES_PER_SECOND;
    supervisor->on_exit = on_exit;
    supervisor->arg = arg;
    weir_err err = wr_process_spawn(&launch->process, &supervisor->process, error);
    if (err == WEIR_OK) {
        err = watch_process(loop, supervisor);
        if (err != WEIR_OK) {
            wr_error_set(error, err, "cannot watch the process: %s", weir_err_text(err));
        }
    }
    if (err != WEIR_OK) {
        wr_supervisor_destroy(supervisor);
        return err;
    }
    *out = supervisor;
    return WEIR_OK;
}

void wr_supervisor_end(wr_supervisor *supervisor, bool asked, uint32_t grace_ms)
{
    supervisor->grace_ms = grace_ms;
    supervisor->ending = asked ? ASKED : TERMINATED;
    if (!asked) {
        wr_process_terminate(supervisor->process);
    }
    wr_timer_set(supervisor->timer, supervisor->grace_ms);
}

int64_t wr_supervisor_pid(const wr_supervisor *supervisor)
{
    return wr_process_id(supervisor->process);
}

void wr_supervisor_destroy(wr_supervisor *supervisor)
{
    if (supervisor == NULL) {
        return;
    }
    wr_watch_close(supervisor->exit_watch);
    wr_watch_close(supervisor->output_watch);
    wr_timer_close(supervisor->timer);
    wr_process_destroy(supervisor->process);
    free(supervisor);
}
