# SPDX-License-Identifier: MIT
"""Peers and orders that are allowed, or harmless by themselves, and come where nobody expects them."""

import os
import re
import signal
import socket
import struct
import sys
import unittest

import harness
import sp
from harness import hello_world, launched, link, native, remote
from test_crashes import is_sanitized

UNACKNOWLEDGED = re.compile(r"^module remote .*, unacknowledged (\d+),", re.MULTILINE)
MODULE_FAILED = 2
HEARTBEAT_REPLY = 6
ACKNOWLEDGE = 7
POSITION = 7  # of an extension block
# A remote that stops its gateway, sends more than the gateway reads in one turn and then that its
# module failed, and is gone when the gateway goes on. Its message channel stays open so long.
LAST_WORDS = f"""
import os, signal, sys
sys.path.insert(0, {harness.HERE!r})
import sp

def is_stopped(pid):
    with open(f"/proc/{{pid}}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"

gateway = os.getppid()
session = sp.Session(sp.Listener("victim_control"), os.getcwd())
ended, end = os.pipe()
if os.fork() == 0:
    os.setsid()
    for fd in (end, 1, 2):
        os.close(fd)
    os.read(ended, 1)
    os.kill(gateway, signal.SIGCONT)
    os._exit(0)
os.kill(gateway, signal.SIGSTOP)
while not is_stopped(gateway):
    pass
session.control.send(sp.frame(sp.control({HEARTBEAT_REPLY}, bytes(8))) * 1000 +
                     sp.frame(sp.reply({MODULE_FAILED})))
os._exit(0)
"""


def reported(gateway, text):
    """To be asked again and again."""
    gateway.process.send_signal(signal.SIGUSR1)
    return text in gateway.err()


class Args(harness.WeirTest):
    def test_large_args_arrive_whole(self):
        """They are sent from where they lie, over several writes; then the gateway works on."""
        for size in (20_000, 60_000, 1_000_000):
            with self.subTest(size=size), sp.Listener(self.path("control")) as listener:
                args = os.urandom(size // 2).hex()
                gateway = self.start_gateway([remote("remote", "control", args)])
                with sp.Session(listener, self.folder) as session:
                    self.assertEqual(session.args, f'"{args}"')
                gateway.stop()


class TurnedAway(harness.WeirTest):
    """What happens again each second is said once, and again when it changes."""

    def test_gateway_says_it_once_for_each_reason(self):
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("remote", "control")])
            for _ in range(8):
                with listener.accept() as peer:  # the first one's end is seen before it comes again
                    peer.receive(len(sp.GREETING))
            for _ in range(2):
                with listener.accept() as peer:
                    peer.send(b"no greeting at all")
                    peer.wait_for_end()
            with sp.Session(listener, self.folder):
                gateway.wait_for("attached the remote module")
        gateway.wait_for("waiting for a remote module")
        gateway.stop()
        log = gateway.err()
        self.assertEqual(log.count("could not attach the remote module"), 2, log)

    def test_remote_says_it_once_for_each_gateway(self):
        hosted = {"outprocess.loader": {"entrypoint": {"module.path": harness.MODULES["pass"]}}}
        one = self.start("host", harness.WEIR, "host", "control")
        one.wait_for("waiting for a gateway")
        for gateways in (1, 2):
            gateway = self.start_gateway([remote("remote", "control", hosted)],
                                         name=f"weir_{gateways}")
            gateway.wait_for("attached the remote module")
            for _ in range(8):
                with sp.connect(self.path("control")) as peer:
                    peer.wait_for_end()
            gateway.stop()
        one.stop()
        self.assertEqual(one.err().count("a second connection to the control channel"), 2)


class LaunchedProcesses(harness.WeirTest):
    NEVER = {"restart": {"policy": "never"}}

    def test_one_whose_last_words_are_that_it_failed_has_failed(self):
        self.crashed = True  # its sockets are left
        module = {**launched("victim", sys.executable, ["-c", LAST_WORDS]), **self.NEVER}
        gateway = self.start_gateway([module])
        gateway.wait_for("could not be created or started")
        gateway.wait_for("it is not started again (its restart policy is \"never\")")
        gateway.stop()

    def test_module_that_somebody_else_serves_is_not_restarted(self):
        module = {**launched("victim", "/bin/false"), **self.NEVER}
        gateway = self.start_gateway([module])
        gateway.wait_for("it is not started again")
        with sp.Listener(self.path("victim_control")) as listener:
            with listener.accept().greet() as control:
                control.expect_control(sp.CREATE)
                control.send(sp.frame(sp.reply(MODULE_FAILED)))
                gateway.wait_for("could not be created or started")
                gateway.process.send_signal(signal.SIGHUP)
                gateway.wait_for("is not restarted: a process that this gateway did not start")
        gateway.stop()


