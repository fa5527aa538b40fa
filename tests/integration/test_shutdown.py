# SPDX-License-Identifier: MIT
"""Shutdown under full load, with the modules in every order in the file, in 200 runs: it never hangs,
ends with status 0, and the last record is on the disk."""

import itertools
import os

import harness
from harness import link, logger, native

RUNS = 200
LINKS = [link("flood", "pass"), link("flood", "swallow"), link("pass", "logger"),
         link("pass", "swallow")]


def modules(isolated):
    own_process = {"isolation": "process"} if isolated else {}
    return [native("flood", "flood"), native("pass", "pass", **own_process),
            native("swallow", "swallow"), logger()]


class Shutdown(harness.WeirTest):
    def check_run(self, order, isolated):
        log = self.path("logger.txt")
        if os.path.exists(log):
            os.unlink(log)
        listed = [modules(isolated)[i] for i in order]
        gateway = self.start_gateway(listed, LINKS)
        harness.wait_until(lambda: harness.is_flowing(log), "messages flow")
        gateway.stop()
        self.assertEqual(gateway.problems(), [])
        self.assertEqual(harness.log_entries(log)[-1]["content"], "Log stopped")
        self.programs.remove(gateway)

    def check_runs(self, first, last, isolated):
        orders = list(itertools.permutations(range(4)))
        for run in range(first, last):
            order = orders[run % len(orders)]
            with self.subTest(run=run, order=order):
                self.check_run(order, isolated)

    def test_in_one_process(self):
        self.check_runs(0, RUNS - 48, False)

    def test_with_a_module_in_a_process_of_its_own(self):
        self.check_runs(RUNS - 48, RUNS, True)


if __name__ == "__main__":
    harness.main()
