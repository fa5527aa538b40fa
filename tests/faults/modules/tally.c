/* SPDX-License-Identifier: MIT
 *
 * Counting and checking (contract in tally.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "tally.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)
#define US_PER_S UINT64_C(1000000)
#define WORD sizeof(uint64_t)
/* Number, time of publishing, and at least one word that follows from the number. */
#define WORDS_MIN 3u
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

uint64_t tally_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static tally *map_file(weir_host *host, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        (void)weir_fail(host, WEIR_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    void *mapped = mmap(NULL, sizeof(tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped == MAP_FAILED) {
        (void)weir_fail(host, WEIR_ERR_IO, "cannot map '%s': %s", path, strerror(errno));
        return NULL;
    }
    return mapped;
}

tally *tally_open(weir_host *host, const char *args)
{
    json_t *json = json_loads(args, 0, NULL);
    const char *path = json_string_value(json_object_get(json, "tally"));
    tally *counts = NULL;
    if (path == NULL) {
        (void)weir_fail(host, WEIR_ERR_CONFIG, "args.tally: expected the path of a file");
    } else {
        counts = map_file(host, path);
    }
    json_decref(json);
    if (counts != NULL) {
        atomic_fetch_add(&counts->lives, 1);
        atomic_store(&counts->pid, (uint64_t)getpid());
        atomic_store(&counts->first_ns, 0);
    }
    return counts;
}

void tally_close(tally *counts)
{
    if (counts != NULL) {
        (void)munmap(counts, sizeof(*counts));
    }
}

/* Small ones, now and then one that is sent from where it lies, seldom one of many writes. */
static size_t words_of(const tally *counts, uint64_t number)
{
    if (number % 1999 == 1998 && atomic_load(&counts->moderate) == 0) {
        return 40000;
    }
    if (number % 97 == 96) {
        return 2500;
    }
    return WORDS_MIN + number % 17;
}

static uint64_t filler(uint64_t number, size_t at)
{
    return (number + at) * SPREAD;
}

weir_err tally_make_message(const tally *counts, uint64_t number, weir_message **out)
{
    size_t words = words_of(counts, number);
    void *content;
    weir_err err = weir_message_reserve(NULL, 0, words * WORD, &content, out);
    if (err != WEIR_OK) {
        return err;
    }
    unsigned char *to = content;
    uint64_t now = tally_now_ns();
    memcpy(to, &number, WORD);
    memcpy(to + WORD, &now, WORD);
    for (size_t i = 2; i < words; i++) {
        uint64_t word = filler(number, i);
        memcpy(to + i * WORD, &word, WORD);
    }
    return WEIR_OK;
}

static bool is_intact(const tally *counts, const unsigned char *content, size_t size,
                      uint64_t number)
{
    if (size != words_of(counts, number) * WORD) {
        return false;
    }
    for (size_t i = 2; i < size / WORD; i++) {
        uint64_t wanted = filler(number, i);
        if (memcmp(content + i * WORD, &wanted, WORD) != 0) {
            return false;
        }
    }
    return true;
}

static void count_time(tally *counts, uint64_t sent_ns)
{
    uint64_t now = tally_now_ns();
    uint64_t took = now > sent_ns ? now - sent_ns : 1;
    unsigned power = 0;
    while (power < 63 && took >> (power + 1) != 0) {
        power++;
    }
    uint64_t part = power < 5 ? 0 : (took >> (power - 5)) % TALLY_PARTS;
    atomic_fetch_add(&counts->times[TALLY_PARTS * power + part], 1);
}

/* Not below `next`: a number that was never seen. */
static void count_new(tally *counts, uint64_t number, uint64_t sent_ns)
{
    uint64_t next = atomic_load(&counts->next);
    if (number > next) {
        atomic_fetch_add(&counts->gaps, 1);
        atomic_fetch_add(&counts->lost, number - next);
        atomic_store(&counts->gap_at, next);
    }
    atomic_store(&counts->next, number + 1);
    count_time(counts, sent_ns);
}

static void count_repeated(tally *counts, const tally_order *order, uint64_t number, bool marked)
{
    atomic_fetch_add(&counts->repeated, 1);
    if (!marked) {
        atomic_fetch_add(&counts->unmarked, 1);
    }
    /* A step back begins a repetition, whose steps are of one. */
    if (order->any && number > order->before + 1) {
        atomic_fetch_add(&counts->mixed_up, 1);
    }
}

void tally_take(tally *counts, tally_order *order, const weir_message *msg)
{
    size_t size;
    const unsigned char *content = weir_message_content(msg, &size);
    uint64_t number = 0;
    uint64_t sent_ns = 0;
    if (size >= WORDS_MIN * WORD) {
        memcpy(&number, content, WORD);
        memcpy(&sent_ns, content + WORD, WORD);
    }
    atomic_fetch_add(&counts->received, 1);
    if (!is_intact(counts, content, size, number)) {
        atomic_fetch_add(&counts->damaged, 1);
        return;
    }
    if (atomic_load(&counts->first_ns) == 0) {
        atomic_store(&counts->first_ns, tally_now_ns());
    }
    bool marked = weir_message_redelivered(msg);
    if (marked) {
        atomic_fetch_add(&counts->marked, 1);
    }
    if (number < atomic_load(&counts->next)) {
        count_repeated(counts, order, number, marked);
    } else {
        count_new(counts, number, sent_ns);
    }
    order->before = number;
    order->any = true;
}

void tally_delay(const tally *counts)
{
    uint64_t us = atomic_load(&counts->delay_us);
    if (us > 0) {
        struct timespec time = {(time_t)(us / US_PER_S), (long)(us % US_PER_S * NS_PER_US)};
        (void)nanosleep(&time, NULL);
    }
}