class HalfClosed(harness.WeirTest):
    """Peers that close a half of their message channel, and nothing else."""

    def test_end_of_a_channel_that_is_not_read_is_noticed(self):
        """The sink is away, its queue is full, and the gateway would read no more."""
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("source", "control"), remote("sink", "nobody")],
                                         [link("source", "sink", limit=10)])
            with sp.Session(listener, self.folder) as session:
                session.messages.send(sp.frame(sp.message(b"")) * 20)
                harness.wait_until(lambda: reported(gateway, "source -> sink: accepted 20"),
                                   "a full queue")
                session.messages.sock.shutdown(socket.SHUT_WR)
                session.control.wait_for_end()
            gateway.wait_for("it closed the message channel")
            gateway.stop()

    def test_end_of_a_channel_that_is_not_written_is_noticed(self):
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([hello_world(), remote("sink", "control")],
                                         [link("hello_world", "sink")])
            with sp.Session(listener, self.folder) as session:
                session.messages.sock.shutdown(socket.SHUT_RD)
                session.control.wait_for_end()
            gateway.wait_for("it closed the message channel")
            gateway.stop()


class Successors(harness.WeirTest):
    def test_message_over_the_limit_of_a_successor_is_dropped(self):
        """It was sent to the predecessor, which did not acknowledge it."""
        with sp.Listener(self.path("source")) as source, sp.Listener(self.path("sink")) as sink:
            gateway = self.start_gateway([remote("source", "source"), remote("sink", "sink")],
                                         [link("source", "sink")])
            with sp.Session(source, self.folder) as sender:
                with AcknowledgingSession(sink, self.folder, 1 << 26) as session:
                    sender.messages.send(sp.frame(sp.message(bytes(1 << 20))))
                    session.messages.receive_frame()
                with AcknowledgingSession(sink, self.folder, 1000) as session:
                    sender.messages.send(sp.frame(sp.message(b"small")))
                    self.assertEqual(sp.content_of(session.messages.receive_frame()), b"small")
            gateway.wait_for("is over the remote module's limit of 1000 bytes")
            counts = ("link source -> sink: accepted 2, delivered 1, dropped 0 (full) + 1 (closed) "
                      "+ 0 (poison), queued 0 ")
            harness.wait_until(lambda: reported(gateway, counts), counts)
            gateway.stop()


class EarlyAcknowledgements(harness.WeirTest):
    """A module that goes on acknowledges what it had processed before, while that is sent again: it
    counts what comes, so all of it must come."""
    COUNT = 1000  # more than the socket holds

    def setUp(self):
        super().setUp()
        self.listener = sp.Listener(self.path("control"))
        self.addCleanup(self.listener.__exit__)
        self.gateway = self.start_gateway([native("flood", "flood", self.COUNT),
                                           remote("remote", "control")], [link("flood", "remote")])
        self.instance = os.urandom(16)
        with self.next_session() as session:
            self.receive_all(session)

    def next_session(self, early=False):
        return EarlySession(self.listener, self.folder, self.instance, self.COUNT if early else 0)

    def receive_all(self, session):
        numbers = [int(sp.content_of(session.messages.receive_frame()).split()[0])
                   for _ in range(self.COUNT)]
        self.assertEqual(numbers, list(range(self.COUNT)))

    def unacknowledged(self):
        """As the gateway last said, which is asked once more."""
        self.gateway.process.send_signal(signal.SIGUSR1)
        said = UNACKNOWLEDGED.findall(self.gateway.err())
        return int(said[-1]) if said else self.COUNT

    def wait_for_unacknowledged(self, condition, text):
        harness.wait_until(lambda: condition(self.unacknowledged()), text)

    def test_while_it_is_sent_again(self):
        with self.next_session() as session:
            session.acknowledge(self.COUNT)
            self.wait_for_unacknowledged(lambda count: count < self.COUNT, "what was sent counts")
            self.receive_all(session)
            self.wait_for_unacknowledged(lambda count: count == 0, "so does the rest")
            self.gateway.stop()

    def test_before_it_is_sent_again(self):
        with self.next_session(early=True) as session:
            self.receive_all(session)
            self.wait_for_unacknowledged(lambda count: count == 0, "all is acknowledged")
            self.gateway.stop()


