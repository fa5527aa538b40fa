/* SPDX-License-Identifier: MIT
 *
 * The trace of a probe (contract in probe.h).
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "probe.h"

/* Contents of this size that can be printed are shown as they are. */
#define SHOWN_MIN 5u
#define SHOWN_MAX 64u

bool probe_trace_open(probe_trace *trace, const char *path)
{
    trace->file = fopen(path, "ab");
    return trace->file != NULL && pthread_mutex_init(&trace->mutex, NULL) == 0;
}

void probe_trace_close(probe_trace *trace)
{
    (void)fclose(trace->file);
    (void)pthread_mutex_destroy(&trace->mutex);
}

void probe_write(probe_trace *trace, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)pthread_mutex_lock(&trace->mutex);
    (void)vfprintf(trace->file, format, args);
    (void)fputc('\n', trace->file);
    (void)fflush(trace->file);
    (void)pthread_mutex_unlock(&trace->mutex);
    va_end(args);
}

static bool is_text(const char *content, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!isprint((unsigned char)content[i])) {
            return false;
        }
    }
    return size >= SHOWN_MIN && size <= SHOWN_MAX;
}

/* FNV-1a */
static uint64_t checksum(const unsigned char *content, size_t size)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ content[i]) * 0x100000001b3u;
    }
    return sum;
}

static void add_properties(const weir_message *msg, char *line, size_t size)
{
    weir_property_iter iter = {0};
    size_t at = strlen(line);
    while (at < size && weir_message_next(msg, &iter)) {
        int added = snprintf(line + at, size - at, " %s=%s", iter.name, iter.value);
        at += added > 0 ? (size_t)added : 0;
    }
}

void probe_write_message(probe_trace *trace, const weir_message *msg)
{
    char line[4096];
    size_t size = 0;
    const char *content = weir_message_content(msg, &size);
    if (is_text(content, size)) {
        (void)snprintf(line, sizeof(line), "receive %.*s", (int)size, content);
    } else {
        (void)snprintf(line, sizeof(line), "receive %zu bytes %016" PRIx64, size,
                       checksum((const unsigned char *)content, size));
    }
    add_properties(msg, line, sizeof(line));
    probe_write(trace, "%s%s", line, weir_message_redelivered(msg) ? " (again)" : "");
}
