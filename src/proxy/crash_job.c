/* SPDX-License-Identifier: MIT
 *
 * A crash report that is written on a thread of its own, so that the loop does not wait for the
 * disk. The job holds copies of all that the report borrows.
 *
 * The thread has a low priority: nobody waits for a report (but for one with an `on_done`), and the
 * messages of all other modules go on meanwhile. So it must hold nothing that they wait for: its
 * log lines are the loop's to write. Its end is told to the loop by `written`, which keeps the loop
 * alive until then.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "platform/thread.h"
#include "proxy/crash_report.h"

/* Reports that are being written or wait for it, in this process. They hold messages. */
#define JOBS_MAX 8u

typedef struct crash_job {
    uv_async_t written;     /* first: freed through it */
    wr_thread thread;       /* set before it runs; the loop's */
    weir_err err;           /* the thread's until it has ended, like the next two */
    char *folder;           /* what it made; NULL: nothing */
    wr_error error;         /* why not */
    wr_crash_report report; /* its texts and the like are what follows */
    wr_crash_settings settings;
    wr_launch launch;
    wr_process_exit exit;
    wr_line_ring lines;
    wr_window_given *messages;
    char **texts; /* every text that was copied */
    size_t text_count;
    bool failed; /* out of memory */
} crash_job;

static atomic_uint jobs; /* orders nothing */

static void free_job(crash_job *job)
{
    for (size_t i = 0; job->messages != NULL && i < job->report.message_count; i++) {
        weir_message_unref(job->messages[i].msg);
    }
    for (size_t i = 0; i < job->text_count; i++) {
        free(job->texts[i]);
    }
    free((void *)job->launch.process.args);
    free((void *)job->launch.process.env);
    free(job->messages);
    free(job->folder);
    free(job->texts);
    free(job);
}

/* A copy that lives as long as the job; NULL for NULL. */
static const char *keep(crash_job *job, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    char **grown = realloc(job->texts, (job->text_count + 1) * sizeof(*grown));
    char *copy = wr_text_copy(text);
    job->texts = grown != NULL ? grown : job->texts;
    if (grown == NULL || copy == NULL) {
        job->failed = true;
        free(copy);
        return NULL;
    }
    grown[job->text_count++] = copy;
    return copy;
}

static const char *const *keep_list(crash_job *job, const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    const char **list = calloc(count + 1, sizeof(*list));
    job->failed = job->failed || list == NULL;
    for (size_t i = 0; list != NULL && i < count; i++) {
        list[i] = keep(job, texts[i]);
    }
    return list;
}

static void keep_settings(crash_job *job, const wr_crash_settings *from)
{
    job->settings = (wr_crash_settings){
        .folder = keep(job, from->folder),
        .reports_max = from->reports_max,
        .library = keep(job, from->library),
        .args = keep(job, from->args),
        .heartbeat = from->heartbeat,
        .sandbox = keep(job, from->sandbox),
        .other_user = from->other_user,
        .replay_module = keep(job, from->replay_module),
        .logger_module = keep(job, from->logger_module),
    };
    job->report.settings = &job->settings;
}

static void keep_launch(crash_job *job, const wr_launch *from)
{
    if (from == NULL) {
        return;
    }
    job->launch = *from;
    job->launch.process.path = keep(job, from->process.path);
    job->launch.process.args = keep_list(job, from->process.args);
    job->launch.process.env = keep_list(job, from->process.env);
    job->launch.process.working_dir = keep(job, from->process.working_dir);
    job->report.launch = &job->launch;
}

static void keep_messages(crash_job *job, const wr_crash_report *from)
{
    job->messages = calloc(from->message_count + 1, sizeof(*job->messages));
    if (job->messages == NULL) {
        job->failed = true;
        return;
    }
    for (size_t i = 0; i < from->message_count; i++) {
        job->messages[i] = from->messages[i];
        weir_message_ref(job->messages[i].msg);
    }
    job->report.messages = job->messages;
}

/* NULL: out of memory. */
static crash_job *make_job(const wr_crash_report *from)
{
    crash_job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return NULL;
    }
    job->report = *from;
    job->report.module = keep(job, from->module);
    job->report.control_path = keep(job, from->control_path);
    job->report.reason = keep(job, from->reason);
    keep_settings(job, from->settings);
    keep_launch(job, from->launch);
    keep_messages(job, from);
    if (from->exit != NULL) {
        job->exit = *from->exit;
        job->report.exit = &job->exit;
    }
    if (from->lines != NULL) {
        job->lines = *from->lines;
        job->report.lines = &job->lines;
    }
    if (job->failed) {
        free_job(job);
        return NULL;
    }
    return job;
}

static void log_failure(const wr_crash_report *report, const char *why)
{
    wr_log(report->module, WEIR_LOG_ERROR, "%s: %s",
           report->poison_deaths > 0
               ? "a message that it dies of cannot be set aside, and comes again"
               : "no crash report",
           why);
}

static void write_report(void *arg)
{
    crash_job *job = arg;
    if (job->report.on_done == NULL) { /* else somebody waits for it */
        wr_thread_stand_back();
    }
    job->err = wr_crash_report_write(&job->report, &job->folder, &job->error);
    uv_async_send(&job->written);
}

static void log_outcome(const crash_job *job)
{
    if (job->err != WEIR_OK) {
        log_failure(&job->report, wr_error_text(&job->error));
    } else if (job->report.on_done == NULL) {
        wr_log(job->report.module, WEIR_LOG_INFO, "crash report: %s%s", job->folder,
               job->report.message_count > 0 ? " (to give it its last messages again: weir run "
                                               "replay.json, in that folder)"
                                             : "");
    }
}

static void on_closed(uv_handle_t *handle)
{
    free_job((crash_job *)handle);
}

static void on_written(uv_async_t *written)
{
    crash_job *job = (crash_job *)written;
    wr_thread_join(&job->thread);
    log_outcome(job);
    atomic_fetch_sub_explicit(&jobs, 1, memory_order_relaxed);
    if (job->report.on_done != NULL) {
        job->report.on_done(job->report.arg, job->folder);
    }
    uv_close((uv_handle_t *)written, on_closed);
}

static bool start_job(wr_loop *loop, const wr_crash_report *report)
{
    crash_job *job = make_job(report);
    if (job == NULL) {
        return false;
    }
    if (uv_async_init(wr_loop_uv(loop), &job->written, on_written) != 0) {
        free_job(job);
        return false;
    }
    if (wr_thread_start(&job->thread, "weir-report", write_report, job) != WEIR_OK) {
        uv_close((uv_handle_t *)&job->written, on_closed);
        return false;
    }
    return true;
}

bool wr_crash_report_start(wr_loop *loop, const wr_crash_report *report)
{
    if (report->settings->reports_max == 0) {
        return false;
    }
    if (atomic_fetch_add_explicit(&jobs, 1, memory_order_relaxed) >= JOBS_MAX) {
        log_failure(report, "too many reports are still being written");
    } else if (start_job(loop, report)) {
        return true;
    } else {
        log_failure(report, "out of memory");
    }
    atomic_fetch_sub_explicit(&jobs, 1, memory_order_relaxed);
    return false;
}
