/* SPDX-License-Identifier: MIT
 *
 * The table of a proxy's states (contract in state.h).
 */
#include "proxy/state.h"

/* In the order of the enum: bits for sets of states. */
#define S(state) (1u << WR_PROXY_##state)
#define CONNECTED_STATES (S(CONNECTING) | S(CREATING) | S(ATTACHING) | S(RUNNING))
#define RESTING_STATES (S(BACKING_OFF) | S(FAILED) | S(ENDED))

typedef struct transition {
    unsigned from; /* a set */
    wr_proxy_event event;
    wr_proxy_state to;
} transition;

static const transition transitions[] = {
    {S(WAITING) | S(FAILED) | S(ENDED), WR_PROXY_EVENT_CONNECTED, WR_PROXY_CONNECTING},
    {S(CONNECTING), WR_PROXY_EVENT_GREETED, WR_PROXY_CREATING},
    {S(CREATING), WR_PROXY_EVENT_CREATED, WR_PROXY_ATTACHING},
    {S(ATTACHING), WR_PROXY_EVENT_ATTACHED, WR_PROXY_RUNNING},
    {CONNECTED_STATES, WR_PROXY_EVENT_REFUSED, WR_PROXY_FAILED},
    {S(FAILED), WR_PROXY_EVENT_RETRIED, WR_PROXY_CREATING},
    {CONNECTED_STATES | S(FAILED), WR_PROXY_EVENT_LOST, WR_PROXY_WAITING},
    {CONNECTED_STATES | S(WAITING) | S(FAILED), WR_PROXY_EVENT_GIVEN_UP, WR_PROXY_ENDING},
    {S(ENDING), WR_PROXY_EVENT_LOST, WR_PROXY_ENDING},
    {S(WAITING) | S(ENDING), WR_PROXY_EVENT_DIED, WR_PROXY_BACKING_OFF},
    {S(WAITING) | S(ENDING), WR_PROXY_EVENT_DIED_TOO_OFTEN, WR_PROXY_FAILED},
    {S(WAITING) | S(ENDING), WR_PROXY_EVENT_DONE, WR_PROXY_ENDED},
    {RESTING_STATES | S(WAITING) | S(ENDING), WR_PROXY_EVENT_LAUNCHED, WR_PROXY_WAITING},
    {~(S(STOPPING) | S(STOPPED)), WR_PROXY_EVENT_STOP, WR_PROXY_STOPPING},
    {S(STOPPING), WR_PROXY_EVENT_LOST, WR_PROXY_STOPPING},
    {S(STOPPING), WR_PROXY_EVENT_OVER, WR_PROXY_STOPPED},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define STATE_NAME(state, name, means) name,
#define STATE_MEANING(state, name, means) means,
#define EVENT_TEXT(event, what) what,
static const char *const state_names[] = {WR_PROXY_STATES(STATE_NAME)};
static const char *const state_meanings[] = {WR_PROXY_STATES(STATE_MEANING)};
static const char *const event_texts[] = {WR_PROXY_EVENTS(EVENT_TEXT)};

const char *wr_proxy_state_name(wr_proxy_state state)
{
    return state_names[state];
}

const char *wr_proxy_state_meaning(wr_proxy_state state)
{
    return state_meanings[state];
}

const char *wr_proxy_event_text(wr_proxy_event event)
{
    return event_texts[event];
}

bool wr_proxy_next_state(wr_proxy_state from, wr_proxy_event event, wr_proxy_state *to)
{
    for (size_t i = 0; i < COUNT_OF(transitions); i++) {
        if (transitions[i].event == event && (transitions[i].from & (1u << from)) != 0) {
            *to = transitions[i].to;
            return true;
        }
    }
    return false;
}
