/* SPDX-License-Identifier: MIT
 *
 * The proxy with a scripted remote module, which misbehaves where no whole program could be made to
 * do so at the right moment.
 */
#include "proxy/proxy.h"

#include "ipc/wait_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/broker.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/folder.h"
#include "proxy/crash_report.h"
#include "proxy/proxy_internal.h"
#include "weir/log.h"

/* A gateway's parts with one remote module, and that one's side. */
typedef struct stage {
    char *folder;
    char control_path[WR_ADDRESS_MAX + 1];
    char message_path[WR_ADDRESS_MAX + 1];
    wr_broker *broker;
    wr_loop *loop;
    wr_node *node; /* the proxy's */
    wr_proxy *proxy;
    wr_proxy_options options;

    wr_listener *listener;
    wr_sp_stream *control;
    wr_channel *channel;
} stage;

/* `options` are added to by what the stage has. */
static void stage_open(stage *s, const wr_proxy_options *options)
{
    wr_executor *quick = NULL;
    *s = (stage){.folder = NULL};
    weir_log_set_level(WEIR_LOG_ERROR);
    ASSERT_OK(wr_folder_create_private("weir-test", &s->folder, NULL));
    (void)snprintf(s->control_path, sizeof(s->control_path), "%s/control", s->folder);
    (void)snprintf(s->message_path, sizeof(s->message_path), "%s/messages", s->folder);
    s->options = *options;
    s->options.control_path = s->control_path;
    s->options.message_path = s->message_path;
    s->options.args = "null";
    s->options.timeout_ms = DEADLINE_MS;
    ASSERT_OK(wr_listener_open(s->control_path, &s->listener, NULL));
    ASSERT_OK(wr_broker_create(1, &s->broker));
    s->options.broker = s->broker;
    ASSERT_OK(wr_broker_quick(s->broker, &quick));
    ASSERT_OK(wr_loop_create(&s->loop));
    ASSERT_OK(wr_node_create("remote", quick, false, &s->node));
    ASSERT_OK(wr_proxy_create(s->node, s->loop, &s->options, &s->proxy));
    wr_proxy_start(s->proxy);
    wr_node_start(s->node);
}

static wr_stream *accept_one(wr_listener *listener)
{
    wr_stream *stream = NULL;
    wait_ready(wr_listener_waitable(listener), WR_POLL_READ);
    ASSERT_OK(wr_listener_accept(listener, &stream));
    return stream;
}

static wr_control_message expect_control(const stage *s, wr_control_type type)
{
    wr_sp_frame frame = {0};
    wr_control_message message;
    ASSERT_OK(control_receive(s->control, &frame));
    ASSERT_OK(wr_control_decode(frame.data, frame.size, &message, NULL));
    assert_int_equal(message.type, type);
    return message;
}

/* As a remote module, up to start. */
static void remote_begin(stage *s, uint32_t features)
{
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX};
    wr_listener *messages = NULL;
    wr_control_message reply = {.type = WR_CONTROL_REPLY, .status = WR_REPLY_CREATED};
    reply.extension.present = features != 0;
    reply.extension.features = features;
    ASSERT_OK(wr_sp_create(accept_one(s->listener), &options, &s->control));
    (void)expect_control(s, WR_CONTROL_CREATE);
    ASSERT_OK(wr_listener_open(s->message_path, &messages, NULL));
    control_say(s->control, &reply);
    ASSERT_OK(wr_channel_create(accept_one(messages), WR_MESSAGE_LIMIT_DEFAULT, &s->channel));
    wr_listener_close(messages);
    wait_greeting(s->channel);
    (void)expect_control(s, WR_CONTROL_START);
}

static uint64_t far_away(void)
{
    return wr_clock_ns() + DEADLINE_MS * WR_NS_PER_MS;
}

static void begin_stop(stage *s, uint64_t patience_ms)
{
    uint64_t dropped = 0;
    ASSERT_OK(wr_broker_close(s->broker, s->node, far_away(), &dropped));
    wr_proxy_stop(s->proxy, wr_clock_ns() + patience_ms * WR_NS_PER_MS);
    wr_proxy_wait_let_go(s->proxy);
}

static void stop(stage *s, uint64_t patience_ms)
{
    begin_stop(s, patience_ms);
    wr_proxy_join(s->proxy);
}

/* After stop. */
static void stage_close(stage *s)
{
    wr_broker_destroy(s->broker, false);
    wr_node_unref(s->node);
    wr_loop_destroy(s->loop);
    wr_channel_destroy(s->channel);
    wr_sp_destroy(s->control);
    wr_listener_close(s->listener);
    wr_file_remove(s->folder);
    assert_false(wr_file_exists(s->folder));
    free(s->folder);
}

