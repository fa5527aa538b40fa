/* SPDX-License-Identifier: MIT
 *
 * What the remote side's tests share: a scripted gateway, and a module that counts what happens to
 * it. Everything waits for events, with a deadline that only a broken program reaches.
 */
#ifndef WR_REMOTE_TEST_H
#define WR_REMOTE_TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/wait_test.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/thread.h"
#include "weir/remote.h"

/* The module: one at a time, as a remote has one. */

typedef struct probe {
    wr_mutex mutex; /* guards all that follows */
    wr_cond changed;
    unsigned created, started, destroyed; /* times */
    size_t received;                      /* messages, ever */
    weir_host *host;
    char args[128];
    char last[128]; /* content of the last message */
    bool fail_create, fail_start;
    /* Called without the mutex; NULL: nothing. */
    void (*on_receive)(weir_host *host, weir_message *msg);
    void (*on_destroy)(void);
} probe;

static probe module;

static inline void probe_reset(void)
{
    module = (probe){.created = 0};
    wr_mutex_init(&module.mutex);
    wr_cond_init(&module.changed);
}

static inline void probe_deinit(void)
{
    wr_cond_deinit(&module.changed);
    wr_mutex_deinit(&module.mutex);
}

static inline void probe_count(unsigned *counter)
{
    wr_mutex_lock(&module.mutex);
    (*counter)++;
    wr_cond_broadcast(&module.changed);
    wr_mutex_unlock(&module.mutex);
}

static inline unsigned probe_get(const unsigned *counter)
{
    wr_mutex_lock(&module.mutex);
    unsigned value = *counter;
    wr_mutex_unlock(&module.mutex);
    return value;
}

static inline uint64_t test_deadline(void)
{
    return wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
}

static inline void probe_wait(const unsigned *counter, unsigned least)
{
    uint64_t deadline = test_deadline();
    bool in_time = true;
    wr_mutex_lock(&module.mutex);
    while (*counter < least && in_time) {
        in_time = wr_cond_wait_until(&module.changed, &module.mutex, deadline);
    }
    wr_mutex_unlock(&module.mutex);
    assert_true(in_time);
}

static inline void probe_wait_received(size_t least)
{
    uint64_t deadline = test_deadline();
    bool in_time = true;
    wr_mutex_lock(&module.mutex);
    while (module.received < least && in_time) {
        in_time = wr_cond_wait_until(&module.changed, &module.mutex, deadline);
    }
    wr_mutex_unlock(&module.mutex);
    assert_true(in_time);
}

static inline weir_err probe_create(weir_host *host, const char *args, void **self)
{
    wr_mutex_lock(&module.mutex);
    module.host = host;
    (void)snprintf(module.args, sizeof(module.args), "%s", args);
    bool fail = module.fail_create;
    wr_mutex_unlock(&module.mutex);
    if (fail) {
        return weir_fail(host, WEIR_ERR_IO, "cannot open %s", "the probe");
    }
    *self = &module;
    probe_count(&module.created);
    return WEIR_OK;
}

static inline weir_err probe_start(void *self)
{
    probe *own = self;
    if (own->fail_start) {
        return weir_fail(own->host, WEIR_ERR_IO, "the probe does not start");
    }
    probe_count(&own->started);
    return WEIR_OK;
}

static inline void probe_receive(void *self, weir_message *msg)
{
    probe *own = self;
    if (own->on_receive != NULL) {
        own->on_receive(own->host, msg);
    }
    size_t size = 0;
    const char *content = weir_message_content(msg, &size);
    wr_mutex_lock(&own->mutex);
    own->received++;
    size = size < sizeof(own->last) - 1 ? size : sizeof(own->last) - 1;
    memcpy(own->last, content, size);
    own->last[size] = '\0';
    wr_cond_broadcast(&own->changed);
    wr_mutex_unlock(&own->mutex);
}

static inline void probe_destroy(void *self)
{
    probe *own = self;
    if (own->on_destroy != NULL) {
        own->on_destroy();
    }
    probe_count(&own->destroyed);
}

static const weir_module_api probe_api = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "probe",
    .summary = "counts what happens to it",
    .create = probe_create,
    .start = probe_start,
    .receive = probe_receive,
    .destroy = probe_destroy,
};

static inline weir_message *message_of(const char *text)
{
    weir_message *msg = NULL;
    ASSERT_OK(weir_message_new(NULL, 0, text, strlen(text), &msg));
    return msg;
}

static inline weir_message *message_of_size(size_t size)
{
    void *content = NULL;
    weir_message *msg = NULL;
    ASSERT_OK(weir_message_reserve(NULL, 0, size, &content, &msg));
    memset(content, 'x', size);
    return msg;
}

static inline void publish_back(weir_host *host, weir_message *msg)
{
    ASSERT_OK(weir_publish(host, msg));
}

/* The place: a folder of its own for each test, with a remote in it. */

typedef struct place {
    char *folder;
    char control[WR_ADDRESS_MAX + 1]; /* paths */
    char messages[WR_ADDRESS_MAX + 1];
    char uri[WR_ADDRESS_MAX + 16];
    weir_remote *remote;
} place;

