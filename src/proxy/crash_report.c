/* SPDX-License-Identifier: MIT
 *
 * The crash report (contract in crash_report.h). A report is whole or not there: what fails
 * half-way is removed.
 */
#include "proxy/crash_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/utf8.h"
#include "message/message.h"
#include "platform/folder.h"
#include "platform/thread.h"
#include "proxy/crash_folder.h"
#include "proxy/crash_internal.h"

/* In front of each message in a file of frames: 01 and the length. */
#define FRAME_HEADER_SIZE 9u
#define EXIT_TEXT_SIZE 128u

json_t *wr_crash_text(const char *text)
{
    if (text == NULL || wr_utf8_valid(text, strlen(text))) {
        return json_string(text);
    }
    wr_buffer shown = WR_BUFFER_INIT;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x80) {
            wr_buffer_append(&shown, text, 1);
        } else {
            wr_buffer_printf(&shown, "\\x%02X", (unsigned char)*text);
        }
    }
    json_t *value = shown.failed ? NULL : json_string(shown.data);
    wr_buffer_deinit(&shown);
    return value;
}

bool wr_crash_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* As wr_crash_set, where there may be no text. */
static bool set_text(json_t *object, const char *key, const char *text)
{
    return text == NULL || wr_crash_set(object, key, wr_crash_text(text));
}

static bool set_number(json_t *object, const char *key, uint64_t number)
{
    return wr_crash_set(object, key, json_integer((json_int_t)number));
}

/* "signal 9 (Killed); it had not answered for 5000 ms" */
static char *how_it_ended(const wr_crash_report *report)
{
    wr_buffer how = WR_BUFFER_INIT;
    char ending[EXIT_TEXT_SIZE] = "it is not known how the process ended";
    if (report->exit != NULL) {
        wr_process_exit_text(report->exit, ending, sizeof(ending));
    }
    wr_buffer_append_text(&how, ending);
    if (report->hung_ms > 0) {
        wr_buffer_printf(&how, "; it was ended because it had not answered for %llu ms",
                         (unsigned long long)report->hung_ms);
    }
    if (report->reason != NULL) {
        wr_buffer_printf(&how, "; %s", report->reason);
    }
    return wr_buffer_take(&how);
}

static bool set_how(json_t *root, const wr_crash_report *report)
{
    char *how = how_it_ended(report);
    bool ok = how != NULL && set_text(root, "how", how);
    free(how);
    if (report->exit != NULL && report->exit->value != WR_EXIT_UNKNOWN) {
        const char *key = report->exit->by_signal ? "signal" : "exit.status";
        ok = ok && set_number(root, key, (uint64_t)report->exit->value);
    }
    if (report->hung_ms > 0) {
        ok = ok && set_number(root, "hung.ms", report->hung_ms);
    }
    return ok;
}

