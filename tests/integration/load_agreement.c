/* SPDX-License-Identifier: MIT
 *
 * The gateway's counters against the books of the modules (see load_stage.h).
 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "load_stage.h"

#define PATIENCE_S 60

const role cast[MODULES] = {
    {"s0", SOURCE}, {"s1", SOURCE},   {"s2", SOURCE}, {"p0", PASS}, {"p1", PASS}, {"h0", HOSTED},
    {"h1", HOSTED}, {"i0", ISOLATED}, {"k0", SINK},   {"k1", SINK}, {"k2", SINK},
};

bool is_remote(size_t module)
{
    return cast[module].kind == HOSTED || cast[module].kind == ISOLATED;
}

static size_t find_module(const char *name)
{
    for (size_t i = 0; i < MODULES; i++) {
        if (strcmp(cast[i].name, name) == 0) {
            return i;
        }
    }
    fail_msg("an unknown module %s", name);
    return 0;
}

void pause_a_moment(void)
{
    const struct timespec moment = {.tv_nsec = 500000};
    (void)nanosleep(&moment, NULL);
}

/* ---- what must hold at any moment ---- */

static void complain(stage *s, const char *text)
{
    if (!atomic_exchange(&s->failed, true)) {
        (void)fprintf(stderr, "at some moment: %s\n", text);
    }
}

static void check_link(void *user, const weir_link_info *info)
{
    if (info->accepted !=
            info->delivered + info->dropped_full + info->dropped_closed + info->queued ||
        info->queued > info->accepted) {
        complain(user, "a link's counters do not hold");
    }
}

static void ignore_module(void *user, const weir_module_info *info)
{
    (void)user;
    (void)info;
}

void *check_always(void *arg)
{
    stage *s = arg;
    weir_stats before = WEIR_STATS_INIT;
    while (!atomic_load(&s->finished)) {
        weir_stats now = WEIR_STATS_INIT;
        weir_gateway_stats(s->gateway, &now);
        if (now.accepted != now.delivered + now.dropped_full + now.dropped_closed + now.queued ||
            now.queued > now.accepted) {
            complain(s, "the totals do not hold");
        }
        if (now.accepted < before.accepted || now.delivered < before.delivered ||
            now.dropped_full < before.dropped_full || now.dropped_closed < before.dropped_closed ||
            now.redelivered < before.redelivered) {
            complain(s, "a total has become less");
        }
        before = now;
        weir_gateway_links(s->gateway, check_link, s);
        weir_gateway_modules(s->gateway, ignore_module, NULL);
        (void)sched_yield();
    }
    return NULL;
}

/* ---- what the gateway says ---- */

static void note_link(void *user, const weir_link_info *info)
{
    stage *s = user;
    s->now[find_module(info->source)][find_module(info->sink)] = *info;
}

void list_links(stage *s)
{
    memset(s->now, 0, sizeof(s->now));
    weir_gateway_links(s->gateway, note_link, s);
}

/* Delivered to modules in other processes, by links that exist. */
static uint64_t delivered_to_remotes(const stage *s)
{
    uint64_t sum = 0;
    for (size_t from = 0; from < MODULES; from++) {
        for (size_t to = 0; to < MODULES; to++) {
            sum += is_remote(to) ? s->now[from][to].delivered : 0;
        }
    }
    return sum;
}

static uint64_t received_here(const stage *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < MODULES; i++) {
        sum += s->now_received[i];
    }
    return sum;
}

/* ---- agreement ---- */

static const char *check_out(const stage *s, size_t from)
{
    for (size_t to = 0; to < MODULES; to++) {
        assert_int_equal(s->now[from][to].source != NULL, s->lines[from][to].exists);
    }
    if (is_remote(from)) {
        return NULL; /* its process may have been killed: nobody knows what it published */
    }
    uint64_t published = s->now_published[from] - s->published[from];
    for (size_t to = 0; to < MODULES; to++) {
        const line *it = &s->lines[from][to];
        if (it->exists && !s->out_changed[from] &&
            s->now[from][to].accepted - it->accepted != published) {
            return "a link has not accepted what its source has published";
        }
    }
    return NULL;
}

static const char *check_in(const stage *s, size_t to)
{
    uint64_t delivered = 0;
    for (size_t from = 0; from < MODULES; from++) {
        if (s->now[from][to].queued > 0) {
            return "a link is not empty";
        }
        delivered += s->now[from][to].delivered - s->lines[from][to].delivered;
    }
    if (is_remote(to) || s->in_changed[to]) {
        return NULL;
    }
    bool same = delivered == s->now_received[to] - s->received[to];
    return same ? NULL : "a module has not received what its links have delivered";
}

weir_stats get_stats(stage *s)
{
    weir_stats stats = WEIR_STATS_INIT;
    weir_gateway_stats(s->gateway, &stats);
    return stats;
}

/* Fill in all that is called now, and the total of what was delivered. NULL: nothing moved
 * meanwhile. (Remote modules may still have something to publish.) */
static const char *look(stage *s, uint64_t *delivered)
{
    weir_stats before = get_stats(s);
    list_links(s);
    for (size_t i = 0; i < MODULES; i++) {
        const load_book *book = s->books[i];
        if (is_remote(i)) {
            continue;
        }
        s->now_received[i] = atomic_load(&book->received);
        s->now_published[i] = atomic_load(&book->published);
        if (atomic_load(&book->begun) != s->now_published[i] + atomic_load(&book->refused)) {
            return "a module is still publishing";
        }
    }
    weir_stats after = get_stats(s);
    *delivered = after.delivered;
    bool same = before.accepted == after.accepted && before.delivered == after.delivered;
    return same && after.queued == 0 ? NULL : "messages are still moving";
}

/* What links to other processes had delivered when they were freed is learned here, once they are.
 */
const char *check_totals(stage *s)
{
    uint64_t delivered = 0;
    const char *text = look(s, &delivered);
    if (text != NULL) {
        return text;
    }
    uint64_t known = received_here(s) + delivered_to_remotes(s) + s->gone;
    if (s->gone_known ? delivered != known : delivered < known) {
        return "the total of what was delivered is not what the modules have received";
    }
    s->gone += delivered - known;
    s->gone_known = true;
    return NULL;
}

/* NULL: everything is as it must be when nothing moves. */
static const char *disagreement(stage *s)
{
    const char *text = check_totals(s);
    for (size_t i = 0; i < MODULES && text == NULL; i++) {
        text = check_out(s, i);
        text = text != NULL ? text : check_in(s, i);
    }
    return text;
}

void wait_for_agreement(stage *s)
{
    time_t end = time(NULL) + PATIENCE_S;
    const char *text;
    while ((text = disagreement(s)) != NULL) {
        if (time(NULL) > end) {
            fail_msg("when nothing moves: %s", text);
        }
        pause_a_moment();
    }
    assert_false(atomic_load(&s->failed));
}

/* What was counted so far is agreed on. */
void begin_anew(stage *s)
{
    for (size_t i = 0; i < MODULES; i++) {
        s->out_changed[i] = false;
        s->in_changed[i] = false;
        s->published[i] = s->now_published[i];
        s->received[i] = s->now_received[i];
        for (size_t to = 0; to < MODULES; to++) {
            s->lines[i][to].accepted = s->now[i][to].accepted;
            s->lines[i][to].delivered = s->now[i][to].delivered;
        }
    }
}
