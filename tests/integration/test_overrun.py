# SPDX-License-Identifier: MIT
"""A native module that stays in receive for longer than receive.deadline.ms is reported, once, and
again when it has returned."""

import os
import re
import signal

import harness
from harness import hello_world, link, native

OVERRUN = re.compile(r"\[stay\] has not returned from receive for more than [0-9.]+ s "
                     r"\(receive\.deadline\.ms is 100\)$", re.MULTILINE)
RETURN = re.compile(r"\[stay\] returned from receive after more than [0-9.]+ s$", re.MULTILINE)


class Overrun(harness.WeirTest):
    def let_go(self, name):
        """Open and close the other end of the pipe at which a module waits."""
        with open(self.path(name), "wb"):
            pass

    def start_staying(self):
        for name in ("stay.pipe", "blocking.pipe"):
            os.mkfifo(self.path(name))
        gateway = self.start_gateway(
            [native("stay", "stay", self.path("stay.pipe")),
             native("blocking", "stay_blocking", self.path("blocking.pipe")),
             hello_world(10)],
            [link("hello_world", "blocking"), link("hello_world", "stay")],
            gateway={"receive.deadline.ms": 100, "threads": 2})
        gateway.wait_for("[blocking] stays")
        return gateway

    def wait_for_report(self, gateway, text):
        def reported():
            gateway.process.send_signal(signal.SIGUSR1)
            return text in gateway.err()
        harness.wait_until(reported, text)

    def test_overrun_and_return_are_reported_once(self):
        gateway = self.start_staying()
        harness.wait_until(lambda: OVERRUN.search(gateway.err()), "the overrun is reported")
        self.wait_for_report(gateway, "module stay (native): running; redelivered 0, "
                             "unacknowledged 0, restarts 0, hangs 0, overruns 1")
        self.let_go("stay.pipe")
        harness.wait_until(lambda: RETURN.search(gateway.err()), "the return is reported")
        self.wait_for_report(gateway, "overruns of native modules: 1")
        self.assertIn("module blocking (native): running; redelivered 0, unacknowledged 0, restarts 0, hangs 0, "
                      "overruns 0", gateway.err())
        self.let_go("blocking.pipe")
        gateway.stop()
        self.assertEqual(len(OVERRUN.findall(gateway.err())), 1)
        self.assertEqual(len(RETURN.findall(gateway.err())), 1)
        self.assertNotIn("[blocking] has not returned", gateway.err())


if __name__ == "__main__":
    harness.main()
