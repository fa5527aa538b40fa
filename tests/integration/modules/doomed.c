/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives, until one whose content is "doom" has come: from the
 * next message on, and in all later lives (a file "doomed" in the working directory remembers it),
 * it dies as its args say, a JSON string:
 *   "start"    in start
 *   "later"    a moment after start, whatever it receives; it never returns from receive
 *   "receive"  of every message
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir/module.h"

#define MARK "doomed"
#define LATER_NS 50000000 /* this is how long it can live; nobody waits for it */

typedef struct doomed {
    weir_host *host;
    bool now;
    char how[16];
} doomed;

static weir_err create(weir_host *host, const char *args, void **self)
{
    doomed *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    made->now = access(MARK, F_OK) == 0;
    if (sscanf(args, "\"%15[^\"]\"", made->how) != 1) {
        free(made);
        return weir_fail(host, WEIR_ERR_INVALID, "args: expected a string, found %s", args);
    }
    *self = made;
    return WEIR_OK;
}

static bool is_how(const doomed *self, const char *how)
{
    return strcmp(self->how, how) == 0;
}

static void *die_later(void *arg)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = LATER_NS}, NULL);
    abort();
    return arg;
}

static weir_err start(void *arg)
{
    doomed *self = arg;
    pthread_t thread;
    if (self->now && is_how(self, "start")) {
        abort();
    }
    if (self->now && is_how(self, "later") && pthread_create(&thread, NULL, die_later, NULL) != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "no thread");
    }
    return WEIR_OK;
}

static bool is_doom(const weir_message *msg)
{
    static const char doom[] = "doom";
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    return size == strlen(doom) && memcmp(content, doom, size) == 0;
}

static void remember(void)
{
    FILE *file = fopen(MARK, "w");
    if (file == NULL || fclose(file) != 0) {
        abort();
    }
}

static void receive(void *arg, weir_message *msg)
{
    doomed *self = arg;
    while (self->now && is_how(self, "later")) {
        (void)pause();
    }
    if (self->now || (access(MARK, F_OK) == 0 && !is_doom(msg))) {
        abort();
    }
    if (is_doom(msg)) {
        remember();
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
    .name = "doomed",
    .summary = "publishes each message that it receives, and then dies whatever it is given",
    .create = create,
    .start = start,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
