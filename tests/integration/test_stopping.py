# SPDX-License-Identifier: MIT
"""Modules that do not end when the gateway stops: they take nothing from the others, neither from
those beside them nor from those that they feed."""

import os
import signal

import harness
import sp
from harness import hello_world, link, logger, native, remote

LAST_WORDS = b"last words"


class Stopping(harness.WeirTest):
    def start_with_listeners(self, names, *modules, links=(), grace_ms):
        """A gateway with a remote module of each name, and others."""
        listeners = [self.enterContext(sp.Listener(self.path(f"{name}_control")))
                     for name in names]
        remotes = [remote(name, f"{name}_control") for name in names]
        gateway = self.start_gateway([*remotes, *modules], links,
                                     gateway={"grace.period.ms": grace_ms})
        sessions = [self.enterContext(sp.Session(listener, self.folder))
                    for listener in listeners]
        for name in names:
            gateway.wait_for(f"[{name}] attached the remote module")
        return gateway, sessions

    def begin_stop(self, gateway):
        gateway.process.send_signal(signal.SIGTERM)

    def end_with_last_words(self, session):
        """As a good remote ends."""
        session.control.expect_control(sp.DESTROY)
        session.messages.send(sp.frame(sp.message(LAST_WORDS)))
        session.__exit__()

    def assert_last_words_arrived(self):
        self.assertEqual(harness.logged_contents(self.path("logger.txt"))[-1], LAST_WORDS)

    def test_remote_modules_that_do_not_feed_each_other_end_side_by_side(self):
        names = ["first", "second", "third"]
        gateway, sessions = self.start_with_listeners(names, grace_ms=3600000)
        self.begin_stop(gateway)
        for session in sessions:  # none of them has let go yet
            session.control.expect_control(sp.DESTROY)
        for session in reversed(sessions):
            session.__exit__()
        gateway.expect_exit()
        self.assertEqual(gateway.troubles(), [])

    def test_remote_module_that_does_not_end_leaves_their_time_to_those_that_it_feeds(self):
        links = [link("stubborn", "good"), link("good", "logger")]
        gateway, (_, good) = self.start_with_listeners(["stubborn", "good"], logger(), links=links,
                                                       grace_ms=8000)
        self.begin_stop(gateway)
        self.end_with_last_words(good)
        gateway.expect_exit()
        self.assert_last_words_arrived()
        self.assertEqual([line.partition(" [")[2] for line in gateway.troubles()],
                         ["stubborn] did not end its module in the part of the grace period that "
                          "it had"])

    def test_native_modules_that_stay_in_receive_leave_their_time_to_those_that_they_feed(self):
        """One after the other, each for as long as it may take to return."""
        self.crashed = True
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0"  # what they use is left as it is
        os.mkfifo(self.path("never"))
        chain = [f"stay_{i}" for i in range(4)]
        modules = [native(name, "stay_blocking", self.path("never")) for name in chain]
        links = [link(*pair) for pair in zip(chain, [*chain[1:], "good"])]
        links += [link("hello_world", name) for name in chain] + [link("good", "logger")]
        gateway, (good,) = self.start_with_listeners(["good"], hello_world(), *modules, logger(),
                                                     links=links, grace_ms=6000)
        for name in chain:
            gateway.wait_for(f"[{name}] stays")
        self.begin_stop(gateway)
        self.end_with_last_words(good)
        gateway.expect_exit(1)
        self.assert_last_words_arrived()

    def test_grace_period_of_a_process_begins_when_its_module_has_let_go(self):
        """It has more to process than it could within that, and the gateway's is long."""
        slow = native("slow", "hang", "slow", isolation="process")
        slow["loader"]["entrypoint"]["grace.period.ms"] = 100
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
