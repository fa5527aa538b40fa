/* SPDX-License-Identifier: MIT
 *
 * The log: cut and clean each line, give it to the sink. The level is read by every thread and
 * orders nothing; the sink is set before other threads use Weir and never changes under them.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/text.h"
#include "platform/clock.h"

#define WHO_TEXT_MAX 128u
/* The time, a space, the padded level, " [who] " and a line break. */
#define LINE_SIZE (WEIR_TIME_SIZE + 1u + 5u + 2u + WHO_TEXT_MAX + 2u + WEIR_LOG_TEXT_MAX + 2u)

static atomic_int threshold = WEIR_LOG_INFO;

/* Standard error is unbuffered, so one fwrite is one write and lines of several threads and
 * processes do not mix. A failure to write has nowhere to be reported. */
static void write_to_stderr(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    char now[WEIR_TIME_SIZE];
    char line[LINE_SIZE];
    weir_time_now(now);
    int length = snprintf(line, sizeof(line), "%s %-5s [%s] %s\n", now, weir_log_level_name(level),
                          who, text);
    if (length > 0) {
        size_t size = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
        (void)fwrite(line, 1, size, stderr);
    }
}

static weir_log_sink current_sink = write_to_stderr;
static void *current_user;

void weir_log_set_sink(weir_log_sink sink, void *user)
{
    current_sink = sink != NULL ? sink : write_to_stderr;
    current_user = user;
}

void weir_log_set_level(weir_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

const char *weir_log_level_name(weir_log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    size_t number = (size_t)level;
    return number < sizeof(names) / sizeof(names[0]) ? names[number] : "?";
}

void weir_time_now(char out[WEIR_TIME_SIZE])
{
    wr_clock_calendar(out);
}

bool wr_log_wants(weir_log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void wr_log(const char *who, weir_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wr_logv(who, level, format, args);
    va_end(args);
}

void wr_logv(const char *who, weir_log_level level, const char *format, va_list args)
{
    if (!wr_log_wants(level)) {
        return;
    }
    char raw[WEIR_LOG_TEXT_MAX + 1];
    char text[WEIR_LOG_TEXT_MAX + 1];
    char name[WHO_TEXT_MAX + 1];
    wr_text_formatv(raw, sizeof(raw), format, args);
    wr_text_escape(text, sizeof(text), raw);
    wr_text_escape(name, sizeof(name), who);
    current_sink(current_user, level, name, text);
}
