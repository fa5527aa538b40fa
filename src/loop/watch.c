/* SPDX-License-Identifier: MIT
 *
 * libuv's handles for waiting, each in memory of its own that is freed when libuv has let go of it
 * (contract in watch.h).
 */
#include "loop/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct wr_watch {
    uv_poll_t poll; /* first: freed through it */
    wr_watch_fn run;
    void *arg;
    unsigned events;
};

struct wr_timer {
    uv_timer_t timer; /* first */
    void (*run)(void *arg);
    void *arg;
};

struct wr_folder_watch {
    uv_fs_event_t event; /* first */
    char *name;
    char *folder_name; /* by that libuv tells what became of the folder itself */
    wr_folder_watch_fn run;
    void *arg;
};

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    wr_watch *watch = (wr_watch *)poll;
    unsigned ready = 0;
    if (status < 0 || (events & UV_DISCONNECT) != 0) {
        ready |= WR_POLL_READ | WR_POLL_HUNG_UP;
    }
    if ((events & UV_READABLE) != 0) {
        ready |= WR_POLL_READ;
    }
    if ((events & UV_WRITABLE) != 0) {
        ready |= WR_POLL_WRITE;
    }
    watch->run(watch->arg, ready);
}

static void poll_start(wr_watch *watch)
{
    int events = UV_DISCONNECT;
    events |= (watch->events & WR_POLL_READ) != 0 ? UV_READABLE : 0;
    events |= (watch->events & WR_POLL_WRITE) != 0 ? UV_WRITABLE : 0;
    uv_poll_start(&watch->poll, events, on_poll); /* fails only on a closing handle */
}

weir_err wr_watch_open(wr_loop *loop, wr_waitable what, wr_watch_fn run, void *arg, wr_watch **out)
{
    wr_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return WEIR_ERR_MEMORY;
    }
    if (uv_poll_init(wr_loop_uv(loop), &watch->poll, (int)what) != 0) {
        free(watch);
        return WEIR_ERR_IO;
    }
    watch->run = run;
    watch->arg = arg;
    poll_start(watch);
    *out = watch;
    return WEIR_OK;
}

void wr_watch_set(wr_watch *watch, unsigned events)
{
    if (watch->events != events) {
        watch->events = events;
        poll_start(watch);
    }
}

void wr_watch_close(wr_watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->poll, free_handle);
    }
}

static void on_timer(uv_timer_t *handle)
{
    wr_timer *timer = (wr_timer *)handle;
    timer->run(timer->arg);
}

weir_err wr_timer_open(wr_loop *loop, void (*run)(void *arg), void *arg, wr_timer **out)
{
    wr_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return WEIR_ERR_MEMORY;
    }
    uv_timer_init(wr_loop_uv(loop), &timer->timer); /* cannot fail */
    timer->run = run;
    timer->arg = arg;
    *out = timer;
    return WEIR_OK;
}

void wr_timer_set(wr_timer *timer, uint64_t delay_ms)
{
    /* libuv counts from the start of this turn of the loop. */
    uv_update_time(timer->timer.loop);
    uv_timer_start(&timer->timer, on_timer, delay_ms, 0);
}

void wr_timer_clear(wr_timer *timer)
{
    uv_timer_stop(&timer->timer);
}

void wr_timer_close(wr_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->timer, free_handle);
    }
}

static void on_folder(uv_fs_event_t *handle, const char *name, int events, int status)
{
    (void)events;
    (void)status;
    wr_folder_watch *watch = (wr_folder_watch *)handle;
    bool gone = name == NULL || strcmp(name, watch->folder_name) == 0;
    if (gone || strcmp(name, watch->name) == 0) {
        watch->run(watch->arg, gone);
    }
}

/* For all that watch one folder, by whatever paths, libuv has one path, the first one's, and tells
 * its last part. It stays until the last of them is closed. */
static weir_err learn_folder_name(wr_folder_watch *watch)
{
    char little[1]; /* so that libuv says how much it is */
    size_t size = sizeof(little);
    if (uv_fs_event_getpath(&watch->event, little, &size) != UV_ENOBUFS) {
        return WEIR_ERR_IO;
    }
    char *path = malloc(size);
    if (path == NULL) {
        return WEIR_ERR_MEMORY;
    }
    if (uv_fs_event_getpath(&watch->event, path, &size) != 0) {
        free(path);
        return WEIR_ERR_IO;
    }
    const char *slash = strrchr(path, '/');
    watch->folder_name = wr_text_copy(slash == NULL ? path : slash + 1);
    free(path);
    return watch->folder_name == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

weir_err wr_folder_watch_open(wr_loop *loop, const char *folder, const char *name,
                              wr_folder_watch_fn run, void *arg, wr_folder_watch **out)
{
    wr_folder_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return WEIR_ERR_MEMORY;
    }
    watch->run = run;
    watch->arg = arg;
    watch->name = wr_text_copy(name);
    if (watch->name == NULL) {
        free(watch);
        return WEIR_ERR_MEMORY;
    }
    uv_fs_event_init(wr_loop_uv(loop), &watch->event); /* cannot fail */
    weir_err err = WEIR_ERR_IO;
    if (uv_fs_event_start(&watch->event, on_folder, folder, 0) == 0) {
        err = learn_folder_name(watch);
    }
    if (err != WEIR_OK) {
        wr_folder_watch_close(watch);
        return err;
    }
    *out = watch;
    return WEIR_OK;
}

void wr_folder_watch_close(wr_folder_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    free(watch->name);
    free(watch->folder_name);
    watch->name = NULL;
    watch->folder_name = NULL;
    uv_close((uv_handle_t *)&watch->event, free_handle);
}