/* What the module publishes goes to a sink that, as if it were the module, publishes as much again
 * while the proxy reads: so there is always a whole batch more in the socket. */
typedef struct spring {
    wr_mutex lock; /* guards all that follows, and the remote's side of the stage */
    wr_cond changed;
    stage *stage;
    uint64_t count;
    weir_err err; /* of writing; then nothing more is written */
} spring;

#define SPRING_FIRST 128u /* twice what the proxy reads at once */
#define SPRING_MAX 100000u

/* The first thing that it does is to cut off the control channel. */
static size_t flow(void *self, weir_message **msgs, size_t count)
{
    spring *from = self;
    wr_mutex_lock(&from->lock);
    wr_sp_destroy(from->stage->control);
    from->stage->control = NULL;
    for (size_t i = 0; i < count && from->err == WEIR_OK; i++) {
        from->err = from->count++ < SPRING_MAX ? wr_channel_send(from->stage->channel, msgs[i])
                                               : WEIR_ERR_FULL;
    }
    if (from->err == WEIR_OK) {
        from->err = wr_channel_flush(from->stage->channel);
    }
    wr_cond_signal(&from->changed);
    wr_mutex_unlock(&from->lock);
    return count;
}

/* The publisher's thread, which is the loop's, calls `flow` at once. */
static bool never_wait(void *self)
{
    (void)self;
    return false;
}

static const wr_consumer spring_consumer = {.consume = flow, .gather = never_wait};

static void spring_begin(spring *from, stage *s, wr_node **out)
{
    *from = (spring){.stage = s};
    wr_mutex_init(&from->lock);
    wr_cond_init(&from->changed);
    ASSERT_OK(wr_node_create("spring", wr_broker_pool(s->broker), false, out));
    ASSERT_OK(wr_node_set_consumer(*out, &spring_consumer, from));
    ASSERT_OK(wr_broker_link(s->broker, s->node, *out,
                             (wr_queue_config){SPRING_MAX, WR_WHEN_FULL_BLOCK}));
    wr_node_start(*out);
    remote_begin(s, 0);
}

/* All at once: each batch is full from the first on. */
static void spring_open(spring *from)
{
    weir_message *msg = NULL;
    ASSERT_OK(weir_message_new(NULL, 0, NULL, 0, &msg));
    wr_mutex_lock(&from->lock);
    for (unsigned i = 0; i < SPRING_FIRST; i++) {
        ASSERT_OK(wr_channel_send(from->stage->channel, msg));
    }
    ASSERT_OK(wr_channel_flush(from->stage->channel));
    wr_mutex_unlock(&from->lock);
    weir_message_unref(msg);
}

static weir_err spring_wait_end(spring *from)
{
    uint64_t deadline_ns = far_away();
    wr_mutex_lock(&from->lock);
    while (from->err == WEIR_OK && wr_cond_wait_until(&from->changed, &from->lock, deadline_ns)) {
    }
    weir_err err = from->err;
    wr_mutex_unlock(&from->lock);
    return err;
}

static void what_a_lost_module_goes_on_writing_is_not_read(void **state)
{
    (void)state;
    stage s;
    spring from;
    wr_node *sink = NULL;
    uint64_t dropped = 0;
    stage_open(&s, &(wr_proxy_options){.heartbeat = {.interval_ms = 0}});
    spring_begin(&from, &s, &sink);
    spring_open(&from);
    assert_int_equal(spring_wait_end(&from), WEIR_ERR_CLOSED);
    stop(&s, 0);
    ASSERT_OK(wr_broker_close(s.broker, sink, far_away(), &dropped));
    wr_node_unref(sink);
    stage_close(&s);
    wr_cond_deinit(&from.changed);
    wr_mutex_deinit(&from.lock);
}

/* It does not answer its second heartbeat. When the next one is due it is over the timeout, but the
 * stop came first; it does not let go, so that only the deadline ends that, later. */
static void module_that_is_stopped_is_not_found_to_hang(void **state)
{
    (void)state;
    const wr_proxy_options options = {.heartbeat = {.interval_ms = 2000, .timeout_ms = 4000}};
    stage s;
    stage_open(&s, &options);
    remote_begin(&s, WR_FEATURE_HEARTBEAT);
    wr_control_message first = expect_control(&s, WR_CONTROL_HEARTBEAT);
    control_say(s.control,
                &(wr_control_message){.type = WR_CONTROL_HEARTBEAT_REPLY, .count = first.count});
    (void)expect_control(&s, WR_CONTROL_HEARTBEAT);
    stop(&s, options.heartbeat.interval_ms + 500);
    assert_int_equal(wr_proxy_hangs(s.proxy), 0);
    stage_close(&s);
}

