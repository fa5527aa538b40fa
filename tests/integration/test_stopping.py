# SPDX-License-Identifier: MIT
"""Modules that do not end when the gateway stops: they take nothing from the others, neither from
those beside them nor from those that they feed."""

import contextlib
import os
import signal

import harness
import sp
from harness import hello_world, link, logger, native, remote

LAST_WORDS = b"last words"

# Whoever shows that it has its part of the grace period must use it in time. On a busy machine it may
# not: it is tried again with the next one. Who has no part is late with all of them.
GRACE_PERIODS_MS = (6000, 30000, 60000)


class Stopping(harness.WeirTest):
    def start_with_listeners(self, stack, names, *modules, links=(), grace_ms):
        """A gateway with a remote module of each name, and others; the stack ends the remote ones."""
        listeners = [stack.enter_context(sp.Listener(self.path(f"{name}_control")))
                     for name in names]
        remotes = [remote(name, f"{name}_control") for name in names]
        gateway = self.start_gateway([*remotes, *modules], links,
                                     gateway={"grace.period.ms": grace_ms})
        sessions = [stack.enter_context(sp.Session(listener, self.folder))
                    for listener in listeners]
        for name in names:
            gateway.wait_for(f"[{name}] attached the remote module")
        return gateway, sessions

    def begin_stop(self, gateway):
        gateway.process.send_signal(signal.SIGTERM)

    def end_with_last_words(self, session):
        """As a good remote ends, if it is not cut off."""
        try:
            session.control.expect_control(sp.DESTROY)
            session.messages.send(sp.frame(sp.message(LAST_WORDS)))
        except (EOFError, ConnectionResetError, BrokenPipeError):
            pass
        session.__exit__()

    def check_last_words_arrive(self, stop_once):
        """With one of the grace periods. `stop_once` takes that and a name of a logger, to which the
        good module is linked."""
        for grace_ms in GRACE_PERIODS_MS:
            name = f"logger_{grace_ms}"
            stop_once(grace_ms, name)
            if LAST_WORDS in harness.logged_contents(self.path(f"{name}.txt")):
                return
        self.fail("the last words never arrived")

    def test_remote_modules_that_do_not_feed_each_other_end_side_by_side(self):
        names = ["first", "second", "third"]
        stack = self.enterContext(contextlib.ExitStack())
        gateway, sessions = self.start_with_listeners(stack, names, grace_ms=3600000)
        self.begin_stop(gateway)
        for session in sessions:  # none of them has let go yet
            session.control.expect_control(sp.DESTROY)
        for session in reversed(sessions):
            session.__exit__()
        gateway.expect_exit()
        self.assertEqual(gateway.troubles(), [])

    def test_remote_module_that_does_not_end_leaves_their_time_to_those_that_it_feeds(self):
        gateways = []

        def stop_once(grace_ms, name):
            links = [link("stubborn", "good"), link("good", name)]
            with contextlib.ExitStack() as stack:
                gateway, (_, good) = self.start_with_listeners(
                    stack, ["stubborn", "good"], logger(name), links=links, grace_ms=grace_ms)
                self.begin_stop(gateway)
                self.end_with_last_words(good)
                gateway.expect_exit()
            gateways.append(gateway)

        self.check_last_words_arrive(stop_once)
        self.assertEqual([line.partition(" [")[2] for line in gateways[-1].troubles()],
                         ["stubborn] did not end its module in the part of the grace period that "
                          "it had"])

    def test_native_modules_that_stay_in_receive_leave_their_time_to_those_that_they_feed(self):
        """One after the other, each for as long as it may take to return."""
        self.crashed = True
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0"  # what they use is left as it is
        os.mkfifo(self.path("never"))
        chain = [f"stay_{i}" for i in range(2)]
        modules = [native(name, "stay_blocking", self.path("never")) for name in chain]
        links = [link(*pair) for pair in zip(chain, [*chain[1:], "good"])]
        links += [link("hello_world", name) for name in chain]

        def stop_once(grace_ms, log):
            with contextlib.ExitStack() as stack:
                gateway, (good,) = self.start_with_listeners(
                    stack, ["good"], hello_world(), *modules, logger(log),
                    links=[*links, link("good", log)], grace_ms=grace_ms)
                for name in chain:
                    gateway.wait_for(f"[{name}] stays")
                self.begin_stop(gateway)
                self.end_with_last_words(good)
                gateway.expect_exit(1)

        self.check_last_words_arrive(stop_once)

    def test_grace_period_of_a_process_begins_when_its_module_has_let_go(self):
        """It has more to process than it could within that, and the gateway's is long."""
        slow = native("slow", "hang", "slow", isolation="process")
        slow["loader"]["entrypoint"]["grace.period.ms"] = 1000
        count = 100
        gateway = self.start_gateway([native("flood", "flood", count), slow, logger()],
                                     [link("flood", "slow"), link("slow", "logger")],
                                     gateway={"grace.period.ms": 3600000})
        self.wait_for_messages(1)
        gateway.stop()
        self.assertEqual(gateway.troubles(), [])
        self.assertEqual(len(harness.logged_contents(self.path("logger.txt"))), count)


if __name__ == "__main__":
    harness.main()
