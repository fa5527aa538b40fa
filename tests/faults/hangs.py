# SPDX-License-Identifier: MIT
"""A launched remote module hangs, in each way that there is: how soon it is found, and what the other
modules' rate is meanwhile.

The times are printed, and asserted by nobody: other programs on the machine change them. What hangs
by ignoring SIGTERM, too, is a deadlock, and found as that."""

import datetime
import re
import time

import harness
import stand
from harness import link, wait_until

RATE = 50000
KINDS = ("stop", "loop", "deadlock", "ignore.term")
TIMEOUT_S = 5  # the default of heartbeat.timeout.ms
MESSAGES = 1500  # the module hangs at 1000
LINE = r"^(\S+) +\w+ +\[victim\] "


def logged_at(gateway, text):
    """The time of the first line of the module that begins so."""
    found = re.search(LINE + text, gateway.err(), re.MULTILINE)
    return datetime.datetime.fromisoformat(found.group(1)) if found else None


class Hangs(stand.Stand):
    def rate_until(self, condition, text):
        """Messages per second of the calm source until the condition is true."""
        calm = self.tallies["calm"]
        before, start = calm.published, time.monotonic()
        wait_until(condition, text)
        return (calm.published - before) / (time.monotonic() - start)

    def find(self, kind):
        victim = harness.native("victim", "hang", kind, isolation="process",
                                restart={"backoff.ms": [1, 1]})
        gateway = self.start_near_gateway(
            [victim, harness.native("feed", "flood", MESSAGES),
             self.source("calm", RATE), self.counter("calm_sink")],
            [link("feed", "victim"), link("calm", "calm_sink")])
        gateway.wait_for("the module is started")
        disturbed = self.rate_until(lambda: logged_at(gateway, "hangs: "), "it is found")
        took = logged_at(gateway, "hangs: ") - logged_at(gateway, "attached ")
        gateway.wait_for("attached the remote module", 2)
        end = time.monotonic() + TIMEOUT_S
        undisturbed = self.rate_until(lambda: time.monotonic() > end, "the time is over")
        print(f"    {kind}: found after {took.total_seconds():.2f} s (timeout {TIMEOUT_S} s); "
              f"another module has {disturbed:.0f} messages/s meanwhile, {undisturbed:.0f} after",
              flush=True)
        self.end_sources([("calm", "calm_sink")])
        self.check_counts("calm_sink")
        gateway.stop()

    def test_each_kind_is_found(self):
        self.crashed = True
        if not stand.Options.long:
            self.skipTest("in the long form only")
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.find(kind)
