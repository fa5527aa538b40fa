/* SPDX-License-Identifier: MIT
 *
 * The run (contract in play.h). Messages have numbers; the module "out" hears of each that arrives.
 */
#define _POSIX_C_SOURCE 200809L
#include "play.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failing.h"
#include "port.h"
#include "weir/gateway.h"
#include "weir/remote.h"

#define MESSAGES 12u
#define SMALL_SIZE 20u
#define LARGE_SIZE 40000u /* sent from where it lies */
#define LOOK_NS 1000000

static weir_host *_Atomic in;
static _Atomic bool arrived[MESSAGES];
static _Atomic uint64_t highest; /* one more than the highest number that arrived */
static _Atomic bool out_of_order;

/* ---- what the module library calls ------------------------------------------------------------
 */

bool port_opened(const char *args, weir_host *host)
{
    if (strcmp(args, "\"in\"") == 0) {
        atomic_store(&in, host);
    }
    return strcmp(args, "\"out\"") == 0;
}

void port_received(const weir_message *msg)
{
    size_t size;
    uint64_t number = MESSAGES;
    const void *content = weir_message_content(msg, &size);
    if (size >= sizeof(number)) {
        memcpy(&number, content, sizeof(number));
    }
    if (number >= MESSAGES) {
        atomic_store(&out_of_order, true);
        return;
    }
    bool again = atomic_exchange(&arrived[number], true);
    if (!again && number < atomic_load(&highest)) {
        atomic_store(&out_of_order, true);
    }
    if (number >= atomic_load(&highest)) {
        atomic_store(&highest, number + 1);
    }
}

/* ---- what is said -----------------------------------------------------------------------------
 */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_line(play_result *result, weir_log_level level, const char *who, const char *text)
{
    pthread_mutex_lock(&log_lock);
    size_t left = sizeof(result->log) - result->log_size;
    int length = snprintf(result->log + result->log_size, left, "%s [%s] %s\n",
                          weir_log_level_name(level), who == NULL ? "" : who, text);
    if (length > 0 && (size_t)length < left) {
        result->log_size += (size_t)length;
    }
    if (level <= WEIR_LOG_WARN) {
        result->problems++;
    }
    pthread_mutex_unlock(&log_lock);
}

static void on_log(void *user, weir_log_level level, const char *who, const char *text)
{
    note_line(user, level, who, text);
}

static void on_problem(void *user, const char *text)
{
    note_line(user, WEIR_LOG_ERROR, "configuration", text);
}

static void wrong(play_result *result, const char *what)
{
    if (result->end != PLAY_WRONG) {
        result->end = PLAY_WRONG;
        (void)snprintf(result->text, sizeof(result->text), "%s", what);
    }
}

/* True: it went well. A failure is to be told to somebody. */
static bool went_well(play_result *result, weir_err err, const char *what)
{
    if (err == WEIR_OK) {
        return true;
    }
    if (result->end == PLAY_DELIVERED) {
        result->end = PLAY_REFUSED;
    }
    if (result->problems == 0) {
        wrong(result, what);
    }
    return false;
}

/* ---- the remote module ------------------------------------------------------------------------
 */

static weir_err echo_create(weir_host *host, const char *args, void **self)
{
    (void)args;
    *self = host;
    return WEIR_OK;
}

/* A message that cannot be published is given up by this module, and said so. */
static void echo_receive(void *self, weir_message *msg)
{
    weir_err err = weir_publish(self, msg);
    if (err != WEIR_OK) {
        uint64_t number;
        size_t size;
        memcpy(&number, weir_message_content(msg, &size), sizeof(number));
        weir_log(self, WEIR_LOG_ERROR, "message %" PRIu64 " is lost: %s", number,
                 weir_err_text(err));
        atomic_store(&arrived[number], true);
    }
}

static const weir_module_api echo = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "echo",
    .summary = "publishes what it receives",
    .create = echo_create,
    .receive = echo_receive,
};

