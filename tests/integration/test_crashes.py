# SPDX-License-Identifier: MIT
"""Modules that crash in a process of their own: their last words reach the gateway's log, the
status that they die with is that of the crash, and a report shows what they were given and replays
it."""

import json
import os
import re
import shutil
import stat
import struct
import unittest

import harness
from harness import launched, link, logger, native

# What each way to crash is called in the log, and how the process ends.
WAYS = {
    "memory": ("signal 11 (SIGSEGV, memory that it may not use) at address 0x8 ", "signal 11"),
    "stack": ("signal 11 (SIGSEGV, memory that it may not use) at address 0x", "signal 11"),
    "abort": ("signal 6 (SIGABRT, it called abort or was told to) ", "signal 6"),
    "file": ("signal 7 (SIGBUS, memory that is not there) at address 0x", "signal 7"),
    "divide": ("signal 8 (SIGFPE, arithmetic without a result) ", "signal 8"),
    "code": ("signal 4 (SIGILL, no instruction of this machine) ", "signal 4"),
}
NEVER = {"policy": "never"}


def image(content):
    """A message without properties."""
    return struct.pack(">HIII", 0xA160, 14 + len(content), 0, len(content)) + content


def content_of(data):
    """That of an image, which must be whole."""
    magic, total, properties = struct.unpack(">HII", data[:10])
    rest = data[10:].split(b"\0", 2 * properties)[-1]
    assert (magic, total, rest[:4]) == (0xA160, len(data), struct.pack(">I", len(rest) - 4)), data
    return rest[4:]


def frames(contents):
    return b"".join(struct.pack(">BQ", 1, len(image(content))) + image(content)
                    for content in contents)


