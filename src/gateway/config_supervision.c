/* SPDX-License-Identifier: MIT
 *
 * How a module in another process is looked after: its "restart" and its "heartbeat".
 */
#include "base/text.h"
#include "gateway/config_reader.h"
#include "proxy/poison.h"

#define TIME_MAX_MS 3600000u

enum { RESTART_POLICY, RESTART_BACKOFF, RESTART_BURST, RESTART_WINDOW, RESTART_POISON };
enum { HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, HEARTBEAT_START };

typedef struct restart_draft {
    wr_restart_config config;
    unsigned policy; /* as wr_restart_when */
} restart_draft;

static const char *const policy_words[] = {[WR_RESTART_ON_FAILURE] = "on-failure",
                                           [WR_RESTART_ALWAYS] = "always",
                                           [WR_RESTART_NEVER] = "never",
                                           NULL};

static const wr_option delay_option = {.kind = WR_OPTION_NUMBER, .min = 1, .max = TIME_MAX_MS};

/* One of the two entries of "backoff.ms"; false: it is wrong, which was reported. */
static bool read_delay(wr_config_reader *reader, const wr_json_value *value, uint32_t *out)
{
    if (!wr_config_check(reader, &delay_option, value)) {
        return false;
    }
    *out = (uint32_t)json_integer_value(value->json);
    return true;
}

static void take_backoff(wr_config_reader *reader, const wr_option *option,
                         const wr_json_value *value, void *target)
{
    (void)option;
    restart_draft *draft = target;
    uint32_t delays[2] = {0, 0};
    size_t count = 0;
    wr_json_value entry;
    for (bool more = wr_json_first(&reader->json, value, &entry); more;
         more = wr_json_next(&reader->json, &entry)) {
        if (count < 2 && !read_delay(reader, &entry, &delays[count])) {
            return;
        }
        count++;
    }
    if (count != 2) {
        wr_config_problem(reader, value,
                          "has %zu %s (expected two: the first delay and the "
                          "longest, in milliseconds)",
                          count, wr_text_plural(count, "entry", "entries"));
    } else if (delays[0] > delays[1]) {
        wr_config_problem(reader, value, "the first delay, %u, is over the longest, %u", delays[0],
                          delays[1]);
    } else {
        draft->config.backoff_min_ms = delays[0];
        draft->config.backoff_max_ms = delays[1];
    }
}

static const wr_option restart_options[] = {
    [RESTART_POLICY] = {.key = "policy",
                        .summary = "when to start the process again",
                        .kind = WR_OPTION_TEXT,
                        .words = policy_words,
                        .offset = offsetof(restart_draft, policy),
                        .take = wr_take_word},
    [RESTART_BACKOFF] = {.key = "backoff.ms",
                         .summary = "the first delay and the longest",
                         .kind = WR_OPTION_ARRAY,
                         .max = 2,
                         .take = take_backoff},
    [RESTART_BURST] = {.key = "burst",
                       .summary = "restarts within the window",
                       .kind = WR_OPTION_NUMBER,
                       .max = WR_RESTART_BURST_MAX,
                       .offset = offsetof(restart_draft, config.burst),
                       .take = wr_take_u32},
    [RESTART_WINDOW] = {.key = "window.ms",
                        .summary = "the time in which restarts are counted",
                        .kind = WR_OPTION_NUMBER,
                        .max = 24 * TIME_MAX_MS,
                        .offset = offsetof(restart_draft, config.window_ms),
                        .take = wr_take_u32},
    [RESTART_POISON] = {.key = "poison.deaths",
                        .summary = "deaths of one message before it is set aside",
                        .kind = WR_OPTION_NUMBER,
                        .max = WR_POISON_DEATHS_MAX,
                        .offset = offsetof(restart_draft, config.poison_deaths),
                        .take = wr_take_u32},
};

static const wr_option heartbeat_options[] = {
    [HEARTBEAT_INTERVAL] = {.key = "interval.ms",
                            .summary = "how often the module is asked for a sign of life",
                            .kind = WR_OPTION_NUMBER,
                            .max = TIME_MAX_MS,
                            .offset = offsetof(wr_heartbeat_config, interval_ms),
                            .take = wr_take_u32},
    [HEARTBEAT_TIMEOUT] = {.key = "timeout.ms",
                           .summary = "after how long without one it counts as hung",
                           .kind = WR_OPTION_NUMBER,
                           .min = 1,
                           .max = TIME_MAX_MS,
                           .offset = offsetof(wr_heartbeat_config, timeout_ms),
                           .take = wr_take_u32},
    [HEARTBEAT_START] = {.key = "start.timeout.ms",
                         .summary = "how long the module may take until it is started",
                         .kind = WR_OPTION_NUMBER,
                         .max = TIME_MAX_MS,
                         .offset = offsetof(wr_heartbeat_config, start_timeout_ms),
                         .take = wr_take_u32},
};

const wr_option_table wr_restart_options = WR_OPTION_TABLE("Restart", restart_options);
const wr_option_table wr_heartbeat_options = WR_OPTION_TABLE("Heartbeat", heartbeat_options);

void wr_config_take_restart(wr_config_reader *reader, const wr_option *option,
                            const wr_json_value *value, void *target)
{
    wr_json_value found[WR_OPTIONS_MAX];
    wr_restart_config *restart = (wr_restart_config *)(void *)((char *)target + option->offset);
    restart_draft draft = {.config = *restart};
    if (wr_config_take_object(reader, value, &wr_restart_options, found, &draft)) {
        draft.config.when = (wr_restart_when)draft.policy;
        *restart = draft.config;
    }
}

void wr_config_take_heartbeat(wr_config_reader *reader, const wr_option *option,
                              const wr_json_value *value, void *target)
{
    wr_json_value found[WR_OPTIONS_MAX];
    wr_heartbeat_config *heartbeat =
        (wr_heartbeat_config *)(void *)((char *)target + option->offset);
    if (!wr_config_take_object(reader, value, &wr_heartbeat_options, found, heartbeat)) {
        return;
    }
    heartbeat->timeout_said = found[HEARTBEAT_TIMEOUT].json != NULL;
    if (heartbeat->timeout_ms <= heartbeat->interval_ms) {
        wr_config_problem(reader, value,
                          "\"timeout.ms\", %u, must be longer than \"interval.ms\", %u",
                          heartbeat->timeout_ms, heartbeat->interval_ms);
    }
}