static weir_remote *attach(play_result *result)
{
    weir_remote *remote = NULL;
    if (!went_well(result, weir_remote_attach(&echo, "control", &remote),
                   "attach failed without a word")) {
        return NULL;
    }
    weir_err err = weir_remote_start(remote);
    if (err != WEIR_OK) { /* the caller knows */
        result->problems++;
        (void)went_well(result, err, "");
        weir_remote_detach(remote);
        return NULL;
    }
    return remote;
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static weir_err make_message(uint64_t number, weir_message **out)
{
    static char content[LARGE_SIZE];
    const weir_property property = {"kind", "number"};
    const weir_property change = {"more", "yes"};
    weir_message *plain = NULL;
    memcpy(content, &number, sizeof(number));
    size_t size = number % 3 == 2 ? LARGE_SIZE : SMALL_SIZE;
    weir_err err = weir_message_new(&property, 1, content, size, &plain);
    if (err != WEIR_OK || number % 2 == 0) {
        *out = plain;
        return err;
    }
    err = weir_message_with(plain, &change, 1, out);
    weir_message_unref(plain);
    return err;
}

/* Returns whether it was accepted. Who publishes is told of a failure. */
static bool publish(uint64_t number, play_result *result)
{
    weir_message *msg = NULL;
    weir_err err = make_message(number, &msg);
    if (err == WEIR_OK) {
        err = weir_publish(atomic_load(&in), msg);
        weir_message_unref(msg);
    }
    if (err != WEIR_OK && err != WEIR_ERR_MEMORY) {
        wrong(result, weir_err_text(err));
    }
    return err == WEIR_OK;
}

typedef struct totals {
    bool exact;
    uint64_t dropped;
    bool failed; /* a module is in a state that it does not leave by itself */
} totals;

static void add_link(void *user, const weir_link_info *info)
{
    totals *all = user;
    uint64_t dropped = info->dropped_full + info->dropped_closed;
    all->exact = all->exact && info->accepted == info->delivered + dropped + info->queued;
    if (strcmp(info->sink, "other") != 0) { /* whose queue is short, and drops */
        all->dropped += dropped;
    }
}

static void add_module(void *user, const weir_module_info *info)
{
    totals *all = user;
    all->failed = all->failed || strcmp(info->state, "failed") == 0;
}

static totals look(weir_gateway *gateway)
{
    totals all = {.exact = true};
    weir_gateway_links(gateway, add_link, &all);
    weir_gateway_modules(gateway, add_module, &all);
    return all;
}

static bool all_arrived(const bool *accepted)
{
    for (uint64_t i = 0; i < MESSAGES; i++) {
        if (accepted[i] && !atomic_load(&arrived[i])) {
            return false;
        }
    }
    return true;
}

/* Until every accepted message arrived, or was dropped and counted, which the log says a moment
 * later (as the publisher was told of its own). Who waits here for ever is ended by the test's
 * alarm. */
static void await(weir_gateway *gateway, const bool *accepted, play_result *result)
{
    const struct timespec time = {0, LOOK_NS};
    uint64_t refused = 0;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        refused += !accepted[i];
    }
    while (!all_arrived(accepted)) {
        totals all = look(gateway);
        if ((all.failed || all.dropped > refused) && result->problems > 0) {
            (void)went_well(result, WEIR_ERR_MEMORY, "");
            return;
        }
        (void)nanosleep(&time, NULL);
    }
}

static void send_all(weir_gateway *gateway, play_result *result)
{
    bool accepted[MESSAGES];
    for (uint64_t i = 0; i < MESSAGES; i++) {
        accepted[i] = publish(i, result);
    }
    await(gateway, accepted, result);
    if (atomic_load(&out_of_order)) {
        wrong(result, "messages arrived out of order or damaged");
    }
    if (!look(gateway).exact) {
        wrong(result, "a link's counters do not add up");
    }
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* A module and links come, and go again if they came. Of links the caller is told by the error. */
static void change(weir_gateway *gateway, const char *modules, play_result *result)
{
    char json[PLAY_TEXT_SIZE];
    (void)snprintf(json, sizeof(json),
                   "{\"name\": \"more\", \"args\": \"more\", \"loader\": {\"entrypoint\": "
                   "{\"module.path\": \"%s/libport.so\"}}}",
                   modules);
    if (!went_well(result, weir_gateway_add_module(gateway, json), "add_module failed silently")) {
        return;
    }
    weir_err linked = weir_gateway_add_link(gateway, "{\"source\": \"in\", \"sink\": \"more\"}");
    if (linked == WEIR_OK && weir_gateway_remove_link(gateway, "in", "more") != WEIR_OK) {
        wrong(result, "a link cannot be removed");
    }
    if (weir_gateway_remove_module(gateway, "more") != WEIR_OK) {
        wrong(result, "a module cannot be removed");
    }
}

static void run(const play_plan *plan, const char *modules, play_result *result)
{
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.on_problem = on_problem;
    options.user = result;
    weir_gateway *gateway = NULL;
    if (!went_well(result, weir_gateway_create_from_file("gateway.json", &options, &gateway),
                   "create failed without a word")) {
        return;
    }
    if (went_well(result, weir_gateway_start(gateway), "start failed without a word")) {
        if (plan->changes) {
            change(gateway, modules, result);
        }
        send_all(gateway, result);
    }
    if (weir_gateway_stop(gateway) != WEIR_OK) {
        wrong(result, "the gateway did not stop");
    }
    weir_gateway_destroy(gateway);
}

static void write_config(const play_plan *plan, const char *modules, play_result *result)
{
    FILE *file = fopen("gateway.json", "w");
    if (file == NULL) {
        wrong(result, "cannot write gateway.json");
        return;
    }
    const char *rest = plan->config;
    for (const char *mark; (mark = strchr(rest, '@')) != NULL; rest = mark + 1) {
        (void)fprintf(file, "%.*s%s", (int)(mark - rest), rest, modules);
    }
    (void)fprintf(file, "%s", rest);
    (void)fclose(file);
}

void play(const play_plan *plan, const char *modules, play_result *result)
{
    weir_log_set_sink(on_log, result);
    write_config(plan, modules, result);
    weir_remote *remote = plan->remote ? attach(result) : NULL;
    if (!plan->remote || remote != NULL) {
        run(plan, modules, result);
    }
    weir_remote_detach(remote);
}
