/* SPDX-License-Identifier: MIT
 *
 * The stack dump (contract in stack_dump.h): a debugger is run, and what it prints about stacks is
 * passed on; where it has nothing to say, the system is asked.
 *
 * However it ends, the debugger is dead before the target is told to run: one that is killed while
 * it attaches can leave a stop behind.
 */
#include "loop/stack_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/watch.h"
#include "platform/stack_dump.h"

/* A longer line is cut. */
#define LINE_MAX_BYTES 512u
#define NOTE_MAX_BYTES 1200u
#define READS_MAX 64u

struct wr_stack_dump {
    wr_loop *loop;
    uint32_t timeout_ms;
    const wr_stack_dump_fns *fns;
    void *arg;
    wr_stack_target *target;
    wr_timer *timer; /* to begin, then the end of patience */
    wr_process *debugger;
    wr_watch *exit_watch;
    wr_watch *output_watch;
    bool begun;
    unsigned lines; /* passed on */
    size_t size;
    char line[LINE_MAX_BYTES + 1]; /* being read; what is over its size is dropped */
    char last[LINE_MAX_BYTES + 1]; /* of the debugger's about itself */
};

static void close_watches(wr_stack_dump *dump)
{
    wr_watch_close(dump->exit_watch);
    wr_watch_close(dump->output_watch);
    dump->exit_watch = NULL;
    dump->output_watch = NULL;
}

static void end_debugger(wr_stack_dump *dump)
{
    close_watches(dump);
    wr_process_destroy(dump->debugger);
    dump->debugger = NULL;
}

static void pass_on(void *arg, const char *line)
{
    wr_stack_dump *dump = arg;
    dump->fns->line(dump->arg, line);
}

static void note(wr_stack_dump *dump, const char *format, ...) WEIR_PRINTF(2, 3);

static void note(wr_stack_dump *dump, const char *format, ...)
{
    char text[NOTE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dump->fns->line(dump->arg, text);
}

/* `why` there are no stacks; NULL: there are. */
static void finish(wr_stack_dump *dump, const char *why)
{
    wr_timer_clear(dump->timer);
    end_debugger(dump);
    if (why != NULL) {
        note(dump, "no stacks of its threads: %s; what the system tells:", why);
        wr_stack_target_describe(dump->target, pass_on, dump);
    }
    wr_stack_target_continue(dump->target);
    dump->fns->done(dump->arg);
}

static void end_line(wr_stack_dump *dump)
{
    dump->line[dump->size] = '\0';
    if (wr_debugger_says_stack(dump->line)) {
        if (dump->lines++ < WR_STACK_DUMP_LINES) {
            pass_on(dump, dump->line);
        }
    } else if (dump->size > 0) {
        memcpy(dump->last, dump->line, dump->size + 1);
    }
    dump->size = 0;
}

static void take_output(wr_stack_dump *dump, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            end_line(dump);
        } else if (dump->size < LINE_MAX_BYTES) {
            dump->line[dump->size++] = data[i] == '\0' ? ' ' : data[i];
        }
    }
}

static void read_output(wr_stack_dump *dump)
{
    char data[4096];
    size_t got = 0;
    weir_err err = WEIR_OK;
    for (unsigned i = 0; i < READS_MAX && err == WEIR_OK; i++) {
        err = wr_stream_read(wr_process_output(dump->debugger), data, sizeof(data), &got);
        if (err == WEIR_OK) {
            take_output(dump, data, got);
        }
    }
    if (err != WEIR_OK && err != WEIR_ERR_WOULD_BLOCK) {
        wr_watch_close(dump->output_watch);
        dump->output_watch = NULL;
    }
}

/* Enough was said. */
static void finish_early(wr_stack_dump *dump)
{
    note(dump, "(and more lines)");
    finish(dump, NULL);
}

