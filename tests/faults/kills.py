# SPDX-License-Identifier: MIT
"""A remote module that the gateway launched is killed again and again under load: nothing is lost, it
is back soon, and other links notice nothing.

The times are printed, and asserted by nobody: other programs on the machine change them."""

import os
import signal
import statistics
import time

import stand
from harness import link, wait_until
from tally import Times

SHORT_KILLS = 10
LONG_KILLS = 100
WARM_KILLS = 5
KILLS_PER_TURN = 10
SHORT_SPREAD = 5000
LONG_SPREAD = 60000
RATE = 50000
LINKS = (link("source", "killed"), link("killed", "sink"), link("calm", "calm_sink"))
# Any number of restarts; the first delay, and one that does not grow.
RESTARTS = {"soon": {"backoff.ms": [1, 20], "window.ms": 0},
            "with the default first delay": {"backoff.ms": [100, 100], "window.ms": 0}}


class Kills(stand.Stand):
    def begin(self, restart):
        rate = 2000 if stand.SANITIZED else RATE
        self.gateway = self.start_near_gateway([
            self.source("source", rate), self.launched_counter("killed", restart=restart),
            self.counter("sink"), self.source("calm", 1000), self.counter("calm_sink")], LINKS)
        self.killed = self.tallies["killed"]
        wait_until(lambda: self.killed.first_ns != 0, "the first message arrives")

    def kill(self):
        """Returns the time until the next life's first message, in ms."""
        lives = self.killed.lives
        start_ns = time.monotonic_ns()
        os.kill(self.killed.pid, signal.SIGKILL)
        wait_until(lambda: self.killed.lives > lives and self.killed.first_ns > start_ns,
                   "the module is back")
        return (self.killed.first_ns - start_ns) / 1e6

    def settle(self):
        self.wait_for_arrival("source", "sink")
        self.wait_for_arrival("calm", "calm_sink")
        for name in ("killed", "sink", "calm_sink"):
            self.check_counts(name)
        self.check_marked("killed")
        self.check_all_links(self.gateway, len(LINKS), [("source", "killed", "sink")])
        self.assertTrue(self.gateway.lives())

    def kill_often(self, count, spread):
        """`spread`: so many messages are published between two kills, at most."""
        times = []
        for _ in range(count):
            self.wait_for_published("source", self.chance.randrange(spread))
            times.append(self.kill())
            self.settle()
        return times

    def leave_alone(self, seconds):
        """As long as that, and with as many looks at the gateway as when it is killed."""
        start = time.monotonic()
        for turn in range(1, KILLS_PER_TURN + 1):
            end = start + seconds * turn / KILLS_PER_TURN
            wait_until(lambda: time.monotonic() > end, "the time is over")
            self.settle()

    def kill_and_compare(self):
        """A minute of kills and one without, taking turns: the other link's times in both."""
        calm = self.tallies["calm_sink"]
        back, disturbed, undisturbed = [], Times(), Times()
        for _ in range(LONG_KILLS // KILLS_PER_TURN):
            before, start = calm.times(), time.monotonic()
            back += self.kill_often(KILLS_PER_TURN, LONG_SPREAD)
            disturbed.add(before, calm.times())
            before = calm.times()
            self.leave_alone(time.monotonic() - start)
            undisturbed.add(before, calm.times())
        print(f"    p99 of another link: {disturbed.quantile_ms(0.99):.2f} ms, "
              f"without kills {undisturbed.quantile_ms(0.99):.2f} ms", flush=True)
        return back

    def run_kills(self, restart):
        self.begin(restart)
        self.kill_often(WARM_KILLS, SHORT_SPREAD)
        warm_kb = stand.memory_kb(self.gateway.pid)
        descriptors = stand.count_descriptors(self.gateway.pid)
        published, start = self.tallies["source"].published, time.monotonic()
        back = (self.kill_and_compare() if stand.Options.long
                else self.kill_often(SHORT_KILLS, SHORT_SPREAD))
        rate = (self.tallies["source"].published - published) / (time.monotonic() - start)
        print(f"    {len(back)} kills at {rate:.0f} messages/s: back after "
              f"{statistics.median(back):.1f} ms (median), {max(back):.1f} ms at most", flush=True)
        self.finish(warm_kb, descriptors)

    def finish(self, warm_kb, descriptors):
        for name in ("source", "calm"):
            self.tallies[name].limit = 0
        self.settle()
        self.assertEqual(self.tallies["sink"].next, self.tallies["source"].published)
        self.check_descriptors(self.gateway, descriptors)
        self.check_memory(self.gateway, warm_kb)
        self.gateway.stop()

    def test_restarted_soon(self):
        self.run_kills(RESTARTS["soon"])

    def test_restarted_with_the_default_first_delay(self):
        if not stand.Options.long:
            self.skipTest("in the long form only")
        self.run_kills(RESTARTS["with the default first delay"])
