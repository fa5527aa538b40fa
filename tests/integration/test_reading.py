# SPDX-License-Identifier: MIT
"""The thread that reads remote modules' messages runs native sinks itself: one that stays in receive
holds up neither other modules, nor the watching of processes, nor the gateway's end."""

import os

import harness
import sp
from harness import link, logger, native, remote

COUNT = 200  # many more than the runs for which a slow sink is kept away from the reading thread


class Reading(harness.WeirTest):
    def listen(self, name):
        listener = sp.Listener(self.path(name))
        self.addCleanup(listener.__exit__)
        return listener

    def stay(self):
        os.mkfifo(self.path("stay.pipe"))
        return native("stay", "stay", self.path("stay.pipe"))

    def let_go(self):
        """Open and close the other end of the pipe at which the module waits."""
        with open(self.path("stay.pipe"), "wb"):
            pass

    def test_sink_that_does_not_return_holds_up_no_other_remote(self):
        first, second = self.listen("first"), self.listen("second")
        gateway = self.start_gateway(
            [self.stay(), logger(),
             remote("one", "first"), remote("two", "second")],
            [link("one", "stay"), link("two", "logger")], gateway={"threads": 1})
        with sp.Session(first, self.folder) as one, sp.Session(second, self.folder) as two:
            one.messages.send(sp.frame(sp.message(b"stay")))
            gateway.wait_for("[stay] stays")
            for number in range(COUNT):
                content = f"past it {number}".encode()
                two.messages.send(sp.frame(sp.message(content)))
                self.wait_for_content(content)
            self.let_go()
            gateway.stop()

    def test_sink_that_does_not_return_holds_up_no_other_sink_of_its_remote(self):
        first = self.listen("first")
        gateway = self.start_gateway(
            [self.stay(), native("pass", "pass"), logger(), remote("one", "first")],
            [link("one", "stay"), link("one", "pass"), link("pass", "logger")],
            gateway={"threads": 2})  # the one that starts the sink may be kept by it
        with sp.Session(first, self.folder) as one:
            one.messages.send(sp.frame(sp.message(b"stay")))
            gateway.wait_for("[stay] stays")
            self.wait_for_content(b"stay")
            for number in range(COUNT):
                content = f"past it {number}".encode()
                one.messages.send(sp.frame(sp.message(content)))
                self.wait_for_content(content)
            self.let_go()
            gateway.stop()

    def test_process_that_hangs_is_found_although_a_sink_does_not_return(self):
        """... and the gateway ends, although it never does."""
        self.crashed = True
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0"  # what the sink uses is left as it is
        first, second = self.listen("first"), self.listen("second")
        victim = native("victim", "hang", "deadlock", isolation="process",
                        heartbeat={"interval.ms": 50, "timeout.ms": 200})
        gateway = self.start_gateway(
            [self.stay(), victim, remote("one", "first"), remote("two", "second")],
            [link("one", "stay"), link("two", "victim")],
            gateway={"threads": 2, "grace.period.ms": 100})
        with sp.Session(first, self.folder) as one, sp.Session(second, self.folder) as two:
            one.messages.send(sp.frame(sp.message(b"stay")))
            gateway.wait_for("[stay] stays")
            two.messages.send(sp.frame(sp.message(b"1000")))
            gateway.wait_for("hangs: no sign of life of process")
            gateway.wait_for("[victim] launched ", 2)
            gateway.stop(wanted=1)
        self.assertIn("[stay] does not return from receive within the grace period", gateway.err())


if __name__ == "__main__":
    harness.main()
