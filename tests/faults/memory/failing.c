/* SPDX-License-Identifier: MIT
 *
 * The functions that stand in for those of libc (contract in failing.h). The linker gives them and
 * the real ones their names.
 */
#include "failing.h"

#include <errno.h>
#include <execinfo.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FAILING_SITE() ((uintptr_t)__builtin_return_address(0))

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);

json_t *__real_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);
json_t *__real_json_loads(const char *text, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);
json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *error);

static failing_state *state;
static _Thread_local bool loading; /* inside jansson's reader */

/* NULL: there are more sites than we can remember. */
static failing_site *find_site(uintptr_t address)
{
    for (size_t i = 0; i < FAILING_SITES; i++) {
        failing_site *site = &state->sites[i];
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&site->address, &none, address) || none == address) {
            return site;
        }
    }
    return NULL;
}

/* This call fails. Of all threads only one comes here. */
static void note_failure(failing_site *site)
{
    atomic_store(&state->armed, false); /* for what backtrace takes */
    state->depth = backtrace(state->trace, FAILING_DEPTH);
    atomic_store(&state->armed, true);
    if (site != NULL) {
        atomic_fetch_add(&site->failures, 1);
    }
}

static bool fails(uintptr_t address)
{
    if (state == NULL || !atomic_load(&state->armed)) {
        return false;
    }
    failing_site *site = find_site(address);
    if (site != NULL) {
        atomic_fetch_add(&site->calls, 1);
    }
    uint64_t number = atomic_fetch_add(&state->calls, 1) + 1;
    bool chosen =
        state->plan.site != 0 ? state->plan.site == address : state->plan.number == number;
    if (!chosen || atomic_exchange(&state->hit, true)) {
        return false;
    }
    note_failure(site);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails(FAILING_SITE()) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAILING_SITE()) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails(FAILING_SITE()) ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails(FAILING_SITE()) ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    return fails(FAILING_SITE()) ? ENOMEM : __real_posix_memalign(out, alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAILING_SITE()) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails(FAILING_SITE()) ? NULL : __real_strndup(text, size);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    return fails(FAILING_SITE()) ? EAGAIN : __real_pthread_create(out, attributes, run, arg);
}

/* jansson's reader fails as a whole: in the middle of it, 2.14 does not notice that the buffer of a
 * text could not grow, and reads past its end. */
static void *json_malloc(size_t size)
{
    return !loading && fails(FAILING_SITE()) ? NULL : __real_malloc(size);
}

static json_t *fail_to_load(json_error_t *error)
{
    if (error != NULL) {
        memset(error, 0, sizeof(*error));
        error->text[JSON_ERROR_TEXT_LENGTH - 1] = (char)json_error_out_of_memory;
    }
    return NULL;
}

json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
    if (fails(FAILING_SITE())) {
        return fail_to_load(error);
    }
    loading = true;
    json_t *json = __real_json_loadb(text, size, flags, error);
    loading = false;
    return json;
}

json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *error)
{
    if (fails(FAILING_SITE())) {
        return fail_to_load(error);
    }
    loading = true;
    json_t *json = __real_json_loads(text, flags, error);
    loading = false;
    return json;
}

void failing_init(failing_state *shared)
{
    void *warm[1];
    (void)backtrace(warm, 1); /* its first call loads a library */
    json_set_alloc_funcs(json_malloc, free);
    state = shared;
}

void failing_begin(const failing_plan *plan)
{
    state->plan = *plan;
    state->depth = 0;
    atomic_store(&state->calls, 0);
    atomic_store(&state->hit, false);
    atomic_store(&state->armed, true);
}

void failing_end(void)
{
    atomic_store(&state->armed, false);
}
