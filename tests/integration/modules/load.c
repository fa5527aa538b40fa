/* SPDX-License-Identifier: MIT
 *
 * Three modules in one, by args: "source" publishes as fast as it can from a thread of its own, by
 * turns waiting for room and trying; "pass" publishes what it receives; "sink" is done with it at
 * once. Each keeps its book (load.h).
 */
#include "load.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "weir/module.h"

typedef struct load {
    weir_host *host;
    load_book *book;
    bool source;
    bool pass;
    pthread_t thread;
    bool started;
} load;

static pthread_mutex_t books_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static load_book books[LOAD_BOOKS_MAX];
static size_t book_count;

static load_book *find_or_make(const char *name)
{
    for (size_t i = 0; i < book_count; i++) {
        if (strcmp(books[i].name, name) == 0) {
            return &books[i];
        }
    }
    if (book_count == LOAD_BOOKS_MAX || strlen(name) >= LOAD_NAME_SIZE) {
        return NULL;
    }
    load_book *book = &books[book_count++];
    memcpy(book->name, name, strlen(name) + 1);
    (void)pthread_mutex_init(&book->lock, NULL);
    (void)pthread_cond_init(&book->changed, NULL);
    return book;
}

WEIR_MODULE_EXPORT load_book *load_get_book(const char *name)
{
    (void)pthread_mutex_lock(&books_lock);
    load_book *book = find_or_make(name);
    (void)pthread_mutex_unlock(&books_lock);
    return book;
}

static weir_err create(weir_host *host, const char *args, void **self)
{
    load *made = calloc(1, sizeof(*made));
    load_book *book = load_get_book(weir_host_name(host));
    if (made == NULL || book == NULL) {
        free(made);
        return weir_fail(host, WEIR_ERR_MEMORY, "no room for another module");
    }
    *made = (load){.host = host, .book = book};
    made->source = strcmp(args, "\"source\"") == 0;
    made->pass = strcmp(args, "\"pass\"") == 0;
    book->stopped = false;
    *self = made;
    return WEIR_OK;
}

static void publish(load *self, weir_message *msg, bool wait)
{
    atomic_fetch_add(&self->book->begun, 1);
    weir_err err = wait ? weir_publish(self->host, msg) : weir_try_publish(self->host, msg);
    if (err == WEIR_OK) {
        atomic_fetch_add(&self->book->published, 1);
        return;
    }
    atomic_fetch_add(&self->book->refused, 1);
    if (err == WEIR_ERR_FULL && !wait) {
        (void)sched_yield();
    } else if (err != WEIR_ERR_CLOSED) {
        weir_log(self->host, WEIR_LOG_ERROR, "cannot publish: %s", weir_err_text(err));
    }
}

/* False: the end. */
static bool wait_while_held(load_book *book)
{
    (void)pthread_mutex_lock(&book->lock);
    while (book->held && !book->stopped) {
        (void)pthread_cond_wait(&book->changed, &book->lock);
    }
    bool go_on = !book->stopped;
    (void)pthread_mutex_unlock(&book->lock);
    return go_on;
}

static void *publish_all(void *arg)
{
    load *self = arg;
    weir_message *msg = NULL;
    if (weir_message_new(NULL, 0, "load", 4, &msg) != WEIR_OK) {
        weir_log(self->host, WEIR_LOG_ERROR, "out of memory");
        return NULL;
    }
    for (unsigned turn = 0; wait_while_held(self->book); turn++) {
        publish(self, msg, turn % 16 < 8);
    }
    weir_message_unref(msg);
    return NULL;
}

static weir_err start(void *arg)
{
    load *self = arg;
    if (self->source && pthread_create(&self->thread, NULL, publish_all, self) != 0) {
        return weir_fail(self->host, WEIR_ERR_MEMORY, "cannot start a thread");
    }
    self->started = self->source;
    return WEIR_OK;
}

static void receive(void *arg, weir_message *msg)
{
    load *self = arg;
    atomic_fetch_add(&self->book->received, 1);
    if (self->pass) {
        publish(self, msg, true);
    }
}

static void destroy(void *arg)
{
    load *self = arg;
    (void)pthread_mutex_lock(&self->book->lock);
    self->book->stopped = true;
    (void)pthread_cond_broadcast(&self->book->changed);
    (void)pthread_mutex_unlock(&self->book->lock);
    if (self->started) {
        (void)pthread_join(self->thread, NULL);
    }
    free(self);
}

static const weir_module_api api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "load",
    .summary = "a source, a pass or a sink that keeps books",
    .create = create,
    .start = start,
    .receive = receive,
    .destroy = destroy,
};

WEIR_MODULE_EXPORT const weir_module_api *weir_module(void)
{
    return &api;
}