static json_t *text_list(const char *const *texts)
{
    json_t *list = json_array();
    for (; list != NULL && texts != NULL && *texts != NULL; texts++) {
        if (json_array_append_new(list, wr_crash_text(*texts)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Not its environment, which may hold secrets. */
static bool set_program(json_t *root, const wr_crash_report *report)
{
    if (report->settings->library != NULL) {
        return set_text(root, "library", report->settings->library);
    }
    if (report->launch == NULL) {
        return true;
    }
    const wr_process_options *process = &report->launch->process;
    json_t *program = json_object();
    bool ok = set_text(program, "path", process->path) &&
              wr_crash_set(program, "args", text_list(process->args)) &&
              set_text(program, "working.dir", process->working_dir);
    ok = wr_crash_set(root, "program", program) && ok;
    return ok;
}

static bool set_lines(json_t *root, const wr_line_ring *ring)
{
    json_t *lines = json_array();
    bool ok = lines != NULL;
    for (const char *line = NULL;
         ok && ring != NULL && (line = wr_line_ring_next(ring, line)) != NULL;) {
        ok = json_array_append_new(lines, wr_crash_text(line)) == 0;
    }
    return wr_crash_set(root, "lines", lines) && ok;
}

static json_t *describe_message(const wr_window_given *given, uint64_t offset, bool acknowledges)
{
    json_t *entry = json_object();
    bool ok = set_number(entry, "number", given->number) && set_number(entry, "offset", offset) &&
              set_number(entry, "size", wr_message_size(given->msg));
    if (acknowledges) {
        ok = ok && wr_crash_set(entry, "acknowledged", json_boolean(given->acknowledged));
    }
    if (!ok) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static bool set_messages(json_t *root, const wr_crash_report *report)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    uint64_t offset = 0;
    for (size_t i = 0; ok && i < report->message_count; i++) {
        const wr_window_given *given = &report->messages[i];
        ok =
            json_array_append_new(list, describe_message(given, offset, report->acknowledges)) == 0;
        offset += FRAME_HEADER_SIZE + wr_message_size(given->msg);
    }
    return wr_crash_set(root, "messages", list) && ok;
}

static json_t *make_report(const wr_crash_report *report)
{
    json_t *root = json_object();
    bool ok =
        set_text(root, "module", report->module) && set_text(root, "time", report->time) &&
        set_how(root, report) &&
        (report->pid == 0 || set_number(root, "pid", (uint64_t)report->pid)) &&
        set_number(root, "restarts", report->restarts) &&
        (report->poison_deaths == 0 || set_number(root, "poison.deaths", report->poison_deaths)) &&
        set_text(root, "control.id", report->control_path) && set_program(root, report) &&
        set_text(root, "weir", weir_version()) && set_lines(root, report->lines) &&
        set_messages(root, report);
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/*
 * Writing.
 */
static weir_err create_in(const char *folder, const char *name, FILE **out, wr_error *error)
{
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_printf(&path, "%s/%s", folder, name);
    weir_err err = path.failed ? wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a path")
                               : wr_file_create(path.data, out, error);
    wr_buffer_deinit(&path);
    return err;
}

/* A full disk may show when the file is closed, and not before. */
static weir_err close_written(FILE *file, bool written, const char *name, wr_error *error)
{
    bool closed = fclose(file) == 0;
    if (written && closed) {
        return WEIR_OK;
    }
    return wr_error_set(error, WEIR_ERR_IO, "cannot write '%s' (is the disk full?)", name);
}

/* Takes the JSON, which is NULL where there was no memory to make it. */
static weir_err write_json(const char *folder, const char *name, json_t *json, wr_error *error)
{
    FILE *file = NULL;
    weir_err err = json == NULL ? wr_error_set(error, WEIR_ERR_MEMORY, "no memory for '%s'", name)
                                : create_in(folder, name, &file, error);
    if (err == WEIR_OK) {
        bool written = json_dumpf(json, file, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0 &&
                       fputc('\n', file) != EOF;
        err = close_written(file, written, name, error);
    }
    json_decref(json);
    return err;
}

static bool write_frame(FILE *file, const weir_message *msg)
{
    size_t head_size = 0;
    size_t content_size = 0;
    const void *head = wr_message_head(msg, &head_size); /* of the image, it could be spoiled */
    const void *content = weir_message_content(msg, &content_size);
    unsigned char header[FRAME_HEADER_SIZE] = {1};
    wr_put_u64(header + 1, head_size + content_size);
    return fwrite(header, sizeof(header), 1, file) == 1 && fwrite(head, head_size, 1, file) == 1 &&
           fwrite(content, 1, content_size, file) == content_size;
}

static weir_err write_messages(const char *folder, const wr_crash_report *report, wr_error *error)
{
    FILE *file = NULL;
    weir_err err = create_in(folder, WR_CRASH_FILE_MESSAGES, &file, error);
    if (err != WEIR_OK) {
        return err;
    }
    bool written = true;
    for (size_t i = 0; written && i < report->message_count; i++) {
        written = write_frame(file, report->messages[i].msg);
    }
    return close_written(file, written, WR_CRASH_FILE_MESSAGES, error);
}

static weir_err write_files(const char *folder, const wr_crash_report *report, wr_error *error)
{
    weir_err err = write_messages(folder, report, error);
    if (err == WEIR_OK) {
        err = write_json(folder, WR_CRASH_FILE_REPLAY, wr_crash_replay(report, folder), error);
    }
    if (err == WEIR_OK) {
        err = write_json(folder, WR_CRASH_FILE_REPORT, make_report(report), error);
    }
    return err;
}

static void remove_half(const wr_crash_report *report, const char *folder)
{
    wr_error error = {.code = WEIR_OK};
    if (wr_folder_remove(folder, &error) != WEIR_OK) {
        wr_log(report->module, WEIR_LOG_WARN, "half a crash report stays: %s",
               wr_error_text(&error));
    }
}

static weir_err write_folder(const wr_crash_report *report, char **folder, wr_error *error)
{
    char *path = NULL;
    bool poison = report->poison_deaths > 0;
    const wr_crash_folder which = {
        .parent = report->settings->folder,
        .module = report->module,
        .time = report->time,
        .max = poison ? WR_CRASH_POISON_MAX : report->settings->reports_max,
        .poison = poison,
    };
    weir_err err = wr_crash_folder_make(&which, &path, error);
    if (err != WEIR_OK) {
        return err;
    }
    err = write_files(path, report, error);
    if (err != WEIR_OK) {
        remove_half(report, path);
        free(path);
        return err;
    }
    *folder = path;
    return WEIR_OK;
}

static wr_mutex writing; /* one report at a time, so that none removes one that is being written */
static wr_once writing_made = WR_ONCE_INIT;

static void make_writing(void)
{
    wr_mutex_init(&writing);
}

weir_err wr_crash_report_write(const wr_crash_report *report, char **folder, wr_error *error)
{
    wr_once_run(&writing_made, make_writing);
    wr_mutex_lock(&writing);
    weir_err err = write_folder(report, folder, error);
    wr_mutex_unlock(&writing);
    return err;
}