/* Is it so? Asked on the loop, again and again. */
typedef struct question {
    wr_proxy *proxy;
    bool (*is_so)(const wr_proxy *proxy);
    bool answer;
} question;

static void ask(void *arg)
{
    question *q = arg;
    q->answer = q->is_so(q->proxy);
}

static bool is_so(const stage *s, bool (*what)(const wr_proxy *proxy))
{
    question q = {.proxy = s->proxy, .is_so = what};
    wr_loop_call(s->loop, ask, &q);
    return q.answer;
}

static void wait_until(const stage *s, bool (*what)(const wr_proxy *proxy))
{
    uint64_t deadline_ns = far_away();
    while (!is_so(s, what)) {
        assert_true(wr_clock_ns() < deadline_ns);
    }
}

static void open_source(const stage *s, wr_node **out)
{
    ASSERT_OK(wr_node_create("source", wr_broker_pool(s->broker), false, out));
    ASSERT_OK(
        wr_broker_link(s->broker, *out, s->node, (wr_queue_config){1000, WR_WHEN_FULL_BLOCK}));
}

static void close_source(const stage *s, wr_node *source)
{
    uint64_t dropped = 0;
    ASSERT_OK(wr_broker_close(s->broker, source, far_away(), &dropped));
    wr_node_unref(source);
}

/* From there to the remote module. */
static void pass_one(const stage *s, wr_node *source)
{
    weir_message *msg = NULL;
    ASSERT_OK(weir_message_new(NULL, 0, NULL, 0, &msg));
    ASSERT_OK(wr_node_publish(source, msg, WR_PUBLISH_OVER));
    weir_message_unref(msg);
    ASSERT_OK(channel_receive(s->channel, &msg));
    weir_message_unref(msg);
}

static void acknowledge(const stage *s, uint64_t count)
{
    control_say(s->control, &(wr_control_message){.type = WR_CONTROL_ACKNOWLEDGE, .count = count});
}

static bool one_is_acknowledged(const wr_proxy *proxy)
{
    return proxy->acknowledged == 1;
}

static bool channel_is_gone(const wr_proxy *proxy)
{
    return proxy->channel == NULL;
}

static bool is_stopping(const wr_proxy *proxy)
{
    return wr_proxy_get_state(proxy) == WR_PROXY_STOPPING;
}

static bool channel_is_there(const wr_proxy *proxy)
{
    return proxy->channel != NULL;
}

static void remote_vanish(stage *s)
{
    wr_channel_destroy(s->channel);
    wr_sp_destroy(s->control);
    s->channel = NULL;
    s->control = NULL;
}

/* With a message that is to be sent again, and a socket that has room for it all the time. */
static void stop_waits_for_a_greeting_and_leaves_the_processor_alone(void **state)
{
    (void)state;
    enum { PATIENCE_MS = 400 };
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX};
    stage s;
    wr_node *source = NULL;
    wr_listener *messages = NULL;
    wr_control_message reply = {.type = WR_CONTROL_REPLY, .status = WR_REPLY_CREATED};
    reply.extension.present = true;
    reply.extension.features = WR_FEATURE_ACKNOWLEDGE;
    stage_open(&s, &(wr_proxy_options){.heartbeat = {.interval_ms = 0}});
    remote_begin(&s, WR_FEATURE_ACKNOWLEDGE);
    open_source(&s, &source);
    pass_one(&s, source);
    remote_vanish(&s);
    ASSERT_OK(wr_sp_create(accept_one(s.listener), &options, &s.control));
    (void)expect_control(&s, WR_CONTROL_CREATE);
    ASSERT_OK(wr_listener_open(s.message_path, &messages, NULL));
    control_say(s.control, &reply);
    wr_stream *silent = accept_one(messages);
    wait_until(&s, channel_is_there);
    clock_t begun = clock();
    begin_stop(&s, PATIENCE_MS);
    double used_ms = (double)(clock() - begun) * 1000 / CLOCKS_PER_SEC;
    assert_true(used_ms < PATIENCE_MS / 2.0);
    wr_proxy_join(s.proxy);
    wr_stream_close(silent);
    wr_listener_close(messages);
    close_source(&s, source);
    stage_close(&s);
}

/* The report that is being written, as long as the test likes. */
static wr_crash_report written;

__attribute__((used)) bool __wrap_wr_crash_report_start(wr_loop *loop,
                                                        const wr_crash_report *report);

