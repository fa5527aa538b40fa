/* SPDX-License-Identifier: MIT
 *
 * Two processes that do over one transport what Weir's benchmarks do between a gateway and a remote
 * module: the parent sends (and receives what comes back), the child checks or echoes.
 *
 * usage: peer_NAME MODE SIZE SECONDS RATE STAMPS SOCKET REPORT GO
 *     MODE: oneway, echo (a window of messages under way) or pingpong (one message)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "../common/checker.h"
#include "../common/generator.h"
#include "../common/report.h"
#include "peer.h"

#define WINDOW_MESSAGES 512u
#define WINDOW_BYTES (4u << 20)

typedef enum mode { MODE_ONEWAY, MODE_ECHO, MODE_PINGPONG } mode;

static bench_checker checker;
static bench_plan plan;
static uint64_t window; /* messages under way at most; 0: another thread receives */
static uint64_t under_way;

void peer_must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "peer: %s\n", what);
        exit(1);
    }
}

static bool take_one(void)
{
    size_t size;
    const void *content = peer_receive(&size);
    if (content == NULL) {
        return false;
    }
    bench_checker_take(&checker, content, size);
    return true;
}

/* The sender's thread receives, too, until so many are under way. */
static bool receive_down_to(uint64_t left)
{
    while (under_way > left) {
        if (!peer_flush() || !take_one()) {
            return false;
        }
        under_way--;
    }
    return true;
}

static bool emit(void *arg, uint64_t id, uint64_t second)
{
    (void)arg;
    if (window > 1 && under_way == window && !receive_down_to(window / 2)) {
        return false;
    }
    void *to = peer_reserve(plan.size);
    if (to == NULL) {
        return false;
    }
    bench_fill(to, plan.size, id, second);
    bool sent = peer_commit();
    if (window != 0) {
        under_way++;
    }
    return sent && (window != 1 || receive_down_to(0));
}

static bool flush(void *arg)
{
    (void)arg;
    return peer_flush() && (window == 0 || receive_down_to(0));
}

static void *run_receiver(void *arg)
{
    (void)arg;
    while (!bench_checker_finished(&checker) && take_one()) {
    }
    return NULL;
}

static void run_sender(const char *go_path)
{
    int go = bench_listen(go_path);
    peer_must(go >= 0, "cannot bind the socket for the word to begin");
    peer_must(emit(NULL, bench_id(BENCH_PROBE, 0, 0), 0) && flush(NULL), "cannot send the probe");
    if (bench_wait_for_go(go)) {
        peer_must(bench_generate(&plan, &(bench_sender){emit, flush, NULL}), "cannot send");
    }
}

static void run_echo(void)
{
    size_t size;
    while (peer_receive(&size) != NULL && peer_return()) {
        if (!peer_pending() && !peer_flush()) {
            return;
        }
    }
}

/* `opened` is how the child says that the parent may connect. */
static void run_child(mode wanted, const char *path, int opened)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    peer_open(true, path);
    peer_must(write(opened, "", 1) == 1, "cannot tell the parent");
    if (wanted == MODE_ONEWAY) {
        (void)run_receiver(NULL);
    } else {
        run_echo();
    }
    pause(); /* until the harness has read what this process used */
}

static void run_parent(mode wanted, const char *path, const char *go, int opened)
{
    pthread_t receiver;
    char word;
    peer_must(read(opened, &word, 1) == 1, "the child could not open");
    peer_open(false, path);
    if (wanted == MODE_PINGPONG) {
        window = 1;
    } else if (wanted == MODE_ECHO && peer_one_thread) {
        window = WINDOW_BYTES / plan.size + 2;
        window = window > WINDOW_MESSAGES ? WINDOW_MESSAGES : window;
    } else if (wanted == MODE_ECHO) {
        peer_must(pthread_create(&receiver, NULL, run_receiver, NULL) == 0, "no thread");
    }
    run_sender(go);
    pause();
}

int main(int argc, char **argv)
{
    peer_must(argc == 9, "usage: MODE SIZE SECONDS RATE STAMPS SOCKET REPORT GO");
    mode wanted = argv[1][0] == 'o' ? MODE_ONEWAY : argv[1][0] == 'e' ? MODE_ECHO : MODE_PINGPONG;
    plan = (bench_plan){.duration_ns = (uint64_t)(strtod(argv[3], NULL) * 1e9),
                        .rate = strtoull(argv[4], NULL, 10),
                        .size = strtoul(argv[2], NULL, 10),
                        .stamps = argv[5][0] == '1'};
    peer_must(plan.size >= BENCH_SIZE_MIN, "SIZE is too small");
    checker.name = "sink";
    checker.report = argv[7];
    checker.streams = 1;
    checker.stamps = plan.stamps;
    int opened[2];
    peer_must(pipe(opened) == 0, "no pipe");
    pid_t child = fork();
    peer_must(child >= 0, "cannot fork");
    if (child == 0) {
        run_child(wanted, argv[6], opened[1]);
    } else {
        (void)close(opened[1]);
        run_parent(wanted, argv[6], argv[8], opened[0]);
    }
    return 0;
}
