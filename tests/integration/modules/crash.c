/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives, until it comes to one whose content is "crash": there it
 * crashes as its args say, a JSON string:
 *   "memory"    writes to where no memory is
 *   "stack"     calls itself until its stack overflows
 *   "abort"     calls abort
 *   "file"      reads a mapping beyond the end of its file
 *   "divide"    gets SIGFPE
 *   "code"      gets SIGILL
 *   "exit"      ends its process with status 3
 *   "wait"      never returns from receive
 * Before that it says "about to crash" in the log.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "weir/module.h"

typedef struct crash {
    weir_host *host;
    void (*run)(void);
} crash;

static volatile unsigned depth;

static void write_to_nowhere(void)
{
    int *volatile nowhere = (int *)8; /* which the compiler is not to see */
    *nowhere = 1;
}

static int recurse(volatile char *above)
{
    volatile char room[4096];
    room[0] = *above;
    return ++depth == 0 ? 0 : recurse(room) + room[0]; /* the stack ends long before the numbers */
}

static void overflow_the_stack(void)
{
    char start = 1;
    (void)recurse(&start);
}

static void read_beyond_a_file(void)
{
    char *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, memfd_create("empty", 0), 0);
    (void)*(volatile char *)page;
}

static void divide_by_zero(void)
{
    (void)raise(SIGFPE); /* not every machine traps it */
}

static void run_no_code(void)
{
    (void)raise(SIGILL);
}

static void end(void)
{
    _exit(3);
}

static void wait_for_ever(void)
{
    for (;;) {
        (void)pause();
    }
}

static const struct {
    const char *args;
    void (*run)(void);
} ways[] = {
    {"\"memory\"", write_to_nowhere},
    {"\"stack\"", overflow_the_stack},
    {"\"abort\"", abort},
    {"\"file\"", read_beyond_a_file},
    {"\"divide\"", divide_by_zero},
    {"\"code\"", run_no_code},
    {"\"exit\"", end},
    {"\"wait\"", wait_for_ever},
};

static weir_err create(weir_host *host, const char *args, void **self)
{
    crash *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        made->run = strcmp(args, ways[i].args) == 0 ? ways[i].run : made->run;
    }
    if (made->run == NULL) {
        free(made);
        return weir_fail(host, WEIR_ERR_INVALID, "args: there is no way to crash called %s", args);
    }
    *self = made;
    return WEIR_OK;
}

static bool is_order(const weir_message *msg)
{
    static const char order[] = "crash";
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    return size == strlen(order) && memcmp(content, order, size) == 0;
}

static void receive(void *arg, weir_message *msg)
{
    crash *self = arg;
    if (is_order(msg)) {
        weir_log(self->host, WEIR_LOG_WARN, "about to crash");
        self->run();
    }
    weir_err err = weir_publish(self->host, msg);
    if (err != WEIR_OK) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
}

static void destroy(void *self)
{
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "crash",
    .summary = "publishes each message that it receives, and crashes at one",
    .create = create,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