static void on_output(void *arg, unsigned ready)
{
    (void)ready;
    wr_stack_dump *dump = arg;
    read_output(dump);
    if (dump->lines > WR_STACK_DUMP_LINES) {
        finish_early(dump);
    }
}

static void on_exit_ready(void *arg, unsigned ready)
{
    (void)ready;
    wr_stack_dump *dump = arg;
    wr_process_exit result;
    if (wr_process_reap(dump->debugger, &result) != WEIR_OK) {
        return;
    }
    if (dump->output_watch != NULL) {
        read_output(dump);
    }
    end_line(dump);
    if (dump->lines > WR_STACK_DUMP_LINES) {
        finish_early(dump);
    } else if (dump->lines > 0) {
        finish(dump, NULL);
    } else {
        finish(dump, dump->last[0] != '\0' ? dump->last : "gdb said nothing");
    }
}

static weir_err watch_debugger(wr_stack_dump *dump)
{
    weir_err err = wr_watch_open(dump->loop, wr_process_waitable(dump->debugger), on_exit_ready,
                                 dump, &dump->exit_watch);
    if (err == WEIR_OK) {
        err = wr_watch_open(dump->loop, wr_stream_waitable(wr_process_output(dump->debugger)),
                            on_output, dump, &dump->output_watch);
    }
    if (err == WEIR_OK) {
        wr_watch_set(dump->exit_watch, WR_POLL_READ);
        wr_watch_set(dump->output_watch, WR_POLL_READ);
    }
    return err;
}

static void begin(wr_stack_dump *dump)
{
    wr_debugger debugger;
    wr_error error = {.code = WEIR_OK};
    dump->begun = true;
    if (wr_stack_target_stopped(dump->target)) {
        note(dump, "the process is stopped by a signal (SIGSTOP or the like)");
    }
    wr_debugger_init(&debugger, dump->target);
    weir_err err = wr_process_spawn(&debugger.options, &dump->debugger, &error);
    if (err == WEIR_OK) {
        err = watch_debugger(dump);
        if (err != WEIR_OK) {
            wr_error_set(&error, err, "cannot watch gdb: %s", weir_err_text(err));
        }
    }
    if (err != WEIR_OK) {
        finish(dump, wr_error_text(&error));
        return;
    }
    wr_timer_set(dump->timer, dump->timeout_ms);
}

static void on_timer(void *arg)
{
    wr_stack_dump *dump = arg;
    if (!dump->begun) {
        begin(dump);
    } else if (dump->lines > 0) {
        note(dump, "(gdb is too slow; it was ended after %u ms)", dump->timeout_ms);
        finish(dump, NULL);
    } else {
        finish(dump, "gdb was too slow and was ended");
    }
}

weir_err wr_stack_dump_start(wr_loop *loop, int64_t pid, uint32_t timeout_ms,
                             const wr_stack_dump_fns *fns, void *arg, wr_stack_dump **out)
{
    wr_stack_dump *dump = calloc(1, sizeof(*dump));
    if (dump == NULL) {
        return WEIR_ERR_MEMORY;
    }
    dump->loop = loop;
    dump->timeout_ms = timeout_ms;
    dump->fns = fns;
    dump->arg = arg;
    weir_err err = wr_stack_target_open(pid, &dump->target);
    if (err == WEIR_OK) {
        err = wr_timer_open(loop, on_timer, dump, &dump->timer);
    }
    if (err != WEIR_OK) {
        wr_stack_dump_destroy(dump);
        return err;
    }
    wr_timer_set(dump->timer, 0);
    *out = dump;
    return WEIR_OK;
}

void wr_stack_dump_destroy(wr_stack_dump *dump)
{
    if (dump == NULL) {
        return;
    }
    if (dump->debugger != NULL) {
        end_debugger(dump);
        wr_stack_target_continue(dump->target);
    }
    wr_timer_close(dump->timer);
    wr_stack_target_close(dump->target);
    free(dump);
}
