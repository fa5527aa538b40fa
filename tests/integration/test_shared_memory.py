# SPDX-License-Identifier: MIT
"""Large messages through memory that gateway and module share: they arrive, whatever becomes of the
process, and only a module that may gets any."""

import contextlib
import os
import signal
import unittest

import harness
from harness import link, native, shared

KIB = 1024
MIB = 1024 * KIB


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pool_descriptors(pid):
    """Those of shared memory, which is only open until the other side has it."""
    folder = f"/proc/{pid}/fd"
    found = []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(os.readlink(os.path.join(folder, name)))
    return [target for target in found if target.startswith("/memfd:")]


def bulk(name, args, **more):
    return native(name, "bulk", args, **more)


def process(name, args, entrypoint=None, **more):
    module = bulk(name, args, isolation="process", **more)
    module["loader"]["entrypoint"].update(entrypoint or {})
    return module


@unittest.skipUnless(harness.has_shared_memory(), "this system has no memory of the kind that is shared")
class SharedMemory(harness.WeirTest):
    def echo(self, size, count, **middle):
        """A source, a module in a process of its own that publishes what it gets, and a sink."""
        middle.setdefault("args", "keep 0")
        return self.start_gateway(
            [bulk("source", f"source {size} {count}"), process("middle", **middle),
             bulk("sink", f"sink {size} {count}")],
            [link("source", "middle"), link("middle", "sink")])

    def finish(self, gateway, count, wanted=()):
        gateway.wait_for(f"[sink] all {count} have come")
        troubles = [line for line in gateway.troubles()
                    if not any(text in line for text in wanted)]
        self.assertEqual(troubles, [])
        gateway.stop()

    def check_echo(self, size, count, **middle):
        gateway = self.echo(size, count, **middle)
        gateway.wait_for(f"[sink] all {count} have come")
        pid = gateway.launched_pids()["middle"]
        both = shared(gateway.pid) & shared(pid)
        self.assertEqual(pool_descriptors(gateway.pid) + pool_descriptors(pid), [])
        self.finish(gateway, count)
        return both

    def test_echo_of_64_kib(self):
        """Each side has a pool, which both have mapped."""
        self.assertEqual(len(self.check_echo(64 * KIB, 5000)), 2)

    def test_echo_of_1_mib(self):
        self.assertEqual(len(self.check_echo(MIB, 300)), 2)

    def test_echo_of_what_is_too_large_for_the_pool(self):
        self.check_echo(9 * MIB, 10)

    def test_small_messages_need_none(self):
        self.assertEqual(self.check_echo(64, 2000), set())

    def test_module_that_keeps_messages(self):
        """More of them than the pools hold."""
        self.check_echo(64 * KIB, 3000, args="keep 1500")

    def test_source_and_sink_in_processes_of_their_own(self):
        count = 3000
        gateway = self.start_gateway(
            [process("source", f"source {64 * KIB} {count}"),
             process("sink", f"sink {64 * KIB} {count}")], [link("source", "sink")])
        gateway.wait_for(f"all {count} have come")
        pids = gateway.launched_pids()
        self.assertEqual(len(shared(gateway.pid) & shared(pids["source"])), 2)
        self.assertEqual(len(shared(gateway.pid) & shared(pids["sink"])), 2)
        self.assertEqual(shared(pids["source"]) & shared(pids["sink"]), set())
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])

    def test_none_where_the_file_says_so(self):
        self.assertEqual(self.check_echo(64 * KIB, 500, entrypoint={"shared.memory": False}), set())

    def test_none_for_a_sandboxed_module(self):
        self.assertEqual(self.check_echo(64 * KIB, 500, sandbox={"seccomp": "off"}), set())

    def test_killed_module_loses_nothing_and_leaves_nothing(self):
        self.crashed = True
        size, count = 64 * KIB, 60000
        gateway = self.echo(size, count, restart={"backoff.ms": [1, 20], "window.ms": 0})
        gateway.wait_for("attached the remote module")
        before = None
        for kill in range(1, 6):
            pid = gateway.launched_pids()["middle"]
            harness.wait_until(lambda: len(shared(pid)) == 2, "it is in the middle of it")
            before = before or descriptors(gateway.pid)
            os.kill(pid, signal.SIGKILL)
            gateway.wait_for("attached the remote module", kill + 1)
        harness.wait_until(lambda: descriptors(gateway.pid) <= before, "descriptors as before")
        harness.wait_until(lambda: len(shared(gateway.pid)) <= 3,
                           "the memory of dead connections is given up, but for a source's place")
        self.finish(gateway, count, ["[middle] "])


if __name__ == "__main__":
    harness.main()