static inline void place_open(place *at)
{
    *at = (place){.folder = NULL};
    weir_log_set_level(WEIR_LOG_ERROR);
    probe_reset();
    ASSERT_OK(wr_folder_create_private("weir-test", &at->folder, NULL));
    (void)snprintf(at->control, sizeof(at->control), "%s/control", at->folder);
    (void)snprintf(at->messages, sizeof(at->messages), "%s/messages", at->folder);
    (void)snprintf(at->uri, sizeof(at->uri), "ipc://%s", at->messages);
    ASSERT_OK(weir_remote_attach(&probe_api, at->control, &at->remote));
}

/* With a thread that runs the remote. */
static inline void place_open_running(place *at)
{
    place_open(at);
    ASSERT_OK(weir_remote_start(at->remote));
}

static inline void place_close(place *at)
{
    weir_remote_detach(at->remote);
    assert_false(wr_file_exists(at->control));
    assert_false(wr_file_exists(at->messages));
    assert_int_equal(module.created, module.destroyed);
    wr_file_remove(at->folder);
    assert_false(wr_file_exists(at->folder));
    free(at->folder);
    probe_deinit();
}

/* The gateway */

typedef struct gateway {
    wr_sp_stream *control;
    wr_channel *channel;
} gateway;

static inline wr_stream *connect_to(const char *path)
{
    wr_stream *stream = NULL;
    ASSERT_OK(wr_stream_connect(path, &stream, NULL));
    return stream;
}

/* Whoever is turned away may find the connection closed before anything was said. */
static inline void expect_turned_away(const char *path)
{
    char greeting[WR_SP_GREETING_SIZE];
    size_t got = 0;
    wr_stream *stream = connect_to(path);
    wait_ready(wr_stream_waitable(stream), WR_POLL_READ);
    assert_int_equal(wr_stream_read(stream, greeting, sizeof(greeting), &got), WEIR_ERR_CLOSED);
    wr_stream_close(stream);
}

static inline void gateway_connect(gateway *from, const place *at)
{
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX};
    *from = (gateway){.control = NULL};
    ASSERT_OK(wr_sp_create(connect_to(at->control), &options, &from->control));
}

static inline void gateway_vanish(gateway *from)
{
    wr_channel_destroy(from->channel);
    wr_sp_destroy(from->control);
    *from = (gateway){.control = NULL};
}

static inline void gateway_say(gateway *from, const wr_control_message *message)
{
    control_say(from->control, message);
}

static inline void gateway_create(gateway *from, const char *uri, const char *args, bool extended)
{
    wr_control_message create = {.type = WR_CONTROL_CREATE, .uri = uri, .args = args};
    create.extension.present = extended;
    create.extension.message_limit = extended ? WR_MESSAGE_LIMIT_DEFAULT : 0;
    gateway_say(from, &create);
}

static inline void gateway_say_type(gateway *from, wr_control_type type)
{
    gateway_say(from, &(wr_control_message){.type = type});
}

static inline wr_control_message gateway_expect_reply(gateway *from, unsigned status)
{
    wr_sp_frame frame = {0};
    wr_control_message reply;
    ASSERT_OK(control_receive(from->control, &frame));
    ASSERT_OK(wr_control_decode(frame.data, frame.size, &reply, NULL));
    assert_int_equal(reply.type, WR_CONTROL_REPLY);
    assert_int_equal(reply.status, status);
    return reply;
}

static inline void gateway_expect_closed(gateway *from)
{
    wr_sp_frame frame;
    assert_int_equal(control_receive(from->control, &frame), WEIR_ERR_CLOSED);
}

static inline void gateway_open_messages(gateway *from, const place *at)
{
    wr_channel_destroy(from->channel);
    ASSERT_OK(
        wr_channel_create(connect_to(at->messages), WR_MESSAGE_LIMIT_DEFAULT, &from->channel));
}

static inline void gateway_flush(gateway *from)
{
    wait_greeting(from->channel);
    weir_err err = wr_channel_flush(from->channel);
    while (err == WEIR_ERR_WOULD_BLOCK) {
        wait_ready(wr_channel_waitable(from->channel), WR_POLL_WRITE);
        err = wr_channel_flush(from->channel);
    }
    ASSERT_OK(err);
}

static inline void gateway_send(gateway *from, const char *text)
{
    weir_message *msg = message_of(text);
    weir_err err = wr_channel_send(from->channel, msg);
    if (err == WEIR_ERR_WOULD_BLOCK) {
        gateway_flush(from);
        err = wr_channel_send(from->channel, msg);
    }
    ASSERT_OK(err);
    weir_message_unref(msg);
}

static inline void gateway_expect(gateway *from, const char *text)
{
    weir_message *msg = NULL;
    ASSERT_OK(channel_receive(from->channel, &msg));
    size_t size = 0;
    const void *content = weir_message_content(msg, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(content, text, size);
    weir_message_unref(msg);
}

/* A whole session: created, connected, started. */
static inline void gateway_begin(gateway *from, const place *at, bool extended)
{
    gateway_connect(from, at);
    gateway_create(from, at->uri, "null", extended);
    (void)gateway_expect_reply(from, WR_REPLY_CREATED);
    gateway_open_messages(from, at);
    unsigned before = probe_get(&module.started);
    gateway_say_type(from, WR_CONTROL_START);
    probe_wait(&module.started, before + 1);
}

#endif
