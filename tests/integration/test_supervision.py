# SPDX-License-Identifier: MIT
"""Processes that die or hang: found, said in words, started again by their restart policy, and no
message is lost."""

import os
import re
import signal

import harness
import sp
from harness import hello_world, launched, link, logger, native, remote

TIMES = 3  # the module misbehaves at 1000, 2000 and 3000
QUICK = {"backoff.ms": [1, 10], "burst": 100}


class Supervision(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.crashed = True
        self.log = self.path("logger.txt")

    def isolated(self, how, **more):
        return native("victim", "hang", how, isolation="process", restart=QUICK, **more)

    def numbers(self):
        return [int(content.split()[0]) for content in harness.logged_contents(self.log)]

    def flood_through(self, module, times):
        """All of a flood goes through the module, which misbehaves so many times."""
        count = times * 1000 + 500
        gateway = self.start_gateway([logger(), module, native("flood", "flood", count)],
                                     [link("flood", "victim"), link("victim", "logger")])
        harness.wait_until(lambda: count - 1 in self.numbers(), "the last message")
        gateway.wait_for("crash report: ", times)
        gateway.stop()
        self.assertEqual(list(dict.fromkeys(self.numbers())), list(range(count)))
        self.assertEqual(len(re.findall(r"\[victim\] launched ", gateway.err())), times + 1)
        return gateway.err()

    def check_hang(self, how, *steps):
        heartbeat = {"interval.ms": 100, "timeout.ms": 500}
        said = self.flood_through(self.isolated(how, heartbeat=heartbeat), 1)
        self.assertEqual(said.count("hangs: no sign of life of process"), 1)
        self.assertRegex(said, r"\[victim\] Thread \d+")
        for step in steps:
            self.assertIn(step, said)

    def test_endless_loop_is_found(self):
        self.check_hang("loop")

    def test_deadlock_is_found(self):
        self.check_hang("deadlock")

    def test_stopped_process_is_found(self):
        self.check_hang("stop", "the process is stopped by a signal")

    def test_process_that_hangs_and_ignores_sigterm_is_killed(self):
        self.check_hang("ignore.term", "ignores SIGTERM; sending SIGKILL", "signal 9")

    def test_crashed_process_comes_back(self):
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):  # whose reports would take the signal's place
            self.environment[name] = "handle_segv=0"
        said = self.flood_through(self.isolated("crash"), TIMES)
        self.assertEqual(said.count("ended: signal 11 (Segmentation fault); it is started again"),
                         TIMES)

    def test_process_that_exits_comes_back(self):
        said = self.flood_through(self.isolated("exit"), TIMES)
        self.assertEqual(said.count("ended: exit status 3; it is started again"), TIMES)

    def test_slow_module_does_not_hang(self):
        """Its batches take longer than the timeout, its receive does not."""
        module = native("victim", "hang", "slow", isolation="process", restart=QUICK,
                        heartbeat={"interval.ms": 50, "timeout.ms": 400})
        gateway = self.start_gateway([logger(), module, native("flood", "flood", 150)],
                                     [link("flood", "victim"), link("victim", "logger")])
        harness.wait_until(lambda: 149 in self.numbers(), "the last message")
        gateway.stop()
        self.assertEqual(self.numbers(), list(range(150)))
        self.assertEqual(gateway.troubles(), [])

    def blocking(self, **more):
        os.mkfifo(self.path("stay.pipe"))
        return native("blocking", "stay_blocking", self.path("stay.pipe"), isolation="process",
                      restart=QUICK, **more)

    def test_module_that_says_that_it_blocks_does_not_hang(self):
        """By the time that another one, which came later, is found to."""
        with sp.Listener(self.path("control")) as listener:
            victim = native("victim", "hang", "deadlock", isolation="process", restart=QUICK)
            gateway = self.start_gateway([self.blocking(), victim, remote("trigger", "control")],
                                         [link("trigger", "victim"), link("trigger", "blocking")])
            with sp.Session(listener, self.folder) as session:
                session.messages.send(sp.frame(sp.message(b"stay")))
                gateway.wait_for("[blocking] stays")
                session.messages.send(sp.frame(sp.message(b"1000")))
                gateway.wait_for("[victim] hangs: no sign of life of process")
                with open(self.path("stay.pipe"), "wb"):
                    pass
                gateway.stop()
            self.assertEqual(gateway.err().count("[blocking] launched "), 1)

    def test_module_that_says_that_it_blocks_may_be_watched(self):
        module = self.blocking(heartbeat={"interval.ms": 50, "timeout.ms": 300})
        gateway = self.start_gateway([module, hello_world()], [link("hello_world", "blocking")])
        gateway.wait_for("[blocking] hangs: no sign of life of process")
        gateway.stop()

    def test_killed_process_comes_back_each_time(self):
        gateway = self.start_gateway(
            [logger(), native("victim", "pass", isolation="process", restart=QUICK),
             hello_world(interval_ms=1)],
            [link("hello_world", "victim"), link("victim", "logger")])
        for time in range(10):
            gateway.wait_for("attached the remote module", time + 1)
            self.wait_for_messages()
            os.kill(gateway.launched_pids()["victim"], signal.SIGKILL)
            gateway.wait_for("signal 9 (Killed); it is started again", time + 1)
        self.wait_for_messages()
        gateway.stop()

    def failing(self, script, **restart):
        """A gateway with a launched script and two modules that must run in any case."""
        path = self.write_script("child", script)
        module = {**launched("child", path), "restart": restart}
        return self.start_gateway([logger(), module, hello_world()],
                                  [link("hello_world", "logger")])

    def test_past_the_burst_the_module_has_failed(self):
        gateway = self.failing("#!/bin/sh\nexit 7\n", **{"backoff.ms": [1, 2], "burst": 3})
        gateway.wait_for("once more after 3 restarts within 60000 ms: the module has failed")
        self.wait_for_messages()
        self.assertEqual(gateway.err().count("[child] launched"), 4)
        gateway.stop()

    def failing_in(self, name, control_id):
        """A module that fails at once, and whoever comes to its control id is taken."""
        return {**remote(name, control_id, **{"activation.type": "launch",
                                              "launch": {"path": "/bin/false"}}),
                "restart": {"policy": "never"}}

    def start_debugging(self, *modules):
        return self.start("weir", harness.WEIR, "run", "--log-level", "debug",
                          self.write_config(modules))

    def wait_for_rest(self, gateway, names, times):
        """Until nobody but the folder tells of a remote: so often was each one tried in vain."""
        for name in names:
            gateway.wait_for(f"[{name}] at ", times)

    def failed_in_folder(self, *more):
        gateway = self.start_debugging(self.failing_in("late", "folder/control"), *more)
        gateway.wait_for('it is not started again (its restart policy is "never")', 1 + len(more))
        return gateway

    def renew_folder(self, gateway, *names):
        """With nothing but the folder's watch to find that out."""
        self.wait_for_rest(gateway, names, 1)
        for _ in range(2):
            os.rmdir(self.path("folder"))
            os.mkdir(self.path("folder"))

    def check_found(self, gateway, name, control_id):
        late = self.start_remote(name, control_id)
        gateway.wait_for(f"[{name}] attached the remote module")
        return late

    def check_found_in_folder(self, gateway):
        late = self.check_found(gateway, "late", "folder/control")
        gateway.stop()
        late.press_enter()
        late.expect_exit()

    def test_failed_module_is_found_in_a_folder_that_was_removed_and_made_again(self):
        os.mkdir(self.path("folder"))
        gateway = self.failed_in_folder()
        self.renew_folder(gateway, "late")
        self.wait_for_rest(gateway, ["late"], 2)
        self.check_found_in_folder(gateway)

    def test_failed_modules_are_found_in_a_folder_that_both_name_differently(self):
        os.mkdir(self.path("folder"))
        os.symlink("folder", self.path("link"))
        gateway = self.failed_in_folder(self.failing_in("other", "link/other"))
        self.renew_folder(gateway, "late", "other")
        other = self.check_found(gateway, "other", "link/other")
        self.check_found_in_folder(gateway)
        other.press_enter()
        other.expect_exit()

    def test_failed_module_is_found_in_a_folder_that_was_not_there(self):
        gateway = self.failed_in_folder()
        os.mkdir(self.path("folder"))
        self.wait_for_rest(gateway, ["late"], 1)
        self.check_found_in_folder(gateway)

    def test_somebody_else_is_found_who_listened_before_the_process_ended(self):
        """Its folder tells nothing more of it."""
        os.mkfifo(self.path("end"))
        script = self.write_script("child", "#!/bin/sh\nread line <end\nexit 7\n")
        module = {**launched("late", script), "restart": {"policy": "never"}}
        gateway = self.start_gateway([module])
        late = self.check_found(gateway, "late", "late_control")
        with open(self.path("end"), "wb"):
            pass
        gateway.wait_for("exit status 7; it is not started again")
        gateway.wait_for("[late] attached the remote module", 2)
        gateway.stop()
        late.press_enter()
        late.expect_exit()

    def test_hangup_starts_what_has_failed_again(self):
        gateway = self.failing("#!/bin/sh\nexit 7\n", **{"backoff.ms": [1, 1], "burst": 1})
        for time in range(3):
            gateway.wait_for("the module has failed", time + 1)
            gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("the module has failed", 4)
        self.assertEqual(gateway.err().count("[child] launched"), 2 * 4)
        gateway.process.send_signal(signal.SIGUSR1)
        gateway.wait_for("restarts 7, hangs 0")
        gateway.stop()

    def test_hangup_starts_what_has_failed_and_was_served_by_hand(self):
        gateway = self.failed_in_folder()
        os.mkdir(self.path("folder"))
        by_hand = self.start_remote(control_id="folder/control")
        gateway.wait_for("[late] attached the remote module")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("[late] is not restarted: a process that this gateway did not start")
        by_hand.press_enter()
        by_hand.expect_exit()
        gateway.wait_for("said goodbye")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("[late] is restarted by order")
        gateway.wait_for("is not started again", 2)
        gateway.stop()

    def test_hangup_leaves_what_runs_or_is_about_to(self):
        path = self.write_script("child", "#!/bin/sh\nexit 7\n")
        waits = {**launched("waits", path), "restart": {"backoff.ms": [3600000, 3600000]}}
        ended = {**launched("ended", path), "restart": {"policy": "never"}}
        gateway = self.start_gateway([native("runs", "pass", isolation="process"), waits, ended])
        gateway.wait_for("[runs] attached the remote module")
        gateway.wait_for("[waits] process")
        gateway.wait_for("[ended] process")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("[ended] is restarted by order")  # the last of the three
        self.assertEqual(gateway.err().count("is restarted"), 1)
        gateway.stop()

    def test_policy_never_leaves_it_ended(self):
        gateway = self.failing("#!/bin/sh\nexit 7\n", policy="never")
        gateway.wait_for('is not started again (its restart policy is "never")')
        self.wait_for_messages()
        self.assertEqual(gateway.err().count("[child] launched"), 1)
        gateway.stop()

    def test_policy_on_failure_leaves_who_ended_well(self):
        gateway = self.failing("#!/bin/sh\nexit 0\n", policy="on-failure")
        gateway.wait_for("exit status 0; it is not started again")
        self.wait_for_messages()
        gateway.stop()

    def test_policy_always_starts_again_who_ended_well(self):
        gateway = self.failing("#!/bin/sh\nexit 0\n",
                               **{"policy": "always", "backoff.ms": [1, 1], "window.ms": 0})
        gateway.wait_for("exit status 0; it is started again", 10)
        gateway.stop()

    def test_module_that_cannot_be_created_is_tried_again_until_it_has_failed(self):
        module = native("victim", "hang", 7, isolation="process",
                        restart={"backoff.ms": [1, 1], "burst": 2})
        gateway = self.start_gateway([logger(), module, hello_world()],
                                     [link("hello_world", "logger")])
        gateway.wait_for("the module has failed")
        self.assertEqual(gateway.err().count("args: expected a string, found 7"), 2 * 3)
        self.assertNotIn("crash report", gateway.err())
        self.wait_for_messages()
        gateway.stop()


if __name__ == "__main__":
    harness.main()
