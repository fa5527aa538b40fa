# SPDX-License-Identifier: MIT
"""Modules that take long, or for ever, until they are started: those that the gateway launched are
ended after "start.timeout.ms", and none is before."""

import os

import harness
import sp
from harness import MODULES, WEIR, hello_world, launched, link, logger, native, remote

QUICK = {"backoff.ms": [1, 10], "burst": 1000}


class Starting(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.crashed = True
        os.mkfifo(self.path("late.pipe"))

    def let_go(self):
        """Open and close the other end of the pipe at which the module waits."""
        with open(self.path("late.pipe"), "wb"):
            pass

    def hosted(self, name, module, args, start_timeout_ms=None, **heartbeat):
        """In a process that ends soon when it has to."""
        made = launched(name, WEIR, ["host", f"{name}_control"], **{"grace.period.ms": 100})
        made["args"] = {"outprocess.loader": {"entrypoint": {"module.path": MODULES[module]}},
                        "module.args": args}
        made["restart"] = QUICK
        made["heartbeat"] = heartbeat
        if start_timeout_ms is not None:
            heartbeat["start.timeout.ms"] = start_timeout_ms
        return made

    def check_found(self, module, text):
        """It is found, ended and started again; the others run."""
        gateway = self.start_gateway([logger(), module, hello_world()],
                                     [link("hello_world", "logger")])
        gateway.wait_for(f"[late] hangs: {text}")
        log = gateway.err()[gateway.err().index(f"[late] hangs: {text}"):]
        self.assertIn('if it needs longer, see "start.timeout.ms"', log)
        gateway.wait_for("[late] launched ", 1 + gateway.err().count("[late] hangs: "))
        self.wait_for_messages()
        gateway.stop()

    def test_process_that_never_listens_is_found(self):
        mute = {**launched("late", "/bin/sleep", ["3600"], **{"grace.period.ms": 100}),
                "restart": QUICK, "heartbeat": {"start.timeout.ms": 2}}
        self.check_found(mute, "it does not listen at its control id after 2 ms, so process ")

    def test_create_that_never_returns_is_found(self):
        self.check_found(self.hosted("late", "late", "create", 1500),
                         "its create has not returned after 1500 ms, so process ")

    def test_start_that_never_returns_is_found(self):
        self.check_found(self.hosted("late", "late", "start", 1500),
                         "its start has not returned after 1500 ms, so process ")

    def test_process_of_somebody_else_is_told_of_and_left_alone(self):
        with sp.Listener(self.path("control")) as listener:
            module = {**remote("late", "control"), "heartbeat": {"start.timeout.ms": 100}}
            gateway = self.start_gateway([module])
            with listener.accept().greet() as control:
                control.expect_control(sp.CREATE)
                gateway.wait_for("[late] hangs: its create has not returned after 100 ms; its "
                                 "process was not started by this gateway and is left alone")
                gateway.stop()

    def test_start_may_take_longer_than_the_timeout_of_receive(self):
        """... which is half of the other module's, that is found to hang meanwhile."""
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway(
                [self.hosted("late", "late", "start", **{"interval.ms": 100, "timeout.ms": 3000}),
                 self.hosted("victim", "hang", "deadlock", **{"interval.ms": 100, "timeout.ms": 6000}),
                 remote("trigger", "control"), logger()],
                [link("trigger", "victim"), link("trigger", "late"), link("late", "logger")])
            with sp.Session(listener, self.folder) as session:
                gateway.wait_for("[late] stays in start")
                session.messages.send(sp.frame(sp.message(b"1000")))
                gateway.wait_for("[victim] hangs: no sign of life of process")
                self.let_go()
                self.wait_for_content(b"1000")
                self.assertEqual(gateway.err().count("[late] launched "), 1)
                gateway.stop()

    def test_module_that_waits_for_the_links_of_a_slow_gateway_is_not_late(self):
        """... but another one, which has longer, meanwhile is."""
        with sp.Listener(self.path("control")) as listener:
            quick = self.hosted("quick", "pass", None, 10000)
            other = {**remote("other", "control"), "heartbeat": {"start.timeout.ms": 11000}}
            gateway = self.start_gateway([quick, other, native("late", "late", "create"), logger(),
                                          hello_world()],
                                         [link("hello_world", "quick"), link("quick", "logger")])
            gateway.wait_for("[quick] the module is created")
            with listener.accept_greeted() as control:
                control.expect_control(sp.CREATE)
                gateway.wait_for("[other] hangs: its create has not returned")
                self.let_go()
                self.wait_for_messages()
                self.assertEqual(gateway.err().count("[quick] launched "), 1)
                gateway.stop()


if __name__ == "__main__":
    harness.main()
