# SPDX-License-Identifier: MIT
"""Folders and files that cannot be written, also by root, and folders that somebody removes: each is an
error in words or is worked around, and what is not concerned runs on.

The kernel makes no file in /proc for anybody."""

import os
import re
import shutil
import signal

import harness
import stand
from harness import link

CLOSED = "/proc"
RATE = 2000
SOON = {"backoff.ms": [1, 50], "window.ms": 0}


class Files(stand.Stand):
    def begin(self, middle, gateway=None, **environment):
        """source -> middle -> sink, where middle is a remote module."""
        self.links = [link("source", "middle"), link("middle", "sink")]
        self.gateway = self.start_near_gateway(
            [self.source("source", RATE), middle, self.counter("sink")], self.links,
            settings=gateway, **environment)

    def wait_for_flow(self):
        goal = self.tallies["sink"].next
        harness.wait_until(lambda: self.tallies["sink"].next > goal, "messages flow")

    def kill(self, name):
        counts = self.tallies[name]
        lives = counts.lives
        os.kill(counts.pid, signal.SIGKILL)
        harness.wait_until(lambda: counts.lives > lives, f"{name} is back")

    def finish(self):
        """All that was published has arrived."""
        self.end_sources([("source", "sink")])
        self.check_counts("middle")
        self.check_counts("sink")
        self.check_all_links(self.gateway, len(self.links), [("source", "middle", "sink")])
        self.gateway.stop()

    def isolated(self):
        """A counter in a process that the gateway makes, with its control socket in the run folder."""
        return self.counter("middle") | {"isolation": "process", "restart": SOON}

    def test_run_folder_in_no_usable_place(self):
        self.begin(self.isolated(), XDG_RUNTIME_DIR=CLOSED, TMPDIR=CLOSED)
        self.wait_for_flow()
        self.kill("middle")
        self.finish()
        folder = re.search(r"ipc://(/tmp/weir-run-[^/]+)/", self.gateway.err()).group(1)
        self.assertFalse(os.path.exists(folder))

    def test_run_folder_that_is_removed(self):
        self.begin(self.isolated())
        self.wait_for_flow()
        for _ in range(3):
            (folder,) = os.listdir(self.private)
            shutil.rmtree(os.path.join(self.private, folder))
            self.wait_for_flow()
            self.kill("middle")
            self.wait_for_flow()
        self.gateway.wait_for("was removed; it is made again")
        self.finish()
        self.assertEqual(os.listdir(self.private), [])

    def test_crash_folder_that_cannot_be_written(self):
        self.begin(self.isolated(), {"crash.folder": CLOSED + "/crashes"})
        self.wait_for_flow()
        self.kill("middle")
        self.wait_for_flow()
        self.finish()

    def test_control_socket_that_cannot_be_bound(self):
        host = self.run_to_end("host", harness.WEIR, "host", CLOSED + "/control")
        host.expect_exit(1)
        self.assertIn(f"'{CLOSED}/control'", host.err())

    def test_message_socket_that_cannot_be_bound(self):
        config = [self.remote_counter("middle", "middle", **{"message.id": CLOSED + "/messages"}),
                  self.source("source", RATE), self.counter("sink")]
        self.gateway = self.start_near_gateway(
            config, [link("source", "sink"), link("source", "middle", **{"when.full": "drop.oldest"})])
        host = self.start_host("middle", self.near)
        self.gateway.wait_for("the remote module could not open its message channel: "
                              f"cannot listen at '{CLOSED}/messages'")
        self.wait_for_arrival("source", "sink")
        self.gateway.stop()
        host.stop()

    def test_log_file_that_cannot_be_written(self):
        gateway = self.start_near_gateway(
            [harness.native("logger", "logger", {"filename": CLOSED + "/log.txt"})], [])
        gateway.expect_exit(1)
        self.assertIn(f"cannot open {CLOSED}/log.txt", gateway.err())

    def test_folder_of_a_control_socket_that_comes_and_goes(self):
        self.begin(self.remote_counter("middle", "place/middle"))
        place = os.path.join(self.near, "place")
        for life in range(3):
            os.mkdir(place)
            host = self.start(f"host_{life}", harness.WEIR, "host", "place/middle", cwd=self.near)
            self.wait_for_flow()
            host.kill()
            shutil.rmtree(place)
        os.mkdir(place)
        host = self.start("host_last", harness.WEIR, "host", "place/middle", cwd=self.near)
        self.wait_for_flow()
        self.finish()
        host.stop()
