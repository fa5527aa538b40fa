/* SPDX-License-Identifier: MIT
 *
 * Scripts of steps and their mutations, see script.h.
 */
#include "script.h"

#include <string.h>

#define MUTATIONS_MAX 4u

size_t fuzz_script_read(const uint8_t *data, size_t size, fuzz_step steps[FUZZ_STEPS_MAX])
{
    size_t count = size / FUZZ_STEP_SIZE;
    count = count < FUZZ_STEPS_MAX ? count : FUZZ_STEPS_MAX;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = data + i * FUZZ_STEP_SIZE;
        steps[i] = (fuzz_step){at[0], at[1], at[2], at[3]};
    }
    return count;
}

/* A script while it is mutated. */
typedef struct script {
    uint8_t *data;
    size_t count; /* steps */
    size_t max;
    uint8_t ops;
    fuzz_random *random;
} script;

static uint8_t *at_step(const script *s, size_t step)
{
    return s->data + step * FUZZ_STEP_SIZE;
}

static void fill_step(const script *s, size_t step)
{
    uint8_t *at = at_step(s, step);
    at[0] = (uint8_t)fuzz_below(s->random, s->ops);
    /* Small numbers: most choices are among few. */
    at[1] = (uint8_t)fuzz_below(s->random, 4);
    at[2] = (uint8_t)fuzz_below(s->random, 16);
    at[3] = (uint8_t)fuzz_next(s->random);
}

static void open_gap(script *s, size_t step, size_t count)
{
    memmove(at_step(s, step + count), at_step(s, step), (s->count - step) * FUZZ_STEP_SIZE);
    s->count += count;
}

static void insert_step(script *s)
{
    if (s->count < s->max) {
        size_t step = fuzz_below(s->random, s->count + 1);
        open_gap(s, step, 1);
        fill_step(s, step);
    }
}

static void remove_steps(script *s)
{
    if (s->count > 1) {
        size_t step = fuzz_below(s->random, s->count);
        size_t count = 1 + fuzz_below(s->random, s->count - step);
        count = fuzz_one_in(s->random, 2) ? 1 : count;
        size_t after = step + count;
        memmove(at_step(s, step), at_step(s, after), (s->count - after) * FUZZ_STEP_SIZE);
        s->count -= count;
    }
}

static void repeat_steps(script *s)
{
    if (s->count == 0) {
        return;
    }
    size_t step = fuzz_below(s->random, s->count);
    size_t count = 1 + fuzz_below(s->random, s->count - step);
    if (s->count + count > s->max) {
        return;
    }
    open_gap(s, step, count);
    memcpy(at_step(s, step), at_step(s, step + count), count * FUZZ_STEP_SIZE);
}

static void swap_steps(script *s)
{
    if (s->count > 1) {
        uint8_t keep[FUZZ_STEP_SIZE];
        uint8_t *a = at_step(s, fuzz_below(s->random, s->count));
        uint8_t *b = at_step(s, fuzz_below(s->random, s->count));
        memcpy(keep, a, sizeof(keep));
        memmove(a, b, sizeof(keep));
        memcpy(b, keep, sizeof(keep));
    }
}

static void change_step(script *s)
{
    if (s->count == 0) {
        return;
    }
    uint8_t *at = at_step(s, fuzz_below(s->random, s->count));
    size_t which = fuzz_below(s->random, FUZZ_STEP_SIZE);
    at[which] = which == 0
                    ? (uint8_t)fuzz_below(s->random, s->ops)
                    : (uint8_t)(fuzz_next(s->random) & (fuzz_one_in(s->random, 2) ? 15 : 255));
}

size_t fuzz_script_mutate(uint8_t *data, size_t size, size_t max_size, unsigned int seed,
                          uint8_t ops)
{
    static void (*const mutations[])(script *) = {
        insert_step, insert_step, remove_steps, repeat_steps, swap_steps, change_step, change_step};
    fuzz_random random = fuzz_random_from(seed);
    size_t max = max_size / FUZZ_STEP_SIZE;
    max = max < FUZZ_STEPS_MAX ? max : FUZZ_STEPS_MAX;
    script s = {data, size / FUZZ_STEP_SIZE, max, ops, &random};
    s.count = s.count < max ? s.count : max;
    for (size_t i = 0; i <= fuzz_below(&random, MUTATIONS_MAX); i++) {
        mutations[fuzz_below(&random, sizeof(mutations) / sizeof(mutations[0]))](&s);
    }
    return s.count * FUZZ_STEP_SIZE;
}

size_t fuzz_script_cross(const uint8_t *first, size_t first_size, const uint8_t *second,
                         size_t second_size, uint8_t *out, size_t max_size, unsigned int seed)
{
    fuzz_random random = fuzz_random_from(seed);
    size_t head = fuzz_below(&random, first_size / FUZZ_STEP_SIZE + 1) * FUZZ_STEP_SIZE;
    size_t from = fuzz_below(&random, second_size / FUZZ_STEP_SIZE + 1) * FUZZ_STEP_SIZE;
    size_t max = max_size - max_size % FUZZ_STEP_SIZE;
    size_t tail = (second_size - from) / FUZZ_STEP_SIZE * FUZZ_STEP_SIZE;
    head = head < max ? head : max;
    tail = tail < max - head ? tail : max - head;
    memcpy(out, first, head);
    memcpy(out + head, second + from, tail);
    return head + tail;
}
