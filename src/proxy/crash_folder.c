/* SPDX-License-Identifier: MIT
 *
 * Names of crash reports (contract in crash_folder.h): MODULE-TIME-NUMBER, such as
 * camera-20261124T060805.123Z-001. Time and number have a fixed width, so that the order of the
 * names is that of the reports. One with a message that was set aside has "-poison" behind it.
 */
#include "proxy/crash_folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "platform/folder.h"

/* Bytes of a module's name that go into the name of a folder. */
#define NAME_BYTES_MAX 64u
#define NUMBER_MAX 999u

static const char time_form[] = "ddddddddTdddddd.dddZ-";
static const char number_form[] = "ddd";
static const char poison_mark[] = "-poison";

/* The names of a module's reports. */
typedef struct name_list {
    char *prefix;       /* MODULE- */
    const char *suffix; /* behind the number */
    char **names;
    size_t count;
    bool failed; /* out of memory */
} name_list;

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* What tells two names apart that look the same when made safe (FNV-1a). */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    }
    return hash;
}

/* "MODULE-", with nothing in it that means something to a file system or a shell. */
static char *make_prefix(const char *module)
{
    wr_buffer prefix = WR_BUFFER_INIT;
    bool same = module[0] != '.' && module[0] != '-' && strlen(module) <= NAME_BYTES_MAX;
    for (size_t i = 0; module[i] != '\0' && i < NAME_BYTES_MAX; i++) {
        bool safe = is_safe(module[i]) && (i > 0 || (module[i] != '.' && module[i] != '-'));
        wr_buffer_append(&prefix, safe ? &module[i] : "_", 1);
        same = same && safe;
    }
    if (!same) {
        wr_buffer_printf(&prefix, "~%08x", (unsigned)hash_of(module));
    }
    wr_buffer_append_text(&prefix, "-");
    return wr_buffer_take(&prefix);
}

static bool has_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++) {
        bool fits = *form == 'd' ? *text >= '0' && *text <= '9' : *text == *form;
        if (!fits) {
            return false;
        }
    }
    return true;
}

static void collect(void *arg, const char *name)
{
    name_list *list = arg;
    size_t length = strlen(list->prefix);
    size_t tail = strlen(time_form) + strlen(number_form);
    if (strncmp(name, list->prefix, length) != 0 ||
        strlen(name) != length + tail + strlen(list->suffix) ||
        !has_form(name + length, time_form) ||
        !has_form(name + length + strlen(time_form), number_form) ||
        strcmp(name + length + tail, list->suffix) != 0) {
        return;
    }
    char **grown = realloc(list->names, (list->count + 1) * sizeof(*grown));
    char *copy = wr_text_copy(name);
    list->names = grown != NULL ? grown : list->names;
    if (grown == NULL || copy == NULL) {
        list->failed = true;
        free(copy);
        return;
    }
    grown[list->count++] = copy;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_deinit(name_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
}

/* Oldest first. Errors: as wr_folder_each, MEMORY. */
static weir_err list_reports(const char *parent, name_list *list, wr_error *error)
{
    weir_err err = wr_folder_each(parent, collect, list, error);
    if (err == WEIR_OK && list->failed) {
        err = wr_error_set(error, WEIR_ERR_MEMORY, "no memory to look at the crash reports");
    }
    if (err == WEIR_OK && list->count > 0) {
        qsort(list->names, list->count, sizeof(*list->names), compare);
    }
    return err;
}

static char *path_of(const char *parent, const char *name)
{
    wr_buffer path = WR_BUFFER_INIT;
    wr_buffer_printf(&path, "%s/%s", parent, name);
    return wr_buffer_take(&path);
}

/* Remove the oldest until `max` are left. */
static void remove_oldest(const char *parent, const char *module, const name_list *list,
                          uint32_t max)
{
    for (size_t i = 0; i + max < list->count; i++) {
        wr_error error = {.code = WEIR_OK};
        char *path = path_of(parent, list->names[i]);
        if (path != NULL && wr_folder_remove(path, &error) != WEIR_OK) {
            wr_log(module, WEIR_LOG_WARN, "an old crash report stays: %s", wr_error_text(&error));
        }
        free(path);
    }
}

/* MODULE-TIME-: "2026-11-24T06:08:05.123Z" becomes "20261124T060805.123Z". */
static char *make_stem(const char *prefix, const char *time)
{
    wr_buffer stem = WR_BUFFER_INIT;
    wr_buffer_append_text(&stem, prefix);
    for (; *time != '\0'; time++) {
        if (*time != '-' && *time != ':') {
            wr_buffer_append(&stem, time, 1);
        }
    }
    wr_buffer_append_text(&stem, "-");
    return wr_buffer_take(&stem);
}

/* The number after the highest that the stem has: one that is removed is not given again, which
 * would make the new report the oldest. */
static unsigned next_number(const name_list *list, const char *stem)
{
    if (list->count == 0 || strncmp(list->names[list->count - 1], stem, strlen(stem)) != 0) {
        return 1;
    }
    return (unsigned)strtoul(list->names[list->count - 1] + strlen(stem), NULL, 10) + 1;
}

/* Another gateway may use the same crash folder at the same time. */
static weir_err make_numbered(const char *parent, const char *stem, const name_list *list,
                              char **path, wr_error *error)
{
    weir_err err = wr_error_set(error, WEIR_ERR_EXISTS, "too many crash reports of one time");
    for (unsigned number = next_number(list, stem); number <= NUMBER_MAX; number++) {
        wr_buffer text = WR_BUFFER_INIT;
        wr_buffer_printf(&text, "%s/%s%03u%s", parent, stem, number, list->suffix);
        char *name = wr_buffer_take(&text);
        err = name == NULL ? wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a folder's path")
                           : wr_folder_make(name, error);
        if (err == WEIR_OK) {
            *path = name;
            return WEIR_OK;
        }
        free(name);
        if (err != WEIR_ERR_EXISTS) {
            return err;
        }
    }
    return err;
}

/* One more is to come. Errors: FULL. */
static weir_err make_room(const char *parent, const wr_crash_folder *which, const name_list *list,
                          wr_error *error)
{
    if (!which->poison) {
        remove_oldest(parent, which->module, list, which->max - 1);
        return WEIR_OK;
    }
    if (list->count < which->max) {
        return WEIR_OK;
    }
    return wr_error_set(error, WEIR_ERR_FULL,
                        "%zu messages of this module are set aside already, in '%s'; look at them "
                        "and move them away",
                        list->count, parent);
}

static weir_err make_in(const char *parent, const wr_crash_folder *which, char **path,
                        wr_error *error)
{
    name_list list = {.prefix = make_prefix(which->module),
                      .suffix = which->poison ? poison_mark : ""};
    char *stem = list.prefix == NULL ? NULL : make_stem(list.prefix, which->time);
    weir_err err = stem == NULL
                       ? wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a folder's path")
                       : list_reports(parent, &list, error);
    if (err == WEIR_OK) {
        err = make_room(parent, which, &list, error);
    }
    if (err == WEIR_OK) {
        err = make_numbered(parent, stem, &list, path, error);
    }
    list_deinit(&list);
    free(stem);
    free(list.prefix);
    return err;
}

weir_err wr_crash_folder_make(const wr_crash_folder *which, char **path, wr_error *error)
{
    weir_err err = wr_folder_ensure(which->parent, error);
    if (err != WEIR_OK) {
        return err;
    }
    char *absolute = wr_path_absolute(which->parent);
    if (absolute == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no path to the folder '%s'", which->parent);
    }
    err = make_in(absolute, which, path, error);
    free(absolute);
    return err;
}
