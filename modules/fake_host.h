/* SPDX-License-Identifier: MIT
 *
 * A host for the tests of modules: keeps what the module publishes, and can make publishing wait as
 * a full sink does.
 */
#ifndef MODULES_FAKE_HOST_H
#define MODULES_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <uv.h>

#include "module/host.h"

#define FAKE_HOST_KEPT_MAX 16u

typedef struct fake_host {
    weir_host base;
    uv_mutex_t lock;   /* guards what follows */
    uv_cond_t changed; /* any of it changed */
    bool full;         /* publishing waits */
    bool closing;      /* publishing waits no longer */
    size_t waiting;    /* threads in publish that wait */
    size_t published;
    weir_message *kept[FAKE_HOST_KEPT_MAX]; /* the first of them */
} fake_host;

static weir_err fake_publish(weir_host *host, weir_message *msg, bool wait)
{
    fake_host *fake = (fake_host *)host;
    weir_err err = WEIR_OK;
    uv_mutex_lock(&fake->lock);
    fake->waiting++;
    uv_cond_broadcast(&fake->changed);
    while (wait && fake->full && !fake->closing) {
        uv_cond_wait(&fake->changed, &fake->lock);
    }
    fake->waiting--;
    if (fake->full) {
        err = fake->closing ? WEIR_ERR_CLOSED : WEIR_ERR_FULL;
    } else {
        if (fake->published < FAKE_HOST_KEPT_MAX) {
            fake->kept[fake->published] = weir_message_ref(msg);
        }
        fake->published++;
    }
    uv_cond_broadcast(&fake->changed);
    uv_mutex_unlock(&fake->lock);
    return err;
}

static inline void fake_host_init(fake_host *fake)
{
    static const wr_host_ops ops = {.publish = fake_publish};
    *fake = (fake_host){.base = {.ops = &ops, .name = "tested"}};
    if (uv_mutex_init(&fake->lock) != 0 || uv_cond_init(&fake->changed) != 0) {
        abort();
    }
}

static inline void fake_host_deinit(fake_host *fake)
{
    for (size_t i = 0; i < FAKE_HOST_KEPT_MAX; i++) {
        weir_message_unref(fake->kept[i]);
    }
    uv_cond_destroy(&fake->changed);
    uv_mutex_destroy(&fake->lock);
}

#endif
