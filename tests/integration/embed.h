/* SPDX-License-Identifier: MIT
 *
 * For tests of the embedding API: a folder of its own for each test, what is reported to the
 * program, and modules of the build in $WEIR_BUILD_DIR.
 */
#ifndef EMBED_H
#define EMBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/gateway.h"

#define TEXT_MAX 8192

typedef struct place {
    char folder[64];
    char problems[TEXT_MAX]; /* one a line */
    weir_gateway_options options;
} place;

static inline const char *build_dir(void)
{
    const char *dir = getenv("WEIR_BUILD_DIR");
    return dir != NULL ? dir : ".";
}

static inline void note_problem(void *user, const char *text)
{
    place *at = user;
    size_t used = strlen(at->problems);
    (void)snprintf(at->problems + used, sizeof(at->problems) - used, "%s\n", text);
}

static inline int enter_place(void **state)
{
    place *at = calloc(1, sizeof(*at));
    if (at == NULL) {
        return -1;
    }
    (void)snprintf(at->folder, sizeof(at->folder), "/tmp/weir-embed-XXXXXX");
    at->options = (weir_gateway_options)WEIR_GATEWAY_OPTIONS_INIT;
    at->options.on_problem = note_problem;
    at->options.user = at;
    *state = at;
    return mkdtemp(at->folder) == NULL ? -1 : chdir(at->folder);
}

/* Only what the tests write is there. */
static inline int leave_place(void **state)
{
    place *at = *state;
    (void)remove("gateway.json");
    (void)remove("log.txt");
    (void)remove("other.txt");
    int result = chdir("/");
    result += rmdir(at->folder);
    free(at);
    return result;
}

static inline void write_file(const char *name, const char *format, ...) WEIR_PRINTF(2, 3);

static inline void write_file(const char *name, const char *format, ...)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    va_list args;
    va_start(args, format);
    (void)vfprintf(file, format, args);
    va_end(args);
    assert_int_equal(fclose(file), 0);
}

static inline void read_file(const char *name, char *text, size_t size)
{
    FILE *file = fopen(name, "r");
    size_t got = file == NULL ? 0 : fread(text, 1, size - 1, file);
    text[got] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
}

static inline weir_err add_native(weir_gateway *gateway, const char *name, const char *library,
                                  const char *args)
{
    char json[TEXT_MAX];
    (void)snprintf(json, sizeof(json),
                   "{\"name\": \"%s\", \"args\": %s, \"loader\": {\"name\": \"native\", "
                   "\"entrypoint\": {\"module.path\": \"%s/%s\"}}}",
                   name, args, build_dir(), library);
    return weir_gateway_add_module(gateway, json);
}

static inline weir_err add_link(weir_gateway *gateway, const char *source, const char *sink)
{
    char json[TEXT_MAX];
    (void)snprintf(json, sizeof(json), "{\"source\": \"%s\", \"sink\": \"%s\"}", source, sink);
    return weir_gateway_add_link(gateway, json);
}

#define TEST_IN_PLACE(test) cmocka_unit_test_setup_teardown(test, enter_place, leave_place)

#endif
