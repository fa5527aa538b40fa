/* SPDX-License-Identifier: MIT
 *
 * weir_remote_main: the whole main function of a program that is one remote module. It is the one
 * place of the remote side that prints and handles signals, because it stands for a program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "platform/crash_handler.h"
#include "platform/signal.h"
#include "platform/stack_dump.h"
#include "weir/remote.h"

/* Of a user's name, with its NUL; a longer one is nobody's. */
#define NAME_SIZE 256u

enum exit_status { STATUS_OK = 0, STATUS_FAILURE = 1, STATUS_USAGE = 2 };

static void print_usage(FILE *to, const weir_module_api *api, const char *program)
{
    (void)fprintf(to,
                  "usage: %s [CONTROL_ID]\n"
                  "\n"
                  "Run the module '%s' for a Weir gateway:\n"
                  "    %s\n"
                  "CONTROL_ID is the path of the control socket, as \"control.id\" says in the\n"
                  "gateway's configuration; without it, that in %s.\n"
                  "Gateways of this user and root may connect, and of those users that %s names\n"
                  "(names or ids, with commas between). SIGINT and SIGTERM end the program.\n",
                  program, api->name, api->summary, WEIR_ENV_CONTROL_ID, WEIR_ENV_ALLOW_USERS);
}

static void interrupt(void *arg)
{
    weir_remote_interrupt(arg);
}

/* Run it for one gateway after the other, or, if this process was launched, for the one. */
static weir_err serve(weir_remote *remote)
{
    weir_err err = WEIR_OK;
    do {
        err = weir_remote_run(remote);
    } while (err == WEIR_OK && !weir_remote_launched(remote));
    return err == WEIR_ERR_INTERRUPTED ? WEIR_OK : err;
}

static weir_err serve_until_stopped(weir_remote *remote)
{
    weir_err err = wr_signal_on_stop(interrupt, remote);
    if (err == WEIR_OK) {
        err = serve(remote);
    }
    /* A second signal, while the module is being destroyed, ends the program at once. */
    weir_err restored = wr_signal_on_stop(NULL, NULL);
    return err != WEIR_OK ? err : restored;
}

/* What makes a crash or a hang of the module tell where it is. */
static void prepare_for_the_worst(const char *control_id)
{
    if (wr_crash_handler_install(control_id) != WEIR_OK) {
        wr_log(control_id, WEIR_LOG_WARN, "a crash of this process will not say where it was");
    }
    if (getenv(WEIR_ENV_CONTROL_ID) != NULL) { /* a gateway launched it */
        wr_debugger_allow_parent();
    }
}

/* Those that the environment names, with commas between. */
static weir_err allow_users(weir_remote *remote)
{
    const char *users = getenv(WEIR_ENV_ALLOW_USERS);
    weir_err err = WEIR_OK;
    for (const char *at = users; at != NULL && *at != '\0' && err == WEIR_OK;) {
        char name[NAME_SIZE];
        size_t length = strcspn(at, ",");
        (void)snprintf(name, sizeof(name), "%.*s", (int)(length < NAME_SIZE ? length : 0), at);
        err = weir_remote_allow_user(remote, name);
        at += length + (at[length] == ',');
    }
    return err;
}

static int run(const weir_module_api *api, const char *control_id)
{
    prepare_for_the_worst(control_id);
    weir_remote *remote = NULL;
    if (weir_remote_attach(api, control_id, &remote) != WEIR_OK) {
        return STATUS_FAILURE; /* the reason is in the log */
    }
    weir_err err = allow_users(remote);
    if (err == WEIR_OK && !weir_remote_launched(remote)) { /* somebody may sit before it */
        wr_log(control_id, WEIR_LOG_INFO, "waiting for a gateway");
    }
    if (err == WEIR_OK) {
        err = serve_until_stopped(remote);
    }
    weir_remote_detach(remote);
    if (err != WEIR_OK) {
        (void)fprintf(stderr, "%s: %s\n", control_id, weir_err_text(err));
        return STATUS_FAILURE;
    }
    return STATUS_OK;
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* What is wrong with the arguments; NULL: nothing. */
static const char *mistake_in(int argc, const char *control_id)
{
    if (argc > 2) {
        return "one CONTROL_ID at a time";
    }
    if (control_id == NULL || control_id[0] == '\0') {
        return "CONTROL_ID is missing";
    }
    return control_id[0] == '-' ? "unknown option (a CONTROL_ID does not begin with -)" : NULL;
}

int weir_remote_main(const weir_module_api *api, int argc, char **argv)
{
    const char *program = argc > 0 ? argv[0] : "remote";
    if (argc == 2 && is_help(argv[1])) {
        print_usage(stdout, api, program);
        return STATUS_OK;
    }
    const char *control_id = argc > 1 ? argv[1] : getenv(WEIR_ENV_CONTROL_ID);
    const char *mistake = mistake_in(argc, control_id);
    if (mistake != NULL) {
        (void)fprintf(stderr, "%s: %s\n", program, mistake);
        print_usage(stderr, api, program);
        return STATUS_USAGE;
    }
    return run(api, control_id);
}
