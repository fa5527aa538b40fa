/* SPDX-License-Identifier: MIT
 *
 * Large messages. By args, a text:
 *   "source SIZE COUNT"  publishes so many, numbered, from a thread of its own
 *   "keep N"             publishes what it receives, and keeps the last N of them
 *   "sink SIZE COUNT"    checks every byte, and logs when all of them have come, each at least
 *                        once and in order
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/module.h"

#define WORD sizeof(uint64_t)
#define KEPT_MAX 4096u

typedef struct bulk {
    weir_host *host;
    char role[8];
    size_t size; /* keep: how many */
    uint64_t count;
    uint64_t next;
    pthread_t thread;
    bool started;
    weir_message *kept[KEPT_MAX];
} bulk;

static uint64_t word_at(uint64_t number, size_t at)
{
    return number * UINT64_C(0x9e3779b97f4a7c15) + at;
}

static weir_err publish_one(bulk *self, uint64_t number)
{
    const weir_property property = {"kind", "bulk"};
    void *content;
    weir_message *msg;
    weir_err err = weir_message_reserve(&property, 1, self->size, &content, &msg);
    if (err != WEIR_OK) {
        return err;
    }
    memcpy(content, &number, WORD);
    for (size_t i = 1; i < self->size / WORD; i++) {
        uint64_t word = word_at(number, i);
        memcpy((unsigned char *)content + i * WORD, &word, WORD);
    }
    err = weir_publish(self->host, msg);
    weir_message_unref(msg);
    return err;
}

static void *publish_all(void *arg)
{
    bulk *self = arg;
    weir_err err = WEIR_OK;
    for (uint64_t number = 0; number < self->count && err == WEIR_OK; number++) {
        err = publish_one(self, number);
    }
    if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
    return NULL;
}

static bool is_intact(const bulk *self, const weir_message *msg, uint64_t *number)
{
    size_t size;
    const unsigned char *content = weir_message_content(msg, &size);
    const char *kind = weir_message_property(msg, "kind");
    if (size != self->size || kind == NULL || strcmp(kind, "bulk") != 0) {
        return false;
    }
    memcpy(number, content, WORD);
    for (size_t i = 1; i < size / WORD; i++) {
        uint64_t wanted = word_at(*number, i);
        if (memcmp(content + i * WORD, &wanted, WORD) != 0) {
            return false;
        }
    }
    return true;
}

static void check(bulk *self, const weir_message *msg)
{
    uint64_t number = 0;
    if (!is_intact(self, msg, &number)) {
        weir_log(self->host, WEIR_LOG_ERROR, "a message is damaged");
        return;
    }
    if (number < self->next) {
        return; /* a module that was killed may have published it before, and does so again */
    }
    if (number != self->next) {
        weir_log(self->host, WEIR_LOG_ERROR, "message %" PRIu64 " where %" PRIu64 " is next",
                 number, self->next);
    }
    self->next = number + 1;
    if (self->next == self->count) {
        weir_log(self->host, WEIR_LOG_INFO, "all %" PRIu64 " have come", self->count);
    }
}

static void keep(bulk *self, weir_message *msg)
{
    if (self->size > 0) {
        weir_message **place = &self->kept[self->next++ % self->size];
        weir_message_unref(*place);
        *place = weir_message_ref(msg);
    }
    weir_err err = weir_publish(self->host, msg);
    if (err != WEIR_OK) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
}

static void receive(void *arg, weir_message *msg)
{
    bulk *self = arg;
    if (strcmp(self->role, "keep") == 0) {
        keep(self, msg);
    } else {
        check(self, msg);
    }
}

static weir_err create(weir_host *host, const char *args, void **out)
{
    bulk *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return weir_fail(host, WEIR_ERR_MEMORY, "out of memory");
    }
    self->host = host;
    if (sscanf(args, "\"%7s %zu %" SCNu64, self->role, &self->size, &self->count) < 2 ||
        (strcmp(self->role, "keep") == 0 && self->size > KEPT_MAX)) {
        free(self);
        return weir_fail(host, WEIR_ERR_CONFIG, "args are not as bulk wants them");
    }
    *out = self;
    return WEIR_OK;
}

static weir_err start(void *arg)
{
    bulk *self = arg;
    if (strcmp(self->role, "source") == 0) {
        self->started = pthread_create(&self->thread, NULL, publish_all, self) == 0;
    }
    return WEIR_OK;
}

static void destroy(void *arg)
{
    bulk *self = arg;
    if (self->started) {
        (void)pthread_join(self->thread, NULL);
    }
    for (size_t i = 0; i < KEPT_MAX; i++) {
        weir_message_unref(self->kept[i]);
    }
    free(self);
}

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    static const weir_module_api api = {
        .abi_version = WEIR_MODULE_ABI,
        .size = sizeof(weir_module_api),
        .name = "bulk",
        .summary = "publishes, keeps or checks large messages",
        .create = create,
        .start = start,
        .receive = receive,
        .destroy = destroy,
    };
    return &api;
}
