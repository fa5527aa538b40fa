# SPDX-License-Identifier: MIT
"""`"isolation": "process"`: the same module, the same links, in a process of its own."""

import os
import signal

import harness
from harness import hello_world, link, logger, native


class Isolation(harness.WeirTest):
    def check(self, modules, isolated):
        """hello_world reaches logger, with these of the two in processes of their own."""
        gateway = self.start_gateway(modules, [link("hello_world", "logger")])
        self.wait_for_messages()
        self.assertEqual(set(gateway.launched_pids()), isolated)
        for pid in gateway.launched_pids().values():
            self.assertIn("weir", os.readlink(f"/proc/{pid}/exe"))
            self.assertTrue(harness.is_alive(pid))
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])
        entries = harness.log_entries(self.path("logger.txt"))
        self.assertEqual(entries[0]["content"], "Log started")
        self.assertEqual(entries[-1]["content"], "Log stopped")

    def test_source_in_a_process_of_its_own(self):
        self.check([logger(), hello_world(isolation="process")], {"hello_world"})

    def test_sink_in_a_process_of_its_own(self):
        self.check([{**logger(), "isolation": "process"}, hello_world()], {"logger"})

    def test_both_in_processes_of_their_own(self):
        self.check([{**logger(), "isolation": "process"}, hello_world(isolation="process")],
                   {"logger", "hello_world"})

    def test_nothing_is_lost_on_the_way_and_at_the_stop(self):
        """Two processes, a known number of messages, stopped when the last is on the disk."""
        count = 5000
        gateway = self.start_gateway(
            [{**logger(), "isolation": "process"},
             native("flood", "flood", count, isolation="process")], [link("flood", "logger")])
        self.wait_for_messages(count)
        gateway.stop()
        numbers = [int(content) for content in harness.logged_contents(self.path("logger.txt"))]
        self.assertEqual(numbers, list(range(count)))

    def test_death_of_the_process_leaves_the_others_running(self):
        self.crashed = True
        gateway = self.start_gateway(
            [logger(), hello_world(), native("pass", "pass", isolation="process")],
            [link("hello_world", "logger"), link("hello_world", "pass", **{"when.full": "drop.oldest"})])
        gateway.wait_for("attached the remote module")
        os.kill(gateway.launched_pids()["pass"], signal.SIGKILL)
        gateway.wait_for("[pass] process")
        self.wait_for_messages()
        gateway.stop()

    def test_failed_create_in_the_other_process_is_in_the_log_with_its_reason(self):
        os.mkdir(self.path("logger.txt"))
        gateway = self.start_gateway([{**logger(), "isolation": "process"}, logger("other"),
                                      hello_world()], [link("hello_world", "other")])
        gateway.wait_for("[logger] the remote module could not be created or started")
        self.assertIn("logger.txt", gateway.err())
        self.wait_for_messages(log="other.txt")
        gateway.stop()

    def test_library_that_cannot_be_loaded_is_in_the_log_with_the_loaders_reason(self):
        gateway = self.start_gateway([native("undefined", "undefined", isolation="process")])
        gateway.wait_for("function_that_exists_nowhere")
        gateway.stop()


if __name__ == "__main__":
    harness.main()
