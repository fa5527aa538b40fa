/* SPDX-License-Identifier: MIT
 *
 * Publishes each message that it receives, until it comes to one whose content begins with a number
 * that is a multiple of 1000 and is not sent again: there it misbehaves as its args say, a JSON
 * string: "loop"         computes for ever "deadlock"     waits for a lock that it holds "stop"
 * stops its own process (SIGSTOP) "ignore.term"  as deadlock, and ignores SIGTERM "crash" writes to
 * nowhere "exit"         ends its process with status 3 "slow"         takes a while for each
 * message, but goes on
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir/module.h"

#define EVERY 1000u
#define SLOW_NS 20000000 /* of each message, where it is slow */

typedef struct hang {
    weir_host *host;
    char how[32];
} hang;

static weir_err create(weir_host *host, const char *args, void **self)
{
    hang *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    made->host = host;
    if (sscanf(args, "\"%31[^\"]\"", made->how) != 1) {
        free(made);
        return weir_fail(host, WEIR_ERR_INVALID, "args: expected a string, found %s", args);
    }
    *self = made;
    return WEIR_OK;
}

static void deadlock(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    pthread_mutex_lock(&lock);
}

static void loop(void)
{
    for (volatile unsigned i = 0;; i++) {
    }
}

static void misbehave(const hang *self)
{
    if (strcmp(self->how, "loop") == 0) {
        loop();
    } else if (strcmp(self->how, "deadlock") == 0) {
        deadlock();
    } else if (strcmp(self->how, "ignore.term") == 0) {
        signal(SIGTERM, SIG_IGN);
        deadlock();
    } else if (strcmp(self->how, "stop") == 0) {
        raise(SIGSTOP);
    } else if (strcmp(self->how, "exit") == 0) {
        _exit(3);
    } else if (strcmp(self->how, "crash") == 0) {
        *(volatile int *)8 = 1;
    }
}

/* Is this the message at which to misbehave? */
static bool is_time(weir_message *msg)
{
    size_t size = 0;
    const char *content = weir_message_content(msg, &size);
    char text[32] = "";
    memcpy(text, content, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
    char *end = text;
    unsigned long number = strtoul(text, &end, 10);
    return end != text && number > 0 && number % EVERY == 0 && !weir_message_redelivered(msg);
}

static void receive(void *arg, weir_message *msg)
{
    hang *self = arg;
    if (strcmp(self->how, "slow") == 0) {
        nanosleep(&(struct timespec){.tv_nsec = SLOW_NS}, NULL); /* the work that it stands for */
    } else if (is_time(msg)) {
        misbehave(self);
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
    .name = "hang",
    .summary = "publishes each message that it receives, and misbehaves at some",
    .create = create,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
