/* SPDX-License-Identifier: MIT
 *
 * The life of a launched process, as the proxy sees it: started, given up when it hangs or cannot
 * make its module, started again after its end by the policy of restart.h. All on the loop.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "proxy/proxy_internal.h"

#define HOW_SIZE 1024
/* What hangs will hardly answer to SIGTERM. */
#define HUNG_GRACE_MAX_MS 1000u

/* How the process ended, or why there is none. */
typedef struct ending {
    bool failure;
    char how[HOW_SIZE];
} ending;

static void log_restart(wr_proxy *proxy, const ending *end, uint32_t delay_ms)
{
    const wr_restart_config *config = proxy->restart.config;
    if (config->window_ms == 0) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR, "%s; it is started again in %u ms", end->how,
               delay_ms);
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_ERROR,
           "%s; it is started again in %u ms (%zu of at most %u %s within %u ms)", end->how,
           delay_ms, wr_restart_count(&proxy->restart), config->burst,
           wr_text_plural(config->burst, "time", "times"), config->window_ms);
}

static void log_failed(wr_proxy *proxy, const ending *end)
{
    const wr_restart_config *config = proxy->restart.config;
    const char *when = proxy->setting_aside
                           ? "when the message that it dies of is set aside, or when told to"
                           : "only when told to";
    if (config->when == WR_RESTART_NEVER) {
        wr_log(proxy->node->name, WEIR_LOG_ERROR,
               "%s; it is not started again (its restart policy is \"never\")", end->how);
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_ERROR,
           "%s, once more after %u %s within %u ms: the module has failed, and is started again %s",
           end->how, config->burst, wr_text_plural(config->burst, "restart", "restarts"),
           config->window_ms, when);
}

/* Nobody is started any more. Who comes by itself shows in the control id's folder; who has come
 * already, while the process was served or ended, does not: it is asked for, for a while. */
static void rest(wr_proxy *proxy)
{
    wr_proxy_watch_folder(proxy);
    proxy->retry_ms = 1;
    wr_proxy_retry_later(proxy);
}

static uint64_t served_ns(const wr_proxy *proxy, uint64_t now)
{
    return proxy->running_since_ns == 0 ? 0 : now - proxy->running_since_ns;
}

/* What comes after the end of a process that nobody asked to end for good. The state changes before
 * the log says so: who reads that may send an order at once. */
static void decide(wr_proxy *proxy, const ending *end)
{
    wr_restart_end facts = {.now_ns = wr_clock_ns(), .failure = end->failure};
    uint32_t delay_ms = 0;
    facts.served_ns = served_ns(proxy, facts.now_ns);
    wr_random_fill(&facts.random, sizeof(facts.random));
    switch (wr_restart_decide(&proxy->restart, &facts, &delay_ms)) {
    case WR_RESTART_AGAIN:
        wr_proxy_pass(proxy, WR_PROXY_EVENT_DIED);
        wr_timer_set(proxy->timer, delay_ms);
        log_restart(proxy, end, delay_ms);
        break;
    case WR_RESTART_DONE:
        wr_proxy_pass(proxy, WR_PROXY_EVENT_DONE);
        rest(proxy);
        wr_log(proxy->node->name, WEIR_LOG_INFO, "%s; it is not started again", end->how);
        break;
    case WR_RESTART_FAILED:
        wr_proxy_pass(proxy, WR_PROXY_EVENT_DIED_TOO_OFTEN);
        rest(proxy);
        log_failed(proxy, end);
        break;
    }
}

static void learn_from(wr_proxy *proxy, const wr_process_exit *result)
{
    const wr_proxy_end end = {
        .exit = result,
        .reason = proxy->gave_up,
        .hung_ms = proxy->hung_ms,
        .lines = wr_supervisor_lines(proxy->supervisor),
    };
    wr_proxy_report_crash(proxy, &end);
    wr_proxy_look_for_poison(proxy, &end);
}

