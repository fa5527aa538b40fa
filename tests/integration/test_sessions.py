# SPDX-License-Identifier: MIT
"""Acknowledged links: what a killed remote module had not processed is sent again, in order and
marked; a remote module whose gateway died goes on. WEIR_SEED repeats a run."""

import os
import random

import harness
from harness import link, logger, native, remote

COUNT = 12000
LOGGED = 1400  # bytes in the log, about, for each message
KILLS = 8


def hosted(module, args=None):
    """The args of `weir host` for a module."""
    return {"outprocess.loader": {"name": "native",
                                  "entrypoint": {"module.path": harness.MODULES[module]}},
            "module.args": args}


def numbers(path):
    """The numbers at the begin of the messages in the log, in its order."""
    return [int(content.split()[0]) for content in harness.logged_contents(path)]


class Sessions(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.crashed = True
        seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}", flush=True)
        self.random = random.Random(seed)
        self.log = self.path("logger.txt")

    def start_host(self, name):
        return self.start(name, harness.WEIR, "host", "control")

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def wait_for_growth(self, size):
        harness.wait_until(lambda: self.log_size() >= size, f"{size} bytes in the log")

    def wait_for_last(self):
        """The last number is in the log; only its tail is read, as it is long."""
        def found():
            if self.log_size() < COUNT * LOGGED // 2:  # some may have died with a gateway
                return False
            return COUNT - 1 in numbers(self.log)
        harness.wait_until(found, "the last message")

    def check_in_order(self, got):
        """First arrivals are in order, nothing is missing."""
        seen = set()
        first = [number for number in got if not (number in seen or seen.add(number))]
        self.assertEqual(first, list(range(COUNT)))

    def test_killed_remote_loses_nothing(self):
        gateway = self.start_gateway(
            [logger(), remote("remote", "control", hosted("pass")), native("flood", "flood", COUNT)],
            [link("flood", "remote"), link("remote", "logger")])
        for life in range(KILLS):
            host = self.start_host(f"host_{life}")
            growth = self.random.randrange(1, 200000)
            self.wait_for_growth(min(self.log_size() + growth, COUNT * LOGGED))
            host.kill()
        host = self.start_host("host_last")
        self.wait_for_last()
        got = numbers(self.log)
        self.check_in_order(got)
        gateway.stop()
        host.stop()
        again = sum(int(line.split()[-5]) for line in gateway.err().splitlines()
                    if " sent again" in line)
        self.assertLessEqual(len(got) - COUNT, again)

    def test_module_goes_on_when_its_gateway_was_killed(self):
        modules = [logger(), remote("remote", "control", hosted("flood", COUNT))]
        links = [link("remote", "logger")]
        host = self.start_host("host")
        gateway = self.start_gateway(modules, links)
        self.wait_for_growth(100000)
        gateway.kill()
        gateway = self.start_gateway(modules, links, name="weir_2")
        self.wait_for_last()
        gateway.stop()
        self.assertIn("the module goes on", host.err())
        self.assertEqual(host.err().count("the module is created"), 1)
        host.stop()
        got = numbers(self.log)
        firsts = list(dict.fromkeys(got))
        self.assertEqual(firsts, sorted(firsts))

    def test_orderly_stop_acknowledges_all(self):
        host = self.start_host("host")
        gateway = self.start_gateway(
            [logger(), remote("remote", "control", hosted("pass")), native("flood", "flood", COUNT)],
            [link("flood", "remote"), link("remote", "logger")])
        self.wait_for_last()
        gateway.stop()
        host.stop()
        self.assertEqual(numbers(self.log), list(range(COUNT)))
        self.assertEqual(gateway.troubles(), [])
        self.assertEqual(host.troubles(), [])


if __name__ == "__main__":
    harness.main()
