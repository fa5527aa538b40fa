# SPDX-License-Identifier: MIT
"""A remote module that does not read: queues fill, when.full decides, and the counters that SIGUSR1
shows account for every message: accepted = delivered + dropped + queued."""

import re
import select
import signal
import struct

import harness
import sp
from harness import link, native, remote

COUNT = 5000
LIMIT = 16
FULL_S = 0.5  # a socket that is read is not full for so long
COUNTERS = re.compile(r"^link (.*) -> (.*): accepted (\d+), delivered (\d+), dropped (\d+) \(full\) "
                      r"\+ (\d+) \(closed\) \+ 0 \(poison\), queued (\d+) \(limit \d+, [a-z.]+\)$", re.MULTILINE)


class Acknowledged(sp.Session):
    """The remote agrees on acknowledgement."""

    def reply(self):
        return sp.reply(sp.CREATED, sp.extension((1, struct.pack(">I", 1))))


class BackPressure(harness.WeirTest):
    def setUp(self):
        super().setUp()
        self.listener = sp.Listener(self.path("control"))
        self.addCleanup(self.listener.__exit__)

    def start_flood(self, when_full, count=COUNT):
        """flood -> we, and flood -> swallow."""
        queue = {"limit": LIMIT, "when.full": when_full}
        return self.start_gateway(
            [native("swallow", "swallow"), remote("remote", "control"),
             native("flood", "flood", count)],
            [link("flood", "remote", **queue), link("flood", "swallow")])

    def reports(self, gateway):
        """All counters shown so far: (sink, accepted, delivered, full, closed, queued)."""
        return [(found[1], *map(int, found[2:])) for found in COUNTERS.findall(gateway.err())]

    def latest(self, gateway, sink):
        """Ask, and check what has been shown so far."""
        gateway.process.send_signal(signal.SIGUSR1)
        reports = self.reports(gateway)
        for _, accepted, delivered, full, closed, queued in reports:
            self.assertEqual(accepted, delivered + full + closed + queued)
        return next((report[1:] for report in reversed(reports) if report[0] == sink), None)

    def wait_for_counters(self, gateway, sink, condition, text):
        def reached():
            counters = self.latest(gateway, sink)
            return counters if counters is not None and condition(*counters) else None
        return harness.wait_until(reached, lambda: f"{text}; now {self.latest(gateway, sink)}")

    def receive(self, session, count):
        return [int(sp.content_of(session.messages.receive_frame())) for _ in range(count)]

    def check_dropping(self, when_full):
        """All is published past a remote that reads nothing; then it reads what was kept."""
        gateway = self.start_flood(when_full)
        with sp.Session(self.listener, self.folder) as session:
            self.wait_for_counters(gateway, "swallow", lambda accepted, delivered, *_:
                                   delivered == COUNT, "the other sink has everything")
            _, delivered, full, closed, queued = self.wait_for_counters(
                gateway, "remote", lambda accepted, *_: accepted == COUNT, "all are accepted")
            self.assertGreater(full, 0)
            self.assertEqual(closed, 0)
            self.assertLessEqual(queued, 2 * LIMIT, "the queue, and a batch on its way")
            numbers = self.receive(session, delivered + queued)
            _, delivered, _, _, queued = self.wait_for_counters(
                gateway, "remote", lambda *counters: counters[4] == 0, "the queue is empty")
            self.assertEqual(delivered, len(numbers))
            gateway.process.send_signal(signal.SIGTERM)
            session.control.expect_control(sp.DESTROY)
        gateway.expect_exit()
        self.assertEqual(numbers, sorted(set(numbers)), "each once, in order")
        return numbers

    def test_drop_oldest_keeps_the_latest(self):
        numbers = self.check_dropping("drop.oldest")
        self.assertEqual(numbers[-LIMIT:], list(range(COUNT - LIMIT, COUNT)))

    def test_drop_newest_keeps_what_came_first(self):
        numbers = self.check_dropping("drop.newest")
        self.assertEqual(numbers[:LIMIT], list(range(LIMIT)))

    def test_block_loses_nothing(self):
        gateway = self.start_flood("block")
        with sp.Session(self.listener, self.folder) as session:
            self.wait_for_counters(gateway, "remote", lambda *counters: counters[4] >= LIMIT,
                                   "the queue is full")
            self.assertEqual(self.receive(session, COUNT), list(range(COUNT)))
            self.wait_for_counters(
                gateway, "remote", lambda *counters: counters == (COUNT, COUNT, 0, 0, 0),
                "all are delivered")
            gateway.process.send_signal(signal.SIGTERM)
            session.control.expect_control(sp.DESTROY)
        gateway.expect_exit()
        self.assertEqual(gateway.troubles(), [])

    def test_remote_that_never_reads_does_not_hold_up_the_stop(self):
        gateway = self.start_flood("block", None)
        with sp.Session(self.listener, self.folder):
            self.wait_for_counters(gateway, "remote", lambda *counters: counters[4] >= LIMIT,
                                   "the queue is full")
            gateway.stop()

    def test_slow_sink_holds_up_a_remote_source(self):
        """What we publish faster than the absent remote's full queue takes stays in our socket."""
        gateway = self.start_gateway(
            [remote("remote", "control"), remote("absent", "absent_control")],
            [link("remote", "absent", limit=LIMIT)])
        with sp.Session(self.listener, self.folder) as session:
            image = sp.frame(sp.message(bytes(1000)))
            session.messages.sock.setblocking(False)
            sent = self.send_until_full(session.messages.sock, image)
            session.messages.sock.settimeout(sp.DEADLINE_S)
            counters = self.wait_for_counters(gateway, "absent", lambda *counters:
                                              counters[4] >= LIMIT, "the queue is full")
            self.assertLess(counters[0] * len(image), sent, "not all was read")
            gateway.stop()

    def test_remote_source_that_is_held_up_is_told_what_was_taken(self):
        """Else it would keep, and send again, what the gateway took long ago."""
        gateway = self.start_gateway(
            [remote("remote", "control"), remote("absent", "absent_control")],
            [link("remote", "absent", limit=LIMIT)])
        with Acknowledged(self.listener, self.folder) as session:
            session.messages.send(64 * LIMIT * sp.frame(sp.message(b"x")))
            taken = 0
            while taken < LIMIT:  # some, in one piece or in several
                told = session.control.expect_control(sp.ACKNOWLEDGE)[8:]
                taken = struct.unpack(">Q", told)[0]
            self.assertLess(taken, 64 * LIMIT, "not all")
            gateway.stop()

    def send_until_full(self, sock, image):
        """Until the socket has been full for a while. Returns how many bytes it took."""
        sent = 0
        while select.select([], [sock], [], FULL_S)[1]:
            sent += sock.send(image[sent % len(image):])
        return sent


if __name__ == "__main__":
    harness.main()
