/* SPDX-License-Identifier: MIT
 *
 * The log: cut and clean each line, give it to the sink. The level is read by every thread and
 * orders nothing; the sink is set before other threads use Weir and never changes under them. What
 * the default sink keeps is guarded by its mutex.
 */
#include "base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"
#include "platform/clock.h"
#include "platform/output.h"
#include "platform/thread.h"

#define WHO_TEXT_MAX 128u
/* The time, a space, the padded level, " [who] " and a line break. */
#define LINE_SIZE (WEIR_TIME_SIZE + 1u + 5u + 2u + WHO_TEXT_MAX + 2u + WEIR_LOG_TEXT_MAX + 2u)

_Static_assert(LINE_SIZE <= WR_OUTPUT_TEXT_MAX, "a line is one write");

/* So long a reader may be kept from reading by a busy machine. */
#define READER_PATIENCE_MS 50
/* A line that took this long has waited for it, and so long after that there is no waiting. */
#define WAITED_NS UINT64_C(1000000)
#define IMPATIENCE_NS UINT64_C(1000000000)

static atomic_int threshold = WEIR_LOG_INFO;

static struct {
    wr_once once;
    wr_mutex mutex;
    uint64_t missing;      /* lines for which there was no room, since the last that was written */
    uint64_t impatient_ns; /* until then nobody waits for room */
} standard_error = {.once = WR_ONCE_INIT};

static void init_standard_error(void)
{
    wr_mutex_init(&standard_error.mutex);
}

/* One line in one write, so that those of several processes do not mix. */
static bool write_line(weir_log_level level, const char *who, const char *text, int patience_ms)
{
    char now[WEIR_TIME_SIZE];
    char line[LINE_SIZE];
    weir_time_now(now);
    int length = snprintf(line, sizeof(line), "%s %-5s [%s] %s\n", now, weir_log_level_name(level),
                          who, text);
    if (length <= 0) {
        return true;
    }
    size_t size = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
    return wr_output_write(WR_OUTPUT_ERROR, line, size, patience_ms);
}

/* False: there is still no room. */
static bool tell_missing(void)
{
    char text[80];
    if (standard_error.missing == 0) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "lines missing here, which nobody read in time: %" PRIu64,
                   standard_error.missing);
    return write_line(WEIR_LOG_WARN, "log", text, 0);
}

/* A reader that does not read is waited for, for a moment, and then not again for a while; its
 * lines are counted. Who logs may be the control loop, on which everything depends. */
static void write_to_stderr(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    wr_once_run(&standard_error.once, init_standard_error);
    wr_mutex_lock(&standard_error.mutex);
    if (tell_missing()) {
        standard_error.missing = 0;
    }
    uint64_t begun_ns = wr_clock_ns();
    bool patient = begun_ns >= standard_error.impatient_ns;
    if (standard_error.missing > 0 ||
        !write_line(level, who, text, patient ? READER_PATIENCE_MS : 0)) {
        standard_error.missing++;
    }
    uint64_t now = wr_clock_ns();
    if (now - begun_ns > WAITED_NS) {
        standard_error.impatient_ns = now + IMPATIENCE_NS;
    }
    wr_mutex_unlock(&standard_error.mutex);
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
