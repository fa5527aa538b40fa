# SPDX-License-Identifier: MIT
"""The logger's file, whatever happens to the gateway: valid at each start, nothing that was complete
is lost, and one writer at a time."""

import json
import os
import random

import harness
from harness import hello_world, link, logger, native

KILLS = 25
SEED = int(os.environ.get("WEIR_TEST_SEED", random.SystemRandom().randrange(1 << 32)))


def complete_entries(text):
    """The lines of the file that hold a whole entry. An entry is one line."""
    entries = []
    for line in text.splitlines():
        try:
            entries.append(json.loads(line.rstrip(b",")))
        except ValueError:
            pass  # a bracket, or what was cut short
    return entries


class Logger(harness.WeirTest):
    def start_flood(self):
        return self.start_gateway([native("flood", "flood"), logger()], [link("flood", "logger")])

    def check_repaired(self, before):
        """A start and a stop after a crash: the file is valid, and begins with all that was
        complete."""
        gateway = self.start_gateway([logger()])
        harness.wait_until(lambda: "running" in gateway.out() or not gateway.lives(), "it runs")
        entries = harness.log_entries(self.path("logger.txt"))
        self.assertEqual(entries[:-1], before)
        self.assertEqual(entries[-1]["content"], "Log started")
        gateway.stop()
        entries = harness.log_entries(self.path("logger.txt"))
        self.assertEqual(entries[-1]["content"], "Log stopped")

    def test_killed_while_it_writes(self):
        print(f"seed {SEED} (WEIR_TEST_SEED)")
        chance = random.Random(SEED)
        self.crashed = True
        log = self.path("logger.txt")
        for kill in range(KILLS):
            with self.subTest(kill=kill):
                begun = os.path.getsize(log) if os.path.exists(log) else 0
                wanted = begun + chance.randrange(1, 1 << 20)
                gateway = self.start_flood()
                harness.wait_until(lambda: os.path.exists(log) and os.path.getsize(log) > wanted,
                                   "the log grows")
                gateway.kill()
                before = complete_entries(harness.read_bytes(log))
                self.check_repaired(before)
                os.truncate(log, 0)

    def test_one_writer_for_a_file(self):
        os.symlink("logger.txt", self.path("link.txt"))
        first = self.start_gateway([logger(), hello_world()], [link("hello_world", "logger")])
        self.wait_for_messages()
        other = native("logger", "logger", {"filename": "link.txt"})
        config = self.write_config([other], name="second.json")
        second = self.run_to_end("second", harness.WEIR, "run", config)
        self.assertEqual(second.process.returncode, 1)
        self.assertIn("link.txt is being written by another logger", second.err())
        self.wait_for_messages()
        first.stop()

    def test_writer_that_was_killed_leaves_no_lock(self):
        self.crashed = True
        first = self.start_flood()
        harness.wait_until(lambda: harness.is_flowing(self.path("logger.txt")), "messages flow")
        first.kill()
        self.check_repaired(complete_entries(harness.read_bytes(self.path("logger.txt"))))


if __name__ == "__main__":
    harness.main()
