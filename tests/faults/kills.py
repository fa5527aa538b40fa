# SPDX-License-Identifier: MIT
"""A remote module that the gateway launched is killed again and again under load: nothing is lost, it
is back soon, the gateway's memory stays as it is, and other links notice little.

The times are printed, and asserted by nobody: other programs on the machine change them."""

import os
import signal
import statistics
import time

import stand
from harness import link, wait_until
from tally import quantile_ms

SHORT_KILLS = 10
LONG_KILLS = 100
WARM_KILLS = 5  # with all that has a limit filled
SHORT_SPREAD = 5000
LONG_SPREAD = 60000
# Slices of so many seconds, with a kill at a random moment of each, and without, take turns. A kill
# concerns some milliseconds: what comes a hundred times a second would be another question.
SLICE_S = 5
RATE = 50000
LINKS = (link("source", "killed"), link("killed", "sink"), link("calm", "calm_sink"))
# Any number of restarts; the first delay, and one that does not grow.
RESTARTS = {"soon": {"backoff.ms": [1, 20], "window.ms": 0},
            "with the default first delay": {"backoff.ms": [100, 100], "window.ms": 0}}
# What the memory may be over the most that it was while everything was full that has a limit.
GROWTH_FACTOR = 1.05
GROWTH_SLACK_KB = 128


def spread(values, form):
    """The median, and where the middle half lies."""
    low, median, high = statistics.quantiles(values, n=4)
    return f"{form % median} ({form % low} to {form % high})"


def p99_ms(times):
    return quantile_ms(times, 0.99)


def add(slices):
    """The times of all messages of these slices."""
    return [sum(counts) for counts in zip(*slices)]


class Kills(stand.Stand):
    def tally(self, name):
        """Without very large messages: each thread may keep blocks of those, and chance says how many."""
        made = super().tally(name)
        made.moderate = 1
        return made

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

    def kill_often(self, count, most):
        """`most`: so many messages are published between two kills, at most."""
        times = []
        for _ in range(count):
            self.wait_for_published("source", self.chance.randrange(most))
            times.append(self.kill())
            self.settle()
        return times

    def kill_full(self):
        """Kill it when window and mailbox hold all that they may. Returns what the gateway holds."""
        os.kill(self.killed.pid, signal.SIGSTOP)
        self.wait_for_published("source", 1 << 32)
        self.kill()
        self.settle()
        return stand.anonymous_kb(self.gateway.pid)

    def slice(self, kills):
        """Returns how soon the module was back, and the times of the other link's messages."""
        calm, back = self.tallies["calm_sink"], []
        before, start = calm.times(), time.monotonic()
        for second in range(SLICE_S):
            moment = start + second + self.chance.random()
            wait_until(lambda: time.monotonic() > moment, "the moment comes")
            if kills:
                back.append(self.kill())
        end = start + SLICE_S
        wait_until(lambda: time.monotonic() > end, "the slice ends")
        times = [new - old for old, new in zip(before, calm.times())]
        self.settle()
        return back, times

    def kill_and_compare(self):
        """Slices with kills and slices without, in turns: the other link's times in both."""
        back, disturbed, undisturbed = [], [], []
        for _ in range(LONG_KILLS // SLICE_S):
            again, times = self.slice(kills=True)
            back += again
            disturbed.append(times)
            undisturbed.append(self.slice(kills=False)[1])
        self.show_p99(disturbed, undisturbed)
        return back

    @staticmethod
    def show_p99(disturbed, undisturbed):
        with_kills = [p99_ms(times) for times in disturbed]
        without = [p99_ms(times) for times in undisturbed]
        ratios = [one / other for one, other in zip(with_kills, without)]
        print(f"    p99 of another link, {len(ratios)} slices of {SLICE_S} s each way, a kill a "
              f"second: {spread(with_kills, '%.3f')} ms, without kills "
              f"{spread(without, '%.3f')} ms; the one of the other {spread(ratios, '%.2f')}; of all "
              f"messages {p99_ms(add(disturbed)):.3f} and {p99_ms(add(undisturbed)):.3f} ms", flush=True)

    def kill_all(self, compare):
        if not stand.Options.long:
            return self.kill_often(SHORT_KILLS, SHORT_SPREAD)
        return self.kill_and_compare() if compare else self.kill_often(LONG_KILLS, LONG_SPREAD)

    def run_kills(self, restart, compare):
        self.begin(restart)
        warm_kb = max(self.kill_full() for _ in range(WARM_KILLS))
        descriptors = stand.count_descriptors(self.gateway.pid)
        published, start = self.tallies["source"].published, time.monotonic()
        back = self.kill_all(compare)
        rate = (self.tallies["source"].published - published) / (time.monotonic() - start)
        print(f"    {len(back)} kills at {rate:.0f} messages/s: back after "
              f"{statistics.median(back):.1f} ms (median), {max(back):.1f} ms at most", flush=True)
        self.finish(warm_kb, descriptors)

    def finish(self, warm_kb, descriptors):
        self.end_sources([("source", "sink"), ("calm", "calm_sink")])
        self.settle()
        self.check_descriptors(self.gateway, descriptors, 2)
        self.check_flat(warm_kb)
        self.gateway.stop()

    def check_flat(self, warm_kb):
        """When the last crash report is written, too, whose thread takes its time on a busy machine."""
        allowed_kb = warm_kb * GROWTH_FACTOR + GROWTH_SLACK_KB
        wait_until(lambda: stand.SANITIZED or stand.anonymous_kb(self.gateway.pid) <= allowed_kb,
                   lambda: f"the gateway has no more than {allowed_kb:.0f} kB, and has "
                           f"{stand.anonymous_kb(self.gateway.pid)} kB")
        print(f"    memory of the gateway: {warm_kb} kB at the most in the first {WARM_KILLS} "
              f"kills, {stand.anonymous_kb(self.gateway.pid)} kB at the end", flush=True)

    def test_restarted_soon(self):
        self.run_kills(RESTARTS["soon"], compare=True)

    def test_restarted_with_the_default_first_delay(self):
        if not stand.Options.long:
            self.skipTest("in the long form only")
        self.run_kills(RESTARTS["with the default first delay"], compare=False)