class Forgetful(harness.WeirTest):
    """A module that goes on, but has been with another gateway meanwhile: it does not know any more
    what this one has received, and begins with the oldest message that it still has."""

    def test_gateway_counts_from_where_it_begins(self):
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("remote", "control")])
            instance = os.urandom(16)
            with self.next_session(listener, instance, (0, 0, 0)) as session:
                self.send_until(session, 5, 5)
            with self.next_session(listener, instance, (0, 3, 5)) as session:
                self.assertEqual(self.received_by_gateway(session), 5)
                self.send_until(session, 3, 6)
            with self.next_session(listener, instance, (0, 6, 6)) as session:
                self.assertEqual(self.received_by_gateway(session), 6)
            gateway.stop()

    def next_session(self, listener, instance, position):
        return AcknowledgingSession(listener, self.folder, 1 << 26, instance, position)

    def send_until(self, session, count, acknowledged):
        session.messages.send(sp.frame(sp.message(b"")) * count)
        said = 0
        while said < acknowledged:
            said = struct.unpack(">Q", session.control.expect_control(ACKNOWLEDGE)[8:])[0]

    def received_by_gateway(self, session):
        return struct.unpack(">Q", session.offer[POSITION][:8])[0]


class Boasters(harness.WeirTest):
    def test_who_processed_what_was_not_sent_is_left(self):
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("remote", "control")])
            with listener.accept_greeted() as control:
                control.expect_control(sp.CREATE)
                control.send(sp.frame(sp.reply(sp.CREATED, sp.extension(
                    (1, struct.pack(">I", 1)), (6, os.urandom(16)),
                    (POSITION, struct.pack(">QQQ", 1, 0, 0))))))
                control.wait_for_end()
            gateway.wait_for("it says that it processed more messages than were sent")
            with AcknowledgingSession(listener, self.folder, 1 << 26):
                gateway.stop()


class OldSuccessors(harness.WeirTest):
    def test_what_an_old_peer_sends_is_new(self):
        """Its predecessor said how much of what it sends may come again."""
        with sp.Listener(self.path("control")) as listener:
            gateway = self.start_gateway([remote("remote", "control"), native("swallow", "swallow")],
                                         [link("remote", "swallow")])
            with AcknowledgingSession(listener, self.folder, 1 << 26, None, (0, 0, 5)) as session:
                session.messages.send(sp.frame(sp.message(b"again")))
                self.wait_for(gateway, 1)
            with sp.Session(listener, self.folder) as session:
                session.messages.send(sp.frame(sp.message(b"new")))
                self.wait_for(gateway, 2)
                self.assertNotIn("redelivered 2", gateway.err())
            gateway.stop()

    def wait_for(self, gateway, count):
        """Before the link's counters come the module's."""
        harness.wait_until(lambda: reported(gateway, f"swallow: accepted {count}, delivered {count}"),
                           f"{count} messages")
        self.assertIn("module remote (outprocess): running; redelivered 1,", gateway.err())


@unittest.skipIf(is_sanitized(), "sanitizers keep what is freed")
class Bursts(harness.WeirTest):
    COUNT = 10000
    CHUNK = 250  # what sockets hold

    def memory(self, gateway):
        with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s*(\d+) kB", file.read())[1])

    def test_memory_for_what_waits_to_be_acknowledged_is_given_back(self):
        with sp.Listener(self.path("source")) as source, sp.Listener(self.path("sink")) as sink:
            gateway = self.start_gateway([remote("source", "source"), remote("sink", "sink")],
                                         [link("source", "sink")])
            with sp.Session(source, self.folder) as sender, \
                    AcknowledgingSession(sink, self.folder, 1 << 20) as session:
                for _ in range(self.COUNT // self.CHUNK):
                    sender.messages.send(sp.frame(sp.message(bytes(150))) * self.CHUNK)
                    for _ in range(self.CHUNK):
                        session.messages.receive_frame()
                before = self.memory(gateway)
                session.acknowledge(self.COUNT)
                harness.wait_until(lambda: self.memory(gateway) < before - 1024, "a smaller gateway")
            gateway.stop()


class AcknowledgingSession(sp.Session):
    """A new instance each time, which takes messages up to a limit and acknowledges none."""

    def __init__(self, control_listener, folder, limit, instance=None, position=(0, 0, 0)):
        self.block = sp.extension((1, struct.pack(">I", 1)), (2, struct.pack(">I", limit)),
                                  (6, instance or os.urandom(16)),
                                  (POSITION, struct.pack(">QQQ", *position)))
        super().__init__(control_listener, folder)

    def reply(self):
        return sp.reply(sp.CREATED, self.block)

    def acknowledge(self, count):
        self.control.send(sp.frame(sp.control(ACKNOWLEDGE, struct.pack(">Q", count))))


class EarlySession(AcknowledgingSession):
    """An instance that goes on, wants all again, and acknowledges `early` of it at once."""

    def __init__(self, control_listener, folder, instance, early):
        self.early = early
        super().__init__(control_listener, folder, 1 << 26, instance)

    def before_messages(self):
        if self.early > 0:
            self.acknowledge(self.early)


if __name__ == "__main__":
    harness.main()
