/* SPDX-License-Identifier: MIT
 *
 * The rule for poison messages (contract in poison.h).
 */
#include "proxy/poison.h"

#include <assert.h>

#include "ipc/window.h"

static_assert(WR_POISON_SINGLE_MAX * WR_POISON_SINGLE_MAX >= WR_WINDOW_MESSAGES,
              "a portion of a full window's suspects is given one by one");

/* Before the second death nothing is known but that it died, which it may never do again; and a
 * careful life begins slowly. With less patience than that there is no other time for it. */
#define CAREFUL_FROM 2u

void wr_poison_init(wr_poison *poison, uint32_t deaths_max)
{
    *poison = (wr_poison){.deaths_max = deaths_max};
}

bool wr_poison_is_careful(const wr_poison *poison)
{
    uint32_t from = poison->deaths_max <= CAREFUL_FROM ? 1 : CAREFUL_FROM;
    return poison->deaths >= from;
}

/* The least number whose square is at least `count`. */
static uint64_t root_of(uint64_t count)
{
    uint64_t root = 1;
    while (root * root < count) {
        root++;
    }
    return root;
}

static uint32_t quiet_after(uint64_t silent_ms)
{
    if (silent_ms >= WR_POISON_QUIET_MAX_MS / 2) {
        return WR_POISON_QUIET_MAX_MS;
    }
    uint32_t quiet_ms = 2 * (uint32_t)silent_ms;
    return quiet_ms < WR_POISON_QUIET_MIN_MS ? WR_POISON_QUIET_MIN_MS : quiet_ms;
}

/* Those that are suspect and were in hand once more, else those that were in hand. */
static void narrow(wr_poison *poison, const wr_poison_death *death)
{
    uint64_t first = poison->first > death->first ? poison->first : death->first;
    uint64_t end = poison->end < death->end ? poison->end : death->end;
    if (poison->deaths == 0 || first >= end) {
        poison->deaths = 0;
        first = death->first;
        end = death->end;
    }
    poison->deaths++;
    poison->first = first;
    poison->end = end;
    poison->portion = end - first <= WR_POISON_SINGLE_MAX ? 1 : root_of(end - first);
}

wr_poison_verdict wr_poison_note_death(wr_poison *poison, const wr_poison_death *death)
{
    bool alone = wr_poison_is_careful(poison) && death->end - death->first == 1;
    if (poison->deaths_max == 0 || death->first == death->end) {
        wr_poison_clear(poison);
        return WR_POISON_NONE;
    }
    narrow(poison, death);
    poison->quiet_ms = quiet_after(death->silent_ms);
    if (!alone || poison->deaths < poison->deaths_max) {
        return WR_POISON_NONE;
    }
    return poison->first > poison->proven ? WR_POISON_FOUND : WR_POISON_UNPROVEN;
}

uint64_t wr_poison_portion_end(const wr_poison *poison, uint64_t next)
{
    uint64_t end = next + poison->portion;
    return end < poison->end ? end : poison->end;
}

void wr_poison_drop(wr_poison *poison, uint64_t number)
{
    poison->first -= number < poison->first;
    poison->end -= number < poison->end;
    if (poison->first == poison->end) {
        wr_poison_clear(poison);
    }
}

void wr_poison_clear(wr_poison *poison)
{
    poison->deaths = 0;
    poison->first = 0;
    poison->end = 0;
}

void wr_poison_set_aside(wr_poison *poison)
{
    poison->proven = poison->first;
    wr_poison_clear(poison);
}