/* Did it die, or would it have? One that could not make its module, and then ended as it was asked
 * to, has said why; its reports would only push out those of crashes. */
static bool is_crash(const wr_proxy *proxy, const wr_process_exit *result)
{
    return result->by_signal || result->value != 0 || proxy->hung_ms != 0;
}

static void forget_process(wr_proxy *proxy)
{
    wr_stack_dump_destroy(proxy->stack_dump);
    proxy->stack_dump = NULL;
    wr_supervisor_destroy(proxy->supervisor);
    proxy->supervisor = NULL;
    wr_proxy_end_starting(proxy);
    atomic_store(&proxy->pid, 0);
}

static void on_exit_of_process(void *arg, const wr_process_exit *result)
{
    wr_proxy *proxy = arg;
    char text[64];
    wr_process_exit_text(result, text, sizeof(text));
    while (proxy->control != NULL) {
        /* What it sent before its end; once more, where that was that its module failed. */
        wr_proxy_lose(proxy, NULL);
    }
    ending end = {.failure = is_crash(proxy, result) || proxy->gave_up != NULL};
    (void)snprintf(end.how, sizeof(end.how), "process %lld ended: %s",
                   (long long)wr_supervisor_pid(proxy->supervisor), text);
    bool ordered = proxy->restart_ordered;
    proxy->restart_ordered = false;
    bool stopping = wr_proxy_get_state(proxy) == WR_PROXY_STOPPING;
    if (is_crash(proxy, result) && !ordered && !stopping) {
        learn_from(proxy, result);
    }
    forget_process(proxy);
    if (stopping) {
        wr_log(proxy->node->name, WEIR_LOG_INFO, "%s", end.how);
        wr_proxy_continue_stop(proxy);
    } else if (ordered) {
        wr_log(proxy->node->name, WEIR_LOG_INFO, "%s", end.how);
        wr_proxy_launch(proxy);
    } else {
        decide(proxy, &end);
    }
}

void wr_proxy_launch(wr_proxy *proxy)
{
    wr_error error = {.code = WEIR_OK};
    const wr_launch *how = proxy->options.launch;
    proxy->gave_up = NULL;
    proxy->hung_ms = 0;
    proxy->end_asked = false;
    proxy->running_since_ns = 0;
    wr_proxy_pass(proxy, WR_PROXY_EVENT_LAUNCHED);
    wr_proxy_keep_folder(proxy);
    if (wr_supervisor_launch(proxy->loop, proxy->node->name, how, on_exit_of_process, proxy,
                             &proxy->supervisor, &error) != WEIR_OK) {
        ending end = {.failure = true};
        (void)snprintf(end.how, sizeof(end.how), "cannot launch '%s': %s", how->process.path,
                       wr_error_text(&error));
        decide(proxy, &end);
        return;
    }
    atomic_store(&proxy->pid, wr_supervisor_pid(proxy->supervisor));
    wr_log(proxy->node->name, WEIR_LOG_INFO, "launched '%s' as process %lld", how->process.path,
           (long long)wr_proxy_pid(proxy));
    proxy->retry_ms = 1;
    wr_proxy_begin_starting(proxy);
    wr_proxy_try_connect(proxy);
}

void wr_proxy_launch_again(wr_proxy *proxy)
{
    atomic_fetch_add(&proxy->restarts, 1);
    proxy->sharing_failed = false; /* what is new may manage */
    wr_proxy_launch(proxy);
}

bool wr_proxy_may_launch_again(const wr_proxy *proxy)
{
    return wr_proxy_get_state(proxy) == WR_PROXY_FAILED && proxy->control == NULL &&
           proxy->restart.config->when != WR_RESTART_NEVER;
}

static void end_process(wr_proxy *proxy, bool asked, uint32_t grace_ms)
{
    wr_stack_dump_destroy(proxy->stack_dump); /* under a debugger it would not end */
    proxy->stack_dump = NULL;
    if (!proxy->end_asked) {
        proxy->end_asked = true;
        wr_supervisor_end(proxy->supervisor, asked, grace_ms);
    }
}