def is_sanitized():
    """Sanitizers have a crash handler of their own."""
    with open(os.path.join(harness.BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        return re.search(r"^WEIR_SANITIZE:\w+=.", file.read(), re.MULTILINE) is not None


class CrashTest(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.crashed = True
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):  # crashes are wanted here, not reports of them
            before = self.environment.get(name, "")
            self.environment[name] = f"{before}:handle_segv=0".lstrip(":")

    def start_crash(self, how, before=(), **more):
        """A gateway that gives the module "victim" some messages, and then one at which it
        crashes."""
        with open(self.path("frames"), "wb") as file:
            file.write(frames([*before, b"crash"]))
        victim = native("victim", "crash", how, isolation="process", restart=NEVER)
        source = native("source", "replay", {"file": self.path("frames")})
        return self.start_gateway([logger(), victim, source],
                                  [link("source", "victim"), link("victim", "logger")], **more)


@unittest.skipIf(is_sanitized(), "sanitizers have a crash handler of their own")
class LastWords(CrashTest):
    def check(self, how):
        words, ending = WAYS[how]
        gateway = self.start_crash(how, [b"before"])
        gateway.wait_for("is not started again")
        said = gateway.err()
        self.assertIn("warn  [victim] about to crash", said)
        self.assertIn(f"error [victim] crashed: {words}", said)
        self.assertRegex(said, r"error \[victim\] #0 /.*")
        self.assertRegex(said, r"error \[victim\] #\d+ .*libcrash\.so")
        self.assertIn(f"ended: {ending} (", said)
        gateway.stop()
        self.assertEqual(harness.logged_contents(self.path("logger.txt")), [b"before"])

    def test_memory(self):
        self.check("memory")

    def test_stack_overflow(self):
        self.check("stack")

    def test_abort(self):
        self.check("abort")

    def test_file_that_is_shorter_than_its_mapping(self):
        self.check("file")

    def test_arithmetic(self):
        self.check("divide")

    def test_instruction(self):
        self.check("code")

    def test_exit_is_no_crash(self):
        gateway = self.start_crash("exit")
        gateway.wait_for("ended: exit status 3")
        self.assertNotIn("crashed", gateway.err())
        gateway.stop()

BEFORE = [b"message %d" % number for number in range(40)]
LARGE = [bytes([number]) * size for number, size in enumerate([2048, 3000, 8192, 20000] * 10)]
KEPT = 16  # messages before the one at which it crashed that are in a report, at least


def messages_of(folder):
    """The contents of the messages of a report; each must be whole."""
    data = harness.read_bytes(os.path.join(folder, "messages"))
    found = []
    while data:
        kind, size = struct.unpack(">BQ", data[:9])
        assert kind == 1, data
        found.append(content_of(data[9:9 + size]))
        data = data[9 + size:]
    return found


class Reports(CrashTest):
    def report_of(self, program, module="victim", times=1):
        program.wait_for(f"[{module}] crash report: ", times)
        folder = max(re.findall(rf"\[{module}\] crash report: (\S+)", program.err()))
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
            return folder, json.load(file)

    def assert_messages(self, folder, report, before):
        """The last of what it had processed, oldest first, then what it had not."""
        contents = messages_of(folder)
        marks = [message["acknowledged"] for message in report["messages"]]
        self.assertEqual(len(contents), len(marks))
        self.assertEqual(contents, [*before, b"crash"][-len(contents):])
        self.assertEqual(marks, sorted(marks, reverse=True))
        self.assertFalse(marks[-1])
        self.assertGreater(len(contents), min(KEPT, len(before)))

    def replay(self, folder, name="again"):
        """Run the report's own configuration, as a person would."""
        return self.start(name, harness.WEIR, "run", "replay.json", cwd=folder)

    def check_replay(self, folder, how="ended: signal 11", module="victim"):
        again = self.replay(folder)
        again.wait_for(f"[{module}] launched")
        again.wait_for(how)
        again.wait_for("is not started again")
        again.stop()
        self.assertEqual(again.err().count(f"[{module}] launched"), 1)
        self.assertNotIn("crash report:", again.err())

    def test_report_tells_and_replays(self):
        gateway = self.start_crash("memory", BEFORE)
        pid = harness.wait_until(lambda: gateway.launched_pids().get("victim"), "a process")
        folder, report = self.report_of(gateway)
        gateway.stop()
        self.assertEqual(os.path.dirname(folder), self.path("weir-crash"))
        self.assertRegex(os.path.basename(folder), r"^victim-\d{8}T\d{6}\.\d{3}Z-001$")
        self.assertEqual(report["module"], "victim")
        self.assertEqual(report["how"], "signal 11 (Segmentation fault)")
        self.assertEqual((report["signal"], report["pid"], report["restarts"]), (11, pid, 0))
        lines = report["lines"]
        self.assertTrue(any(line.endswith(" warn  [victim] about to crash") for line in lines), lines)
        self.assertFalse(any(report["control.id"] in line for line in lines), lines)
        if not is_sanitized():
            self.assertTrue(any("libcrash.so" in line for line in report["lines"]))
        self.assert_messages(folder, report, BEFORE)
        self.check_replay(folder)

    def check_bytes_of_replay(self, folder):
        """Without the message at which it crashes all are published as they were."""
        order = frames([b"crash"])
        data = harness.read_bytes(os.path.join(folder, "messages"))
        self.assertTrue(data.endswith(order))
        with open(os.path.join(folder, "messages"), "wb") as file:
            file.write(data[:-len(order)])
        published = os.path.join(folder, "published.json")
        os.remove(published)
        again = self.replay(folder, "without the order")
        wanted = messages_of(folder)
        harness.wait_until(lambda: harness.logged_contents(published) == wanted,
                           "the messages of the report are published again")
        again.stop()

    def check_large_messages(self, source, **more):
        """The message at which the victim crashes comes when it has had all large ones, by memory
        that it shared with the gateway."""
        for name, contents in (("large", LARGE), ("order", [b"crash"])):
            with open(self.path(name), "wb") as file:
                file.write(frames(contents))
        trigger = {"outprocess.loader": native("", "replay")["loader"],
                   "module.args": {"file": self.path("order")}}
        gateway = self.start_gateway(
            [logger(), native("victim", "crash", "memory", isolation="process", restart=NEVER),
             native("source", *source, **more),
             harness.remote("trigger", "trigger_control", trigger)],
            [link("source", "victim"), link("trigger", "victim"), link("victim", "logger")])
        logged = harness.wait_until(
            lambda: (found := harness.logged_contents(self.path("logger.txt")))[len(LARGE) - 1:]
            and found, "all large messages have been through the victim")
        both = harness.shared(gateway.pid) & harness.shared(gateway.launched_pids()["victim"])
        self.assertEqual(len(both), 2 if harness.has_shared_memory() else 0)
        self.start("trigger", harness.WEIR, "host", "trigger_control")
        folder, report = self.report_of(gateway)
        gateway.stop()
        self.assert_messages(folder, report, logged)
        self.check_replay(folder)
        self.check_bytes_of_replay(folder)
        return logged

    def test_large_messages_that_were_copied_for_the_process(self):
        source = ("replay", {"file": self.path("large")})
        self.assertEqual(self.check_large_messages(source), LARGE)

    def test_large_messages_that_were_made_in_the_memory_of_the_channel(self):
        """Which has ended when the report is written."""
        self.check_large_messages(("bulk", f"source 8192 {len(LARGE)}"))

    def test_large_messages_in_the_memory_of_another_process(self):
        source = ("replay", {"file": self.path("large")})
        self.assertEqual(self.check_large_messages(source, isolation="process"), LARGE)

    def test_nobody_else_can_read_it(self):
        gateway = self.start_crash("exit")
        folder, report = self.report_of(gateway)
        gateway.stop()
        self.assertEqual(report["exit.status"], 3)
        for path in (folder, os.path.dirname(folder)):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)
        for name in os.listdir(folder):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode), 0o600)

    def test_report_can_be_moved(self):
        gateway = self.start_crash("exit")
        folder, _ = self.report_of(gateway)
        gateway.stop()
        moved = self.path("moved")
        shutil.move(folder, moved)
        self.check_replay(moved, "ended: exit status 3")

    def test_each_crash_shows_the_same_message_and_the_oldest_reports_go(self):
        quick = {"backoff.ms": [1, 1], "burst": 6, "poison.deaths": 0}
        with open(self.path("frames"), "wb") as file:
            file.write(frames([*BEFORE, b"crash"]))
        victim = native("victim", "crash", "exit", isolation="process", restart=quick)
        source = native("source", "replay", {"file": self.path("frames")})
        gateway = self.start_gateway([victim, source], [link("source", "victim")],
                                     gateway={"crash.folder": "reports", "crash.reports": 3})
        gateway.wait_for("the module has failed")
        folder, report = self.report_of(gateway, times=7)
        gateway.stop()
        self.assertEqual(report["restarts"], 6)
        self.assert_messages(folder, report, BEFORE)
        self.assertEqual(len(os.listdir(self.path("reports"))), 3)
        self.assertIn(os.path.basename(folder), os.listdir(self.path("reports")))

    def test_no_report_where_none_is_wanted(self):
        gateway = self.start_crash("exit", gateway={"crash.reports": 0})
        gateway.wait_for("is not started again")
        gateway.stop()
        self.assertNotIn("crash report", gateway.err())
        self.assertFalse(os.path.exists(self.path("weir-crash")))

    def test_place_where_nothing_can_be_written_harms_nobody(self):
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        gateway = self.start_crash("exit", gateway={"crash.folder": "file"})
        gateway.wait_for("[victim] no crash report: 'file' is not a folder")
        gateway.stop()

    def test_service_keeps_its_reports_in_its_state_folder(self):
        os.mkdir(self.path("state"))
        self.environment["STATE_DIRECTORY"] = self.path("state") + ":/elsewhere"
        gateway = self.start_crash("exit")
        folder, _ = self.report_of(gateway)
        gateway.stop()
        self.assertEqual(os.path.dirname(folder), self.path("state", "crash"))

    def test_launched_program(self):
        """Started with relative paths, and told its control id as an argument."""
        os.mkdir(self.path("sub"))
        os.symlink(harness.WEIR, self.path("sub", "host"))
        with open(self.path("frames"), "wb") as file:
            file.write(frames([b"one", b"crash"]))
        module = launched("victim", "sub/host", ["host", "victim_control"])
        module["args"] = {"outprocess.loader": {"entrypoint": {
            "module.path": os.path.relpath(harness.MODULES["crash"], self.folder)}},
            "module.args": "memory"}
        module["restart"] = NEVER
        source = native("source", "replay", {"file": "frames"})
        gateway = self.start_gateway([module, source], [link("source", "victim")])
        folder, report = self.report_of(gateway)
        gateway.stop()
        self.assertEqual(report["program"]["args"], ["host", "victim_control"])
        self.assert_messages(folder, report, [b"one"])
        self.check_replay(folder)

    def test_sandbox_is_that_of_the_module(self):
        self.environment["ASAN_OPTIONS"] += ":detect_leaks=0"  # its check would debug the process
        os.mkdir(self.path("sub"))
        sandbox = {"open.files": 64, "paths": {"read": ["sub", "/proc", "/sys"]}}
        with open(self.path("frames"), "wb") as file:
            file.write(frames([b"crash"]))
        victim = native("victim", "crash", "exit", isolation="process", restart=NEVER,
                        sandbox=sandbox)
        source = native("source", "replay", {"file": self.path("frames")})
        gateway = self.start_gateway([victim, source], [link("source", "victim")])
        folder, _ = self.report_of(gateway)
        gateway.stop()
        with open(os.path.join(folder, "replay.json"), encoding="utf-8") as file:
            replayed = json.load(file)["modules"][1]["sandbox"]
        self.assertEqual(replayed, {
            "open.files": 64, "core.limit": 0, "seccomp": "default", "network": False,
            "required": False,
            "paths": {"read": [self.path("sub"), "/proc", "/sys"], "write": []}})
        self.check_replay(folder, "ended: exit status 3")

    def test_orderly_end_is_no_crash(self):
        victim = native("victim", "pass", isolation="process")
        gateway = self.start_gateway([victim, harness.hello_world(), logger()],
                                     [link("hello_world", "victim"), link("victim", "logger")])
        self.wait_for_messages()
        gateway.stop()
        self.assertFalse(os.path.exists(self.path("weir-crash")))


class Hangs(CrashTest):
    def test_stacks_are_in_the_log_and_in_the_report(self):
        with open(self.path("frames"), "wb") as file:
            file.write(frames([b"1000"]))
        victim = native("victim", "hang", "deadlock", isolation="process", restart=NEVER,
                        heartbeat={"interval.ms": 50, "timeout.ms": 300})
        source = native("source", "replay", {"file": self.path("frames")})
        gateway = self.start_gateway([victim, source], [link("source", "victim")])
        folder, report = Reports.report_of(self, gateway)
        gateway.stop()
        said = gateway.err()
        self.assertIn("hangs: no sign of life", said)
        self.assertRegex(said, r"\[victim\] Thread \d")
        self.assertTrue(any(line.startswith("Thread ") for line in report["lines"]))
        self.assertGreaterEqual(report["hung.ms"], 300)
        self.assertIn("had not answered", report["how"])
        self.assertEqual(messages_of(folder), [b"1000"])
        again = Reports.replay(self, folder)
        again.wait_for("[victim] hangs: no sign of life")
        again.wait_for("is not started again")
        again.stop()


if __name__ == "__main__":
    harness.main()
