# SPDX-License-Identifier: MIT
"""Modules that crash in a process of their own: their last words reach the gateway's log, and the
status that they die with is that of the crash."""

import os
import re
import struct
import unittest

import harness
from harness import link, logger, native

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


if __name__ == "__main__":
    harness.main()
