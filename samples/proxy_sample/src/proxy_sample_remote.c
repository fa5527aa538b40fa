/* SPDX-License-Identifier: MIT
 *
 * A module in a process of its own, written out in full: the place to start from.
 *
 * The module, "echo", publishes each message that it receives. The program attaches it to a gateway
 * by control id and runs it in a loop of its own, beside the keyboard; a program that has nothing
 * else to do writes `return weir_remote_main(&echo, argc, argv);` instead of all that follows it.
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir/remote.h>

/* The module */

static weir_err echo_create(weir_host *host, const char *args, void **self)
{
    weir_log(host, WEIR_LOG_INFO, "echo is configured with %s", args);
    *self = host; /* all that an echo needs to know */
    return WEIR_OK;
}

static void echo_receive(void *self, weir_message *msg)
{
    weir_host *host = self;
    weir_err err = weir_publish(host, msg);
    if (err != WEIR_OK) {
        weir_log(host, WEIR_LOG_ERROR, "a message is not sent back: %s", weir_err_text(err));
    }
}

static const weir_module_api echo = {
    .abi_version = WEIR_MODULE_ABI,
    .size = sizeof(weir_module_api),
    .name = "echo",
    .summary = "publishes each message that it receives",
    .create = echo_create,
    .receive = echo_receive,
};

/* The program */

static weir_remote *remote;
static volatile sig_atomic_t stopped_by_signal;

static void on_signal(int number)
{
    (void)number;
    stopped_by_signal = 1;
    weir_remote_interrupt(remote); /* makes poll return */
}

static void stop_on(int number)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL); /* cannot fail with a valid number */
}

/* True: ENTER was pressed. At its end the input is not watched any more. */
static bool read_enter(struct pollfd *input)
{
    char typed[128];
    ssize_t count = read(input->fd, typed, sizeof(typed));
    if (count <= 0) {
        input->fd = -1; /* poll passes over it */
        return false;
    }
    return memchr(typed, '\n', (size_t)count) != NULL;
}

/* Serve the gateway until it is time to stop. */
static weir_err serve(void)
{
    struct pollfd watched[] = {
        {.fd = weir_remote_fd(remote), .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    while (!stopped_by_signal) {
        if (poll(watched, 2, -1) < 0) {
            continue; /* a signal came between */
        }
        if (watched[1].revents != 0 && read_enter(&watched[1])) {
            return WEIR_OK;
        }
        weir_err err = weir_remote_poll(remote);
        if (err == WEIR_ERR_CLOSED && weir_remote_launched(remote)) {
            return WEIR_OK; /* the gateway that launched us needs us no more */
        }
        if (err != WEIR_OK && err != WEIR_ERR_CLOSED) {
            return err;
        }
    }
    return WEIR_OK;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CONTROL_ID\n", argv[0]);
        return 2;
    }
    if (weir_remote_attach(&echo, argv[1], &remote) != WEIR_OK) {
        return 1; /* the reason is in the log */
    }
    stop_on(SIGINT);
    stop_on(SIGTERM);
    (void)printf("proxy_sample_remote: waiting for a gateway at '%s'; press ENTER to stop\n",
                 argv[1]);
    (void)fflush(stdout);

    weir_err err = serve();
    if (err != WEIR_OK) {
        (void)fprintf(stderr, "proxy_sample_remote: %s\n", weir_err_text(err));
    }
    (void)signal(SIGINT, SIG_DFL); /* from here on they end the program at once */
    (void)signal(SIGTERM, SIG_DFL);
    weir_remote_detach(remote);
    return err == WEIR_OK ? 0 : 1;
}
