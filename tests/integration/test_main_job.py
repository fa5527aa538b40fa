# SPDX-License-Identifier: MIT
"""The main job: hello_world -> a module in a process of its own -> logger, as its user runs it; and
the other samples."""

import os
import pty
import re
import signal
import subprocess
import threading
import time

import harness

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(harness.HERE)), "samples")
ENOUGH_TIME_S = 5


class Watcher(threading.Thread):
    """Reads a log file again and again. A look into the middle of a write may see half of it; a file
    that stays invalid while nobody looks away is a failure."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.ended = threading.Event()
        self.valid_looks = 0
        self.failure = None

    def look(self):
        try:
            harness.log_entries(self.path)
            return True
        except ValueError:
            return False

    def run(self):
        valid_at = time.monotonic()
        while not self.ended.is_set() and self.failure is None:
            if not os.path.exists(self.path) or self.look():
                valid_at = time.monotonic()
                self.valid_looks += os.path.exists(self.path)
            elif time.monotonic() - valid_at > ENOUGH_TIME_S:
                self.failure = harness.read_bytes(self.path)[-200:]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class MainJob(harness.WeirTest):
    def setUp(self):
        """The samples' programs, files and modules at the same places relative to each other."""
        super().setUp()
        for sample in ("hello_world", "proxy_sample", "native_module_host_sample"):
            os.makedirs(self.path("build", "samples", sample))
        os.symlink(SAMPLES, self.path("samples"))
        os.symlink(harness.built("modules"), self.path("build", "modules"))
        os.symlink(harness.WEIR, self.path("build", "weir"))

    def place(self, sample, *more):
        return self.path("build", "samples", sample, *more)

    def start_sample(self, sample, program, *args, stdin=subprocess.PIPE, name=None):
        name = program if name is None else name
        os.symlink(harness.built("samples", sample, program), self.place(sample, program))
        return self.start(name, f"./{program}", *args, cwd=self.place(sample), stdin=stdin)

    def start_proxy_sample(self, **options):
        return self.start_sample("proxy_sample", "proxy_sample",
                                 "../../../samples/proxy_sample/src/proxy_sample_lin.json", **options)

    def start_proxy_sample_remote(self, **options):
        return self.start_sample("proxy_sample", "proxy_sample_remote", "outprocess_module_control",
                                 **options)

    def check_log(self, path, content):
        entries = harness.log_entries(path)
        self.assertEqual(entries[0]["content"], "Log started")
        self.assertEqual(entries[-1]["content"], "Log stopped")
        for entry in entries:
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(set(harness.contents_of(entries)), {content})
        for entry in entries:
            self.assertEqual(entry.get("properties", {"source": "hello_world"}),
                             {"source": "hello_world"})
        times = [entry["time"] for entry in entries]
        self.assertEqual(times, sorted(times))

    def test_messages_go_through_the_remote_module_into_the_log(self):
        log = self.place("proxy_sample", "log.txt")
        with Watcher(log) as watcher:
            gateway = self.start_proxy_sample()
            remote = self.start_proxy_sample_remote()
            self.wait_for_content(b"hello world", log)
            harness.wait_until(lambda: watcher.valid_looks > 10 or watcher.failure,
                               "some looks at the log")
            gateway.press_enter()
            gateway.expect_exit()
            remote.press_enter()
            remote.expect_exit()
        self.assertIsNone(watcher.failure)
        self.check_log(log, b"hello world")
        self.assertIn('"THIS IS THE OOP MODULE CONFIGURATION"', remote.err())
        self.assertEqual(gateway.troubles() + remote.troubles(), [])

    def test_enter_on_a_terminal_stops_both_programs(self):
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        gateway = self.start_proxy_sample(stdin=terminal)
        os.close(terminal)
        other_master, terminal = pty.openpty()
        self.addCleanup(os.close, other_master)
        remote = self.start_proxy_sample_remote(stdin=terminal)
        os.close(terminal)
        gateway.wait_for("attached the remote module")
        os.write(master, b"\n")
        gateway.expect_exit()
        os.write(other_master, b"\n")
        remote.expect_exit()
        self.assertEqual(gateway.troubles() + remote.troubles(), [])

    def test_signals_stop_both_programs(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                gateway = self.start_proxy_sample(name=f"gateway_{number}")
                remote = self.start_proxy_sample_remote(name=f"remote_{number}")
                gateway.wait_for("attached the remote module")
                for program in (gateway, remote):
                    program.process.send_signal(number)
                    program.expect_exit()
                self.assertEqual(gateway.troubles() + remote.troubles(), [])
                for program in ("proxy_sample", "proxy_sample_remote"):
                    os.unlink(self.place("proxy_sample", program))

    def test_a_second_run_appends_to_the_log(self):
        log = self.place("hello_world", "log.txt")
        for run in range(1, 3):
            gateway = self.start_sample("hello_world", "hello_world_sample",
                                        "../../../samples/hello_world/src/hello_world_lin.json",
                                        name=f"run_{run}")
            harness.wait_until(lambda: len(harness.logged_contents(log)) >= run, "the run's message")
            gateway.press_enter()
            gateway.expect_exit()
            self.check_log(log, b"hello world")
            os.unlink(self.place("hello_world", "hello_world_sample"))
        marks = [entry["content"] for entry in harness.log_entries(log)
                 if "properties" not in entry]
        self.assertEqual(marks, ["Log started", "Log stopped"] * 2)

    def test_the_gateway_launches_the_remote_of_the_proxy_sample(self):
        os.symlink(harness.PROXY_SAMPLE_REMOTE, self.place("proxy_sample", "proxy_sample_remote"))
        gateway = self.start_sample("proxy_sample", "proxy_sample",
                                    "../../../samples/proxy_sample/src/proxy_sample_launch_lin.json")
        log = self.place("proxy_sample", "log.txt")
        self.wait_for_content(b"hello world", log)
        gateway.press_enter()
        gateway.expect_exit()
        self.check_log(log, b"hello world")
        self.assertEqual(gateway.troubles(), [])
        self.assertIn("[out of process] echo is configured with", gateway.err())

    def test_native_module_host_sample(self):
        gateway = self.start_sample(
            "native_module_host_sample", "native_module_host_sample",
            "../../../samples/native_module_host_sample/src/native_module_host_sample_lin.json")
        log = self.place("native_module_host_sample", "log.txt")
        self.wait_for_content(b"hello from a process of its own", log)
        gateway.press_enter()
        gateway.expect_exit()
        self.check_log(log, b"hello from a process of its own")
        self.assertEqual(gateway.troubles(), [])

    def test_wrong_usage_fails_with_the_usage(self):
        for program in (harness.PROXY_SAMPLE, harness.PROXY_SAMPLE_REMOTE):
            ended = self.run_to_end(os.path.basename(program), program)
            self.assertNotEqual(ended.process.returncode, 0)
            self.assertTrue(re.search("^usage: ", ended.err(), re.MULTILINE), ended.err())

    def test_weir_host_says_what_is_wrong_with_its_arguments(self):
        for arguments, text in (((), "CONTROL_ID is missing"), (("",), "CONTROL_ID is missing"),
                                (("a", "b"), "one CONTROL_ID at a time"),
                                (("--bogus",), "unknown option")):
            ended = self.run_to_end("host", harness.WEIR, "host", *arguments)
            self.assertEqual(ended.process.returncode, 2)
            self.assertIn("weir host: " + text, ended.err())
            self.assertIn("usage: weir host [CONTROL_ID]", ended.err())

    def test_weir_host_says_that_it_waits_and_weir_run_that_it_stops(self):
        host = self.start("host", harness.WEIR, "host", "control")
        host.wait_for("[control] waiting for a gateway")
        gateway = self.start_gateway([harness.remote("other", "other_control")])
        gateway.wait_for("[other] waiting for a remote module")
        gateway.stop()
        self.assertIn("stopping; Ctrl-C once more ends it at once", gateway.out())
        host.stop()

    def test_a_remote_at_a_place_that_is_taken_fails_with_the_reason(self):
        first = self.start_remote("first")
        harness.wait_until(lambda: "waiting for a gateway" in first.out(), "the first one waits")
        second = self.run_to_end("second", harness.PROXY_SAMPLE_REMOTE, "control")
        self.assertEqual(second.process.returncode, 1)
        self.assertIn("control", second.err())
        self.write_script("file", "no socket", 0o600)
        third = self.run_to_end("third", harness.PROXY_SAMPLE_REMOTE, "file")
        self.assertEqual(third.process.returncode, 1)
        self.assertEqual(harness.read_text(self.path("file")), "no socket")
        self.assertTrue(first.lives())
        first.press_enter()
        first.expect_exit()


if __name__ == "__main__":
    harness.main()