void wr_proxy_end_process(wr_proxy *proxy, bool asked)
{
    end_process(proxy, asked, proxy->options.launch->grace_period_ms);
}

static void begin_ending(wr_proxy *proxy)
{
    wr_proxy_pass(proxy, WR_PROXY_EVENT_GIVEN_UP);
    wr_proxy_end_starting(proxy);
    wr_proxy_end_heartbeat(proxy);
    wr_timer_clear(proxy->timer);
}

void wr_proxy_give_up(wr_proxy *proxy, const char *why)
{
    proxy->gave_up = why;
    begin_ending(proxy);
    wr_proxy_end_process(proxy, false);
}

static void end_hung(wr_proxy *proxy)
{
    uint32_t grace_ms = proxy->options.launch->grace_period_ms;
    end_process(proxy, false, grace_ms > HUNG_GRACE_MAX_MS ? HUNG_GRACE_MAX_MS : grace_ms);
}

static void on_stack_line(void *arg, const char *line)
{
    wr_proxy *proxy = arg;
    wr_supervisor_log(proxy->supervisor, line);
}

static void on_stack_done(void *arg)
{
    end_hung(arg);
}

static const wr_stack_dump_fns stack_dump_fns = {on_stack_line, on_stack_done};

void wr_proxy_give_up_hung(wr_proxy *proxy, uint64_t silent_ms)
{
    proxy->gave_up = "it hung";
    proxy->hung_ms = silent_ms;
    begin_ending(proxy);
    weir_err err = wr_stack_dump_start(proxy->loop, wr_proxy_pid(proxy), WR_STACK_DUMP_DEFAULT_MS,
                                       &stack_dump_fns, proxy, &proxy->stack_dump);
    if (err != WEIR_OK) {
        wr_log(proxy->node->name, WEIR_LOG_WARN, "its stacks cannot be shown: %s",
               weir_err_text(err));
        end_hung(proxy);
    }
}

/* A process that is there ends first, as in an orderly stop. */
static void replace_process(wr_proxy *proxy)
{
    proxy->restart_ordered = true;
    if (wr_proxy_get_state(proxy) == WR_PROXY_ENDING) {
        return; /* on its way */
    }
    begin_ending(proxy);
    bool asked = proxy->control != NULL &&
                 wr_proxy_send_control(proxy, &(wr_control_message){.type = WR_CONTROL_DESTROY});
    wr_proxy_end_process(proxy, asked);
}

void wr_proxy_on_restart_task(wr_task *task)
{
    wr_proxy *proxy = WR_PROXY_OF(task, restart_task);
    wr_proxy_state state = wr_proxy_get_state(proxy);
    bool replace = atomic_exchange(&proxy->replace, false);
    bool cared_for = proxy->supervisor != NULL || state == WR_PROXY_BACKING_OFF;
    if (state == WR_PROXY_STOPPING || state == WR_PROXY_STOPPED || (cared_for && !replace)) {
        return;
    }
    if (proxy->supervisor == NULL && proxy->control != NULL) {
        wr_log(proxy->node->name, WEIR_LOG_WARN,
               "is not restarted: a process that this gateway did not start has its control id");
        return;
    }
    wr_log(proxy->node->name, WEIR_LOG_INFO, "is restarted by order");
    wr_restart_forgive(&proxy->restart);
    atomic_fetch_add(&proxy->restarts, 1);
    if (proxy->supervisor != NULL) {
        replace_process(proxy);
    } else {
        wr_proxy_launch(proxy);
    }
}

bool wr_proxy_revive(wr_proxy *proxy)
{
    if (proxy->options.launch == NULL) {
        return false;
    }
    wr_loop_post(proxy->loop, &proxy->restart_task);
    return true;
}

bool wr_proxy_restart(wr_proxy *proxy)
{
    atomic_store(&proxy->replace, true);
    return wr_proxy_revive(proxy);
}
