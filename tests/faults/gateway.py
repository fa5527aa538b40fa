# SPDX-License-Identifier: MIT
"""The gateway itself is killed under load and started again: remote modules that it did not launch go on,
and send again what the dead one had not acknowledged; those that it launched end with it.

What the dead gateway had acknowledged and not yet passed on is gone with its memory; that it is no
more than its queues hold is what is checked of it."""

import os
import signal
import time

import harness
import stand
from harness import link

SHORT_KILLS = 4
WARM_KILLS = 2
# Messages that a gateway holds for a link: the queue, what a read of the socket may add to it, and
# what is gathered to be written.
HELD_MAX = 4096
SINKS = ("sink", "back", "launched")
LINKS = (link("away", "sink"), link("away", "back"), link("away", "launched"))
RESTART = {"backoff.ms": [1, 100], "window.ms": 0}


class GatewayKilled(stand.Stand):
    def setUp(self):
        super().setUp()
        self.crashed = True  # of the socket of a launched remote module nobody is left to remove it
        self.gateways = 0
        self.modules = [
            self.remote_source("away", "away", 2000 if stand.SANITIZED else 20000),
            self.counter("sink"), self.remote_counter("back", "back"),
            self.launched_counter("launched", restart=RESTART)]
        self.start_gateway_again()
        self.hosts = [self.start_host(name, self.near) for name in ("away", "back")]

    def start_gateway_again(self):
        self.gateways += 1
        self.gateway = self.start_near_gateway(self.modules, LINKS, name=f"weir_{self.gateways}")

    def settle(self):
        """All that is published by now has arrived, but for what died; that is not too much."""
        for sink in SINKS:
            self.wait_for_arrival("away", sink)
            counts = self.tallies[sink]
            self.assertEqual((counts.mixed_up, counts.damaged), (0, 0), str(counts))
            self.assertLessEqual(counts.gaps, self.gateways - 1, str(counts))
            self.assertLessEqual(counts.lost, counts.gaps * HELD_MAX, str(counts))
        self.check_marked("sink")
        self.check_links(self.gateway, len(LINKS))
        for host in self.hosts:
            self.assertTrue(host.lives())
        for name in ("away", "back"):
            self.assertEqual(self.tallies[name].lives, 1, "the module stays as it is")

    def kill_gateway(self):
        launched = self.tallies["launched"].pid
        stopped = self.chance.choice((None, *self.hosts))
        if stopped is not None:
            stopped.process.send_signal(signal.SIGSTOP)
        self.wait_for_published("away", self.chance.randrange(2000))
        self.gateway.kill()
        if stopped is not None:
            stopped.process.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: not harness.is_alive(launched), "the launched process ends, too")
        self.wait_for_published("away", self.chance.randrange(5000))
        before = self.tallies["sink"].repeated
        self.start_gateway_again()
        self.settle()
        _, again = self.counters(self.gateway, len(LINKS))
        self.assertLessEqual(self.tallies["sink"].repeated - before, again["away"])

    def kills(self):
        """How many; in the long form as many as there is time for."""
        end = time.monotonic() + (stand.Options.seconds or 0)
        count = 0
        while count < SHORT_KILLS or time.monotonic() < end:
            yield count
            count += 1

    def test_gateway_killed_again_and_again(self):
        harness.wait_until(lambda: all(self.tallies[name].next > 0 for name in SINKS),
                           "the first messages arrive")
        self.settle()
        descriptors = [stand.count_descriptors(host.pid) for host in self.hosts]
        warm = None
        for count in self.kills():
            if count == WARM_KILLS:
                warm = [stand.memory_kb(host.pid) for host in self.hosts]
            self.kill_gateway()
        print(f"    {self.gateways - 1} kills", flush=True)
        self.tallies["away"].limit = 0
        self.settle()
        for host, wanted, kb in zip(self.hosts, descriptors, warm):
            self.check_descriptors(host, wanted, 1, listeners=2)
            self.check_memory(host, kb)
        self.gateway.stop()
        for host in self.hosts:
            host.stop()
        self.assertEqual(os.listdir(self.private), [])