bool __wrap_wr_crash_report_start(wr_loop *loop, const wr_crash_report *report)
{
    (void)loop;
    written = *report;
    return true;
}

static void on_written(void *arg)
{
    (void)arg;
    written.on_done(written.arg, "folder");
}

/* Had the gateway launched the process: it ended with status 3, two times. */
static void die_twice(void *arg)
{
    const wr_process_exit result = {.value = 3};
    const wr_proxy_end end = {.exit = &result};
    wr_proxy_look_for_poison(arg, &end);
    wr_proxy_look_for_poison(arg, &end);
}

/* The second message is being set aside. */
static void begin_to_set_aside(stage *s, wr_node **source)
{
    static const wr_crash_settings crash = {.reports_max = 1};
    const wr_proxy_options options = {.crash = &crash, .restart = {.poison_deaths = 2}};
    written = (wr_crash_report){.on_done = NULL};
    stage_open(s, &options);
    open_source(s, source);
    remote_begin(s, WR_FEATURE_ACKNOWLEDGE);
    pass_one(s, *source);
    pass_one(s, *source);
    acknowledge(s, 1);
    wait_until(s, one_is_acknowledged);
    wr_channel_destroy(s->channel);
    wr_sp_destroy(s->control);
    s->channel = NULL;
    s->control = NULL;
    wait_until(s, channel_is_gone);
    wr_loop_call(s->loop, die_twice, s->proxy);
    assert_non_null(written.on_done);
}

/* Its writer would come back to a proxy that is freed. */
static void stop_waits_until_a_message_is_set_aside(void **state)
{
    (void)state;
    stage s;
    wr_node *source = NULL;
    begin_to_set_aside(&s, &source);
    close_source(&s, source);
    begin_stop(&s, DEADLINE_MS);
    assert_true(is_so(&s, is_stopping));
    wr_loop_call(s.loop, on_written, NULL);
    wr_proxy_join(s.proxy);
    assert_int_equal(s.proxy->window.end, 1); /* it was given up */
    stage_close(&s);
}

/* It would be told of numbers that are about to change. */
static void nobody_is_asked_to_create_until_a_message_is_set_aside(void **state)
{
    (void)state;
    const wr_sp_options options = {.frame_limit = WR_CONTROL_SIZE_MAX};
    stage s;
    wr_sp_frame frame;
    wr_node *source = NULL;
    begin_to_set_aside(&s, &source);
    ASSERT_OK(wr_sp_create(accept_one(s.listener), &options, &s.control));
    assert_int_equal(control_receive(s.control, &frame), WEIR_ERR_CLOSED);
    wr_sp_destroy(s.control);
    wr_loop_call(s.loop, on_written, NULL);
    remote_begin(&s, WR_FEATURE_ACKNOWLEDGE);
    close_source(&s, source);
    stop(&s, 0);
    stage_close(&s);
}

#define BURST 200u

static bool has_many_runs(const wr_proxy *proxy)
{
    return proxy->origins.capacity >= BURST;
}

static bool lull_runs(const wr_proxy *proxy)
{
    return proxy->lull.runs;
}

static bool has_few_runs(const wr_proxy *proxy)
{
    return proxy->origins.capacity < BURST / 4;
}

static void end_lull(void *arg)
{
    const wr_proxy *proxy = arg;
    wr_timer_set(proxy->lull_timer, 0);
}

static void what_sources_in_turn_needed_is_given_back(void **state)
{
    (void)state;
    stage s;
    wr_node *sources[2] = {NULL, NULL};
    stage_open(&s, &(wr_proxy_options){.timeout_ms = 0});
    open_source(&s, &sources[0]);
    open_source(&s, &sources[1]);
    remote_begin(&s, WR_FEATURE_ACKNOWLEDGE);
    for (unsigned i = 0; i < BURST; i++) {
        pass_one(&s, sources[i % 2]);
    }
    assert_true(is_so(&s, has_many_runs));
    acknowledge(&s, BURST);
    wait_until(&s, lull_runs);
    wr_loop_call(s.loop, end_lull, s.proxy);
    wait_until(&s, has_few_runs);
    close_source(&s, sources[0]);
    close_source(&s, sources[1]);
    stop(&s, 0);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_lost_module_goes_on_writing_is_not_read),
        cmocka_unit_test(module_that_is_stopped_is_not_found_to_hang),
        cmocka_unit_test(stop_waits_for_a_greeting_and_leaves_the_processor_alone),
        cmocka_unit_test(stop_waits_until_a_message_is_set_aside),
        cmocka_unit_test(nobody_is_asked_to_create_until_a_message_is_set_aside),
        cmocka_unit_test(what_sources_in_turn_needed_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
