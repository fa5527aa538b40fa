# SPDX-License-Identifier: MIT
"""What went wrong in the system that Weir continues, each as a test: stopping without a remote, end of
file on stdin, an absent remote, a number as a period, the last record, errors of a normal stop."""

import os
import signal
import subprocess
import time

import harness
from harness import hello_world, launched, link, logger, native, remote

MEASURED_S = 2
IDLE_CPU_S = 0.2


class OldFaults(harness.WeirTest):
    def absent(self, **more):
        """hello_world -> a remote module that nobody ever starts -> logger."""
        return self.write_config(
            [logger(), remote("remote", "control", **more), hello_world(1)],
            [link("hello_world", "remote"), link("remote", "logger")])

    def test_enter_without_a_remote_ends_at_once(self):
        config = self.absent()
        gateway = self.start("sample", harness.PROXY_SAMPLE, config, stdin=subprocess.PIPE)
        gateway.wait_for("waiting for a remote module")
        gateway.press_enter()
        gateway.expect_exit()

    def test_full_queue_of_an_absent_remote_does_not_hold_up_the_stop(self):
        gateway = self.start_gateway(
            [logger(), remote("remote", "control"), native("flood", "flood")],
            [link("flood", "remote", limit=10)])
        self.wait_for_queue(gateway, "flood -> remote: accepted 10, delivered 0")
        gateway.stop()

    def wait_for_queue(self, gateway, text):
        def reported():
            gateway.process.send_signal(signal.SIGUSR1)
            return text in gateway.err()
        gateway.wait_for("waiting for a remote module")
        harness.wait_until(reported, text)

    def check_idle(self, program):
        """Over a while: no CPU time to speak of, no output."""
        said, used = program.out() + program.err(), harness.cpu_seconds(program.pid)
        time.sleep(MEASURED_S)  # not to wait for anything: it is what is measured
        self.assertTrue(program.lives())
        self.assertLess(harness.cpu_seconds(program.pid) - used, IDLE_CPU_S)
        self.assertEqual(program.out() + program.err(), said)

    def test_end_of_file_on_stdin_neither_stops_nor_spins(self):
        config = self.write_config([logger(), remote("remote", "control")],
                                   [link("remote", "logger")])
        for stdin in (subprocess.DEVNULL, subprocess.PIPE):
            with self.subTest(stdin=stdin):
                gateway = self.start("sample", harness.PROXY_SAMPLE, config, stdin=stdin)
                echo = self.start_remote(stdin=stdin)
                gateway.close()
                echo.close()
                gateway.wait_for("attached the remote module")
                echo.wait_for("the module is started")
                self.check_idle(gateway)
                self.check_idle(echo)
                gateway.stop()
                echo.stop()

    def test_closed_stdin_neither_stops_nor_spins(self):
        echo = self.start("remote", "/bin/sh", "-c", 'exec "$0" control <&-',
                          harness.PROXY_SAMPLE_REMOTE)
        harness.wait_until(lambda: "waiting for a gateway" in echo.out(), "the remote waits")
        self.check_idle(echo)
        echo.stop()

    def test_idle_gateway_with_an_absent_remote_uses_no_cpu(self):
        gateway = self.start_gateway([logger(), remote("remote", "control")],
                                     [link("remote", "logger")])
        gateway.wait_for("waiting for a remote module")
        self.check_idle(gateway)
        gateway.stop()

    def test_other_modules_run_without_the_remote(self):
        gateway = self.start_gateway(
            [logger(), remote("remote", "control"), hello_world()],
            [link("hello_world", "remote", limit=4, **{"when.full": "drop.oldest"}),
             link("hello_world", "logger"), link("remote", "logger")])
        self.wait_for_messages(20)
        gateway.stop()

    def test_number_as_grace_period(self):
        module = launched("echo", harness.PROXY_SAMPLE_REMOTE, ["echo_control"],
                          **{"grace.period.ms": 700})
        gateway = self.start_gateway([logger(), module, hello_world()],
                                     [link("hello_world", "echo"), link("echo", "logger")],
                                     gateway={"grace.period.ms": 500})
        self.wait_for_messages()
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    def test_last_record_is_on_the_disk(self):
        """Of a known number of messages, after a stop in the middle of them: no gap, and the end."""
        gateway = self.start_gateway([native("flood", "flood"), logger()], [link("flood", "logger")])
        harness.wait_until(lambda: harness.is_flowing(self.path("logger.txt")),
                           "messages flow")
        gateway.stop()
        entries = harness.log_entries(self.path("logger.txt"))
        self.assertEqual(entries[-1]["content"], "Log stopped")
        numbers = [int(content) for content in harness.contents_of(entries)]
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertEqual(gateway.troubles(), [])

    def test_normal_stop_logs_no_error_and_no_warning(self):
        """Every kind of module at once."""
        modules = [
            logger(), remote("by hand", "control"),
            launched("launched", harness.PROXY_SAMPLE_REMOTE, ["launched_control"]),
            native("isolated", "pass", isolation="process"), hello_world()]
        links = [link("hello_world", name) for name in ("by hand", "launched", "isolated")]
        links.append(link("*", "logger"))
        gateway = self.start_gateway(modules, links)
        echo = self.start_remote()
        gateway.wait_for("attached the remote module", 3)
        self.wait_for_messages(20)
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])
        echo.press_enter()
        echo.expect_exit()
        self.assertEqual(echo.troubles(), [])

    def test_second_signal_ends_at_once(self):
        """While the first one waits for a remote that does not answer."""
        self.crashed = True
        gateway = self.start_gateway(
            [logger(), remote("remote", "control"), hello_world()],
            [link("hello_world", "remote")], gateway={"grace.period.ms": 3600000})
        echo = self.start_remote()
        gateway.wait_for("attached the remote module")
        echo.process.send_signal(signal.SIGSTOP)
        try:
            harness.wait_until(lambda: self.interrupted(gateway), "the gateway ends")
            self.assertEqual(gateway.process.returncode, 128 + signal.SIGINT)
        finally:
            echo.process.send_signal(signal.SIGCONT)
        echo.press_enter()
        echo.expect_exit()

    def interrupted(self, gateway):
        gateway.process.send_signal(signal.SIGINT)
        return not gateway.lives()


class Crash(harness.WeirTest):
    def wait_for_growth(self, gateway):
        log = self.path("logger.txt")
        size = os.path.getsize(log) if os.path.exists(log) else 0
        harness.wait_until(lambda: os.path.exists(log) and os.path.getsize(log) > size + 2000 or
                           not gateway.lives(), "the log grows")
        self.assertTrue(gateway.lives())

    def test_log_of_a_killed_gateway_is_valid_and_is_continued(self):
        self.crashed = True
        for life in range(1, 11):
            gateway = self.start_gateway([native("flood", "flood"), logger()],
                                         [link("flood", "logger")], name=f"weir_{life}")
            self.wait_for_growth(gateway)
            gateway.kill()
        gateway = self.start_gateway([hello_world(), logger()], [link("hello_world", "logger")])
        self.wait_for_content(b"hello world")
        gateway.stop()
        marks = [entry["content"] for entry in harness.log_entries(self.path("logger.txt"))
                 if "properties" not in entry]
        self.assertEqual(marks, ["Log started"] * 11 + ["Log stopped"])


if __name__ == "__main__":
    harness.main()
