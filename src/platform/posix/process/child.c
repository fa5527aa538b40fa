/* SPDX-License-Identifier: MIT
 *
 * The child before exec. Invariant: only async-signal-safe calls, since other threads of the parent
 * may have held any lock when it was made; and, without a sandbox, nothing that changes the
 * parent's memory, which it then has.
 */
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox_os.h"

#define EXIT_NOT_RUN 127

_Noreturn static void fail(const wr_child_plan *plan, wr_child_step step)
{
    wr_child_failure failure = {step, errno};
    ssize_t result;
    do {
        result = write(plan->failure, &failure, sizeof(failure));
    } while (result < 0 && errno == EINTR);
    _exit(EXIT_NOT_RUN);
}

/* Dispositions first, while signals are blocked: a handler of the parent's must not run here. */
static void reset_signals(void)
{
    struct sigaction fresh = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &fresh, NULL); /* some cannot be changed, and need not be */
    }
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void follow_parent(const wr_child_plan *plan)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        fail(plan, WR_CHILD_PARENT);
    }
    /* A parent that ended before that sends nothing any more. */
    if (getppid() != plan->parent) {
        _exit(EXIT_NOT_RUN);
    }
}

static void set_stdio(const wr_child_plan *plan)
{
    if (dup2(plan->input, STDIN_FILENO) < 0 || dup2(plan->output, STDOUT_FILENO) < 0 ||
        dup2(plan->output, STDERR_FILENO) < 0) {
        fail(plan, WR_CHILD_STDIO);
    }
}

/* All but 0, 1, 2 and the way to report a failure, which exec closes. */
static void close_inherited(const wr_child_plan *plan)
{
    unsigned keep = (unsigned)plan->failure;
    if (keep > 3 && close_range(3, keep - 1, 0) != 0) {
        fail(plan, WR_CHILD_DESCRIPTORS);
    }
    if (close_range(keep + 1, ~0u, 0) != 0) {
        fail(plan, WR_CHILD_DESCRIPTORS);
    }
}

static void check(const wr_child_plan *plan, bool done, wr_child_step step)
{
    if (!done) {
        fail(plan, step);
    }
}

/* In a sandbox it leads a session, too, so that no terminal of the parent's is its own. */
static void lead(const wr_child_plan *plan)
{
    check(plan, plan->sandbox != NULL ? setsid() >= 0 : setpgid(0, 0) == 0, WR_CHILD_GROUP);
}

static void become_user(const wr_child_plan *plan)
{
    if (plan->sandbox != NULL) {
        check(plan, wr_sandbox_set_limits(plan->sandbox), WR_CHILD_LIMITS);
        check(plan, wr_sandbox_set_user(plan->sandbox), WR_CHILD_USER);
    }
}

static void enter_sandbox(const wr_child_plan *plan)
{
    if (plan->sandbox != NULL) {
        check(plan, wr_sandbox_drop_privileges(), WR_CHILD_PRIVILEGES);
        check(plan, wr_sandbox_confine(plan->sandbox), WR_CHILD_PATHS);
    }
}

void wr_child_run(const wr_child_plan *plan)
{
    lead(plan);
    become_user(plan);
    follow_parent(plan); /* after a change of the user, which ends that */
    reset_signals();
    set_stdio(plan);
    check(plan, plan->working_dir == NULL || chdir(plan->working_dir) == 0, WR_CHILD_FOLDER);
    enter_sandbox(plan); /* before its rules, a descriptor, are closed */
    close_inherited(plan);
    check(plan, plan->sandbox == NULL || wr_sandbox_filter(plan->sandbox), WR_CHILD_FILTER);
    execve(plan->path, plan->argv, plan->envp);
    fail(plan, WR_CHILD_EXEC);
}
